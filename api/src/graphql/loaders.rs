//! Data loaders. A loader collects the keys that the items of a list ask for, and reads the values of all these keys in
//! one statement.
//!
//! Loaders are made for each request. They cache nothing, so that the fields in the payload of a mutation show what the
//! mutation has written.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use async_graphql::async_trait::async_trait;
use async_graphql::dataloader::{DataLoader, Loader};
use futures_util::future::BoxFuture;
use jishu_entity::{
    MockTestAttemptId, OrderId, PurchaseId, QuestionId, SubjectId, TestSessionId, UserId, entitlement,
    mock_test_attempt, order_line, payment_refund, purchase, purchase_grant, refund, refund_line,
    test_session, user,
};
use rust_decimal::Decimal;
use tracing::Instrument;

use jishu_service::account::Author;
use jishu_service::paper::{self, Outline, TestId};
use jishu_service::question_bank::{self, AuthoredCorrection, AuthoredVersion};
use jishu_service::{
    Fault, Services, account, card, entitlement as entitlements, extra_time, order as orders,
    purchase as purchases, ranking, refund as refunds, session,
};

/// Spawns the work of a loader as a task in the span of the request, so that its log lines and traces belong to the
/// request.
fn spawn_in_span(work: BoxFuture<'static, ()>) {
    tokio::spawn(work.in_current_span());
}

/// The data loaders of one request. All loaders are made when a field first needs one, because most requests need no
/// loader.
pub struct Loaders {
    services: Arc<Services>,
    made: OnceLock<Box<AllLoaders>>,
}

impl Loaders {
    /// Prepares the loaders for one request, without making them yet.
    #[must_use]
    pub fn new(services: &Arc<Services>) -> Self {
        Self { services: Arc::clone(services), made: OnceLock::new() }
    }

    pub(super) fn get(&self) -> &AllLoaders {
        self.made.get_or_init(|| Box::new(AllLoaders::new(&self.services)))
    }
}

