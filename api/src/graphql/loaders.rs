//! Data loaders: each reads what the items of a list need in one statement.
//!
//! They are made for each request and cache nothing, so that the fields of a mutation's payload see what it wrote.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use async_graphql::dataloader::{DataLoader, Loader};
use futures_util::future::BoxFuture;
use jishu_entity::{
    MockTestAttemptId, OrderId, PurchaseId, QuestionId, SubjectId, TestSessionId, UserId, entitlement,
    mock_test_attempt, order_line, payment_refund, purchase, purchase_grant, refund, refund_line,
    test_session, user,
};
use rust_decimal::Decimal;
use tracing::Instrument;

use jishu_service::paper::{self, Outline, TestId};
use jishu_service::question_bank::{self, AuthoredCorrection, AuthoredVersion};
use jishu_service::{
    Fault, Services, account, card, entitlement as entitlements, extra_time, order as orders,
    purchase as purchases, ranking, refund as refunds, session,
};

/// Spawns the work of a loader, whose log lines and traces belong to the request.
fn spawn_in_span(work: BoxFuture<'static, ()>) {
    tokio::spawn(work.in_current_span());
}

/// The data loaders of one request. They are made when a field first needs one, because most requests need none.
pub struct Loaders {
    services: Arc<Services>,
    made: OnceLock<Box<AllLoaders>>,
}

impl Loaders {
    /// Makes the loaders for one request.
    #[must_use]
    pub fn new(services: &Arc<Services>) -> Self {
        Self { services: Arc::clone(services), made: OnceLock::new() }
    }

    pub(super) fn get(&self) -> &AllLoaders {
        self.made.get_or_init(|| Box::new(AllLoaders::new(&self.services)))
    }
}

/// Declares [`AllLoaders`] and the type of each loader. A key includes its owner. A batch takes one statement for each
/// owner, and usually there is one. The read expression yields pairs of a key and its value.
macro_rules! loaders {
    ($(
        $(#[$doc:meta])*
        $field:ident: $loader:ident($key:ty) -> $value:ty = |$services:ident, $owner:ident, $keys:ident| $read:expr;
    )+) => {
        /// The data loaders themselves.
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

            impl Loader<(UserId, $key)> for $loader {
                type Value = $value;
                type Error = Arc<Fault>;

                async fn load(
                    &self,
                    keys: &[(UserId, $key)],
                ) -> Result<HashMap<(UserId, $key), $value>, Self::Error> {
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
    /// Loads purchases by id.
    purchase: PurchaseLoader(PurchaseId) -> purchase::Model =
        |services, owner, ids| keyed(purchases::by_ids(services, owner, ids).await?, |row| row.id);
    /// Loads the entitlements that purchases gave.
    entitlements: EntitlementsLoader(PurchaseId) -> Vec<entitlement::Model> =
        |services, owner, ids| grouped(purchases::entitlements(services, owner, ids).await?, |row| row.purchase_id);
    /// Loads the refunds of purchases.
    refunds: RefundsLoader(PurchaseId) -> Vec<refund::Model> =
        |services, owner, ids| grouped(refunds::of_purchases(services, owner, ids).await?, |row| row.purchase_id);
    /// Loads the refunded subjects of purchases.
    refund_lines: RefundLinesLoader(PurchaseId) -> Vec<refund_line::Model> =
        |services, owner, ids| grouped(refunds::lines_of_purchases(services, owner, ids).await?, |row| row.purchase_id);
    /// Loads the subjects of orders. The owner of the key is the buyer, so that nobody reads those of another order.
    order_lines: OrderLinesLoader(OrderId) -> Vec<order_line::Model> =
        |services, _owner, ids| grouped(orders::lines(services, ids).await?, |row| row.order_id);
    /// Loads the refunds of the payments of orders.
    order_refunds: OrderRefundsLoader(OrderId) -> Vec<payment_refund::Model> =
        |services, _owner, ids| grouped(orders::refunds(services, ids).await?, |row| row.order_id);
    /// Loads valid entitlements by subject.
    live_entitlement: LiveEntitlementLoader(SubjectId) -> entitlement::Model =
        |services, owner, subjects| keyed(entitlements::live(services, owner, subjects).await?, |row| row.subject_id);
    /// Loads test cards by id.
    card: CardLoader(MockTestAttemptId) -> mock_test_attempt::Model =
        |services, owner, ids| keyed(card::by_ids(services, owner, ids).await?, |row| row.id);
    /// Loads sittings by id.
    session: SessionLoader(TestSessionId) -> test_session::Model =
        |services, owner, ids| keyed(session::by_ids(services, owner, ids).await?, |row| row.id);
    /// Loads the open sittings of test cards.
    open_session: OpenSessionLoader(MockTestAttemptId) -> test_session::Model = |services, owner, cards|
        keyed(session::open_of_cards(services, owner, cards).await?, |row| row.mock_test_attempt_id);
    /// Loads the scores of the sittings of test cards.
    scores: ScoresLoader(MockTestAttemptId) -> Vec<i32> =
        |services, owner, cards| session::scores_of_cards(services, owner, cards).await?.into_iter();
    /// Loads the outlines of papers that have been made. Papers have no owner.
    paper: PaperLoader(TestId) -> Outline =
        |services, _owner, tests| paper::of_tests(services, tests).await?.into_iter();
    /// Loads the extra time of test cards, in seconds. A key has the card and its subject.
    extra_seconds: ExtraSecondsLoader((MockTestAttemptId, SubjectId)) -> i32 =
        |services, owner, cards| extra_time::of_cards(services, owner, cards).await?.into_iter();
    /// Loads the versions of questions. They have no owner: only authors may see them.
    question_versions: QuestionVersionsLoader(QuestionId) -> Vec<AuthoredVersion> =
        |services, _owner, ids| question_bank::versions(services.database.reader(), ids).await?.into_iter();
    /// Loads the corrections of questions. They have no owner: only authors may see them.
    question_corrections: QuestionCorrectionsLoader(QuestionId) -> Vec<AuthoredCorrection> =
        |services, _owner, ids| question_bank::corrections(services.database.reader(), ids).await?.into_iter();
    /// Loads the grants of purchases. Leaves out purchases that were paid.
    grant: GrantLoader(PurchaseId) -> purchase_grant::Model =
        |services, owner, ids| keyed(purchases::grants(services, owner, ids).await?, |row| row.purchase_id);
    /// Loads users. The owner of a key does not matter: whoever makes the `User` has checked who may see it.
    user: UserLoader(UserId) -> user::Model =
        |services, _owner, ids| keyed(account::by_ids(services, ids).await?, |row| row.id);
    /// Loads the percentiles of sittings.
    percentile: PercentileLoader(TestSessionId) -> Decimal =
        |services, owner, ids| ranking::percentiles(services, owner, ids).await?.into_iter();
}

fn by_owner<K: Copy>(keys: &[(UserId, K)]) -> HashMap<UserId, Vec<K>> {
    let mut owners: HashMap<UserId, Vec<K>> = HashMap::new();
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
