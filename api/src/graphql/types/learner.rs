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
use crate::service::card::CardFilter;
use crate::service::learner;

pub(in crate::graphql) struct Learner(user::Model);

/// An account and its test cards, as support sees them. It can be any account, including one of staff. It never
/// shows answers or results.
#[Object]
impl Learner {
    /// The name of the person.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// The e-mail address of the account, in lower case.
    async fn email(&self) -> &str {
        &self.0.email
    }

    /// The test cards from all purchases, by subject and test number.
    async fn test_cards(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "The maximum number of items, counted from the start or from `after`: 1 to 100, default 50."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "The maximum number of items, counted from the end or from `before`: 1 to 100.")]
        last: Option<i32>,
        #[graphql(desc = "Only items before this cursor.")] before: Option<String>,
        #[graphql(desc = "Only cards that match this filter.")] filter: Option<MockTestAttemptFilter>,
    ) -> ApiResult<LearnerCardConnection> {
        // The order is fixed: a cursor contains the sort key of its card, and a sort by percentage would reveal a
        // result.
        let args = CardArgs { page: PageArgs::new(first, after, last, before), filter, order: None };
        page_of(ctx, self.0.id, CardFilter::default(), args, LearnerCard::of).await
    }
}

impl Learner {
    /// Finds the account with this e-mail address. Refuses viewers who are not support staff.
    pub(in crate::graphql) async fn find(ctx: &Context<'_>, email: &str) -> Nullable<Self> {
        let find = async {
            let support = ctx.require_support().await?;
            Ok(learner::find(ctx.services()?, support, email).await?)
        };
        find.await.map(|found| found.map(Learner)).transpose()
    }
}

/// A test card as support sees it. Unlike `MockTestAttempt`, it leads to no sittings and no answers.
pub(in crate::graphql) struct LearnerCard(mock_test_attempt::Model, Arc<CardBatch>);

pub(in crate::graphql) type LearnerCardConnection = Connection<LearnerCard, CardTotal>;

impl ListNode for LearnerCard {
    const NAME: &'static str = "LearnerCard";
}

/// A test card of a learner, as support sees it.
#[Object]
impl LearnerCard {
    /// The id of the test card, for `grantExtraTime`.
    async fn mock_test_attempt_id(&self) -> ID {
        self.0.id.global()
    }

    /// The subject of the test.
    async fn subject(&self, ctx: &Context<'_>) -> ApiResult<Subject> {
        Ok(Subject(ctx.services()?.catalog.subject(self.0.subject_id).await?))
    }

    /// The number of the test in its subject, counted from 1.
    async fn test_number(&self) -> i32 {
        self.0.test_number
    }

    /// The status of the test card.
    async fn status(&self) -> MockTestAttemptStatus {
        self.0.status.into()
    }

    /// The total number of attempts that the test card allows.
    async fn max_attempts(&self) -> i32 {
        self.0.max_attempts
    }

    /// The number of attempts used. An attempt counts from the start of its sitting.
    async fn attempts_used(&self) -> i32 {
        self.0.attempts_used
    }

    /// Whether the learner can start or continue a sitting now. It needs an open sitting, or an attempt left and a
    /// valid entitlement.
    async fn can_start(&self, ctx: &Context<'_>) -> ApiResult<bool> {
        self.1.can_start(ctx, &self.0).await
    }

    /// The extra time that support granted for each sitting, in seconds. 0 if none was granted.
    async fn extra_seconds(&self, ctx: &Context<'_>) -> ApiResult<i32> {
        self.1.extra_seconds(ctx, &self.0).await
    }

    /// The start of the latest sitting. Null if there was none.
    async fn latest_attempt_at(&self) -> Option<DateTime> {
        self.0.latest_attempt_at.map(DateTime)
    }

    /// The deadline of the open sitting. Null if no sitting is open.
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
