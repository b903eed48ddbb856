//! Learners, as support sees them.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};
use graphql_engine::{page_arguments, plain_fields};
use jishu_entity::{mock_test_attempt, user};

use super::card::Card;
use super::card_batch::CardBatch;
use super::card_page::{CardTotal, page_of_cards};
use super::{CardArgs, MockTestAttemptFilter};
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, Nullable};
use crate::graphql::node::GlobalKey;
use crate::graphql::pagination::{Connection, ListNode, PageArgs};
use crate::graphql::scalar::DateTime;
use jishu_service::account::Support;
use jishu_service::card::CardFilter;
use jishu_service::learner;

pub(in crate::graphql) struct Learner {
    row: user::Model,
}

/// An account and its test cards, as support sees them. Support can look up every account, also that of a member of
/// staff. No field shows answers or results.
#[page_arguments]
#[Object]
impl Learner {
    /// The name of the person.
    async fn name(&self) -> &str {
        &self.row.name
    }

    /// The e-mail address of the account, in lower case.
    async fn email(&self) -> &str {
        &self.row.email
    }

    /// The test cards of the account from all purchases, ordered by subject and test number.
    async fn test_cards(
        &self,
        ctx: &Context<'_>,
        #[page] page: PageArgs,
        #[graphql(desc = "Only cards that match this filter.")] filter: Option<MockTestAttemptFilter>,
    ) -> ApiResult<LearnerCardConnection> {
        // The order is fixed: a cursor contains the sort key of its card, and a sort by percentage would reveal a
        // result.
        let args = CardArgs { page, filter, order: None };
        page_of_cards(ctx, self.row.id, CardFilter::default(), args, LearnerCard::of_page).await
    }
}

impl Learner {
    /// Returns the account with this e-mail address, or null if no account has the address. If the account exists,
    /// records in the audit trail that the viewer looked up the account.
    pub(in crate::graphql) async fn find(ctx: &Context<'_>, support: Support, email: &str) -> Nullable<Self> {
        let found: ApiResult<_> = async { Ok(learner::find(ctx.services()?, support, email).await?) }.await;
        found.map(|found| found.map(|row| Self { row })).transpose()
    }
}

/// A test card as support sees it. Unlike `MockTestAttempt`, it leads to no sittings and no answers.
pub(in crate::graphql) struct LearnerCard {
    card: Card,
}

pub(in crate::graphql) type LearnerCardConnection = Connection<LearnerCard, CardTotal>;

impl ListNode for LearnerCard {
    const NAME: &'static str = "LearnerCard";
}

/// A test card of a learner, as support sees it.
#[plain_fields]
#[Object]
impl LearnerCard {
    /// The id of the test card, for `grantExtraTime`.
    async fn mock_test_attempt_id(&self) -> ID {
        self.card.row.id.global()
    }

    #[graphql(flatten)]
    async fn card(&self) -> &Card {
        &self.card
    }

    /// Whether the learner can start or continue a sitting of the card now. This requires an open sitting, or an
    /// attempt left and a valid entitlement. `startTestSession` can still fail, because it also checks the account, the
    /// consent of a guardian and the number of questions.
    #[at_hand(known_can_start)]
    async fn can_start(&self, ctx: &Context<'_>) -> ApiResult<bool> {
        self.card.can_start(ctx).await
    }

    /// The extra time that each sitting of the card gets, in seconds: the greatest of the card's own and of its
    /// allowances. 0 if support granted no extra time.
    #[at_hand(known_extra_seconds)]
    async fn extra_seconds(&self, ctx: &Context<'_>) -> ApiResult<i32> {
        self.card.extra_seconds(ctx).await
    }

    /// The time at which the latest sitting of the card started. Null if the card was never sat.
    async fn latest_attempt_at(&self) -> Option<DateTime> {
        self.card.latest_attempt_at()
    }

    /// The deadline of the open sitting. Null if no sitting is open.
    async fn expires_at(&self, ctx: &Context<'_>) -> Nullable<DateTime> {
        let open = self.card.open_session(ctx).await;
        open.map(|open| open.map(|open| DateTime(open.expires_at))).transpose()
    }
}

impl LearnerCard {
    /// Makes the card of a row of a page. `batch` has the data that the cards of the page share.
    fn of_page(row: mock_test_attempt::Model, batch: &Arc<CardBatch>) -> Self {
        Self { card: Card::of_page(row, batch) }
    }

    fn known_can_start(&self) -> Option<&bool> {
        self.card.known_can_start()
    }

    fn known_extra_seconds(&self) -> Option<&i32> {
        self.card.known_extra_seconds()
    }
}
