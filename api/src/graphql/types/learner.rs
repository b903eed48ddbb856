//! Learners, as support sees them.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};
use jishu_entity::{mock_test_attempt, user};

use super::card_batch::CardBatch;
use super::card_page::{CardTotal, page_of};
use super::{CardArgs, MockTestAttemptFilter, MockTestAttemptStatus, Subject};
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, Nullable};
use crate::graphql::node::GlobalKey;
use crate::graphql::pagination::{Connection, ListNode, PageArgs};
use crate::graphql::scalar::DateTime;
use jishu_service::card::CardFilter;
use jishu_service::learner;

pub(in crate::graphql) struct Learner(user::Model);

/// A learner, as support sees them: who they are, and which test cards they have. Any account is one, that of staff too.
/// Of what they answered it shows nothing.
#[Object]
impl Learner {
    /// What to call them.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Their address, in lower case.
    async fn email(&self) -> &str {
        &self.0.email
    }

    /// Their test cards, of all purchases, by subject and number.
    async fn test_cards(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most so many, from the start or from `after`: 1 to 100, 50 if not given.")]
        first: Option<i32>,
        #[graphql(desc = "Only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "At most so many, from the end or from `before`: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only items before this cursor.")] before: Option<String>,
        #[graphql(desc = "Only those that match.")] filter: Option<MockTestAttemptFilter>,
    ) -> ApiResult<LearnerCardConnection> {
        // In no other order: a cursor tells what its card was placed by, and that may be a result.
        let args = CardArgs { page: PageArgs::new(first, after, last, before), filter, order: None };
        page_of(ctx, self.0.id, CardFilter::default(), args, LearnerCard::of).await
    }
}

impl Learner {
    /// The one with this address, for whom may help them.
    pub(in crate::graphql) async fn find(ctx: &Context<'_>, email: &str) -> Nullable<Self> {
        let find = async {
            let support = ctx.require_support().await?;
            Ok(learner::find(ctx.services()?, support, email).await?)
        };
        find.await.map(|found| found.map(Learner)).transpose()
    }
}

/// Not a `MockTestAttempt`, from which its sittings and their answers can be reached.
pub(in crate::graphql) struct LearnerCard(mock_test_attempt::Model, Arc<CardBatch>);

pub(in crate::graphql) type LearnerCardConnection = Connection<LearnerCard, CardTotal>;

impl ListNode for LearnerCard {
    const NAME: &'static str = "LearnerCard";
}

/// A test card of a learner, as support sees it.
#[Object]
impl LearnerCard {
    /// The test card: what `grantExtraTime` takes.
    async fn mock_test_attempt_id(&self) -> ID {
        self.0.id.global()
    }

    /// The subject it tests.
    async fn subject(&self, ctx: &Context<'_>) -> ApiResult<Subject> {
        Ok(Subject(ctx.services()?.catalog.subject(self.0.subject_id).await?))
    }

    /// Its number in the subject, from 1.
    async fn test_number(&self) -> i32 {
        self.0.test_number
    }

    /// What can be done with it.
    async fn status(&self) -> MockTestAttemptStatus {
        self.0.status.into()
    }

    /// How often it may be sat in all.
    async fn max_attempts(&self) -> i32 {
        self.0.max_attempts
    }

    /// How often it was sat.
    async fn attempts_used(&self) -> i32 {
        self.0.attempts_used
    }

    /// Whether the learner can sit it now: a sitting is open, or attempts are left and the entitlement that gave the card
    /// holds.
    async fn can_start(&self, ctx: &Context<'_>) -> ApiResult<bool> {
        self.1.can_start(ctx, &self.0).await
    }

    /// How much longer each of its sittings takes, in seconds: what was granted.
    async fn extra_seconds(&self, ctx: &Context<'_>) -> ApiResult<i32> {
        self.1.extra_seconds(ctx, &self.0).await
    }

    /// When the latest sitting began; null before the first.
    async fn latest_attempt_at(&self) -> Option<DateTime> {
        self.0.latest_attempt_at.map(DateTime)
    }

    /// The deadline of the sitting that is open; null where none is.
    async fn expires_at(&self, ctx: &Context<'_>) -> Nullable<DateTime> {
        let open = self.1.open(ctx, &self.0).await;
        open.map(|open| open.map(|open| DateTime(open.expires_at))).transpose()
    }
}

impl LearnerCard {
    fn of(row: mock_test_attempt::Model, batch: &Arc<CardBatch>) -> Self {
        Self(row, Arc::clone(batch))
    }
}