/// Declares [`AllLoaders`] and the type of each loader. The keys of a loader include the owner of the value, or the
/// author who reads it. A batch of keys takes one statement for each owner or author; usually all keys of a batch have
/// the same owner or author. The expression `$read` yields pairs of a key and its value.
macro_rules! loaders {
    ($(
        $(#[$doc:meta])*
        $field:ident: $loader:ident($owner_type:ty, $key:ty) -> $value:ty =
            |$services:ident, $owner:ident, $keys:ident| $read:expr;
    )+) => {
        /// One data loader for each kind of value.
        pub(super) struct AllLoaders {
            $($(#[$doc])* pub(super) $field: DataLoader<$loader>,)+
        }

        impl AllLoaders {
            fn new(services: &Arc<Services>) -> Self {
                Self { $($field: DataLoader::new($loader { services: Arc::clone(services) }, spawn_in_span),)+ }
            }
        }

        $(
            $(#[$doc])*
            pub(super) struct $loader {
                services: Arc<Services>,
            }

            #[async_trait]
            impl Loader<($owner_type, $key)> for $loader {
                type Value = $value;
                type Error = Arc<Fault>;

                async fn load(
                    &self,
                    keys: &[($owner_type, $key)],
                ) -> Result<HashMap<($owner_type, $key), $value>, Self::Error> {
                    let $services = &*self.services;
                    let load = async {
                        let mut found = HashMap::with_capacity(keys.len());
                        for ($owner, $keys) in by_owner(keys) {
                            found.extend($read.map(|(key, value)| (($owner, key), value)));
                        }
                        Ok::<_, Fault>(found)
                    };
                    load.await.map_err(Arc::new)
                }
            }
        )+
    };
}

loaders! {
    /// Loads the purchases of a user by id.
    purchase: PurchaseLoader(UserId, PurchaseId) -> purchase::Model =
        |services, owner, ids| keyed(purchases::by_ids(services, owner, ids).await?, |row| row.id);
    /// Loads the entitlements that purchases gave, including ended entitlements, by the id of the purchase.
    entitlements: EntitlementsLoader(UserId, PurchaseId) -> Vec<entitlement::Model> =
        |services, owner, ids| grouped(purchases::entitlements(services, owner, ids).await?, |row| row.purchase_id);
    /// Loads the refunds of purchases, oldest first, by the id of the purchase.
    refunds: RefundsLoader(UserId, PurchaseId) -> Vec<refund::Model> =
        |services, owner, ids| grouped(refunds::of_purchases(services, owner, ids).await?, |row| row.purchase_id);
    /// Loads the refunded subjects of purchases with their amounts, by the id of the purchase.
    refund_lines: RefundLinesLoader(UserId, PurchaseId) -> Vec<refund_line::Model> =
        |services, owner, ids| grouped(refunds::lines_of_purchases(services, owner, ids).await?, |row| row.purchase_id);
    /// Loads the subjects of orders, by the id of the order. The statement does not compare the owner: whoever has an
    /// `Order` was allowed to find it.
    order_lines: OrderLinesLoader(UserId, OrderId) -> Vec<order_line::Model> =
        |services, _owner, ids| grouped(orders::lines(services, ids).await?, |row| row.order_id);
    /// Loads the refunds of the payments of orders, oldest first, by the id of the order. The statement does not
    /// compare the owner: whoever has an `Order` was allowed to find it.
    order_refunds: OrderRefundsLoader(UserId, OrderId) -> Vec<payment_refund::Model> =
        |services, _owner, ids| grouped(orders::refunds(services, ids).await?, |row| row.order_id);
    /// Loads the live entitlements of a user, by the id of the subject.
    live_entitlement: LiveEntitlementLoader(UserId, SubjectId) -> entitlement::Model =
        |services, owner, subjects| keyed(entitlements::live(services, owner, subjects).await?, |row| row.subject_id);
    /// Loads the test cards of a user by id.
    card: CardLoader(UserId, MockTestAttemptId) -> mock_test_attempt::Model =
        |services, owner, ids| keyed(card::by_ids(services, owner, ids).await?, |row| row.id);
    /// Loads the sittings of a user by id.
    session: SessionLoader(UserId, TestSessionId) -> test_session::Model =
        |services, owner, ids| keyed(session::by_ids(services, owner, ids).await?, |row| row.id);
    /// Loads the open sittings of test cards, by the id of the card.
    open_session: OpenSessionLoader(UserId, MockTestAttemptId) -> test_session::Model = |services, owner, cards|
        keyed(session::open_of_cards(services, owner, cards).await?, |row| row.mock_test_attempt_id);
    /// Loads the scores of the scored sittings of test cards, in hundredths of a mark, by the id of the card.
    scores: ScoresLoader(UserId, MockTestAttemptId) -> Vec<i32> =
        |services, owner, cards| session::scores_of_cards(services, owner, cards).await?.into_iter();
    /// Loads the outlines of papers, by subject and test number. Leaves out tests that have no paper yet. The owner
    /// does not matter, because a paper is the same for everybody.
    paper: PaperLoader(UserId, TestId) -> Outline =
        |services, _owner, tests| paper::of_tests(services, tests).await?.into_iter();
    /// Loads the extra time for each sitting of test cards, in seconds, by the ids of the card and its subject. Leaves
    /// out cards without extra time.
    extra_seconds: ExtraSecondsLoader(UserId, (MockTestAttemptId, SubjectId)) -> i32 =
        |services, owner, cards| extra_time::of_cards(services, owner, cards).await?.into_iter();
    /// Loads the versions of questions, newest first, by the author who reads them and the id of the question.
    question_versions: QuestionVersionsLoader(Author, QuestionId) -> Vec<AuthoredVersion> =
        |services, author, ids| question_bank::versions(services.database.reader(), author, ids).await?.into_iter();
    /// Loads the corrections of questions, newest first, by the author who reads them and the id of the question.
    question_corrections: QuestionCorrectionsLoader(Author, QuestionId) -> Vec<AuthoredCorrection> =
        |services, author, ids| question_bank::corrections(services.database.reader(), author, ids).await?.into_iter();
    /// Loads the grants of complimentary purchases, by the id of the purchase. Leaves out all other purchases.
    grant: GrantLoader(UserId, PurchaseId) -> purchase_grant::Model =
        |services, owner, ids| keyed(purchases::grants(services, owner, ids).await?, |row| row.purchase_id);
    /// Loads users by id. Ignores the first id of a key, which is always `NO_OWNER`: the code that makes a `User` has
    /// checked that the viewer may see this user.
    user: UserLoader(UserId, UserId) -> user::Model =
        |services, _owner, ids| keyed(account::by_ids(services, ids).await?, |row| row.id);
    /// Loads the percentiles of the scored sittings of a user, by the id of the sitting.
    percentile: PercentileLoader(UserId, TestSessionId) -> Decimal =
        |services, owner, ids| ranking::percentiles(services, owner, ids).await?.into_iter();
}

fn by_owner<O: Copy + Eq + std::hash::Hash, K: Copy>(keys: &[(O, K)]) -> HashMap<O, Vec<K>> {
    let mut owners: HashMap<O, Vec<K>> = HashMap::new();
    for (owner, key) in keys {
        owners.entry(*owner).or_default().push(*key);
    }
    owners
}

fn keyed<K, Row>(rows: Vec<Row>, key: impl Fn(&Row) -> K) -> impl Iterator<Item = (K, Row)> {
    rows.into_iter().map(move |row| (key(&row), row))
}

fn grouped<K: Eq + std::hash::Hash, Row>(
    rows: Vec<Row>,
    key: impl Fn(&Row) -> K,
) -> impl Iterator<Item = (K, Vec<Row>)> {
    let mut groups: HashMap<K, Vec<Row>> = HashMap::new();
    for row in rows {
        groups.entry(key(&row)).or_default().push(row);
    }
    groups.into_iter()
}
