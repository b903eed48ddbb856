//! Test cards.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object};
use jishu_entity::mock_test_attempt::{self, CardStatus};
use jishu_entity::subject::GradingMethod;

use super::card_batch::CardBatch;
use super::{Purchase, SessionPaper, Subject, TestSession, TestSessionConnection, session_page};
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, Nullable};
use crate::graphql::node::GlobalKey;
use crate::graphql::pagination::PageArgs;
use crate::graphql::scalar::{DateTime, Decimal, hundredths};
use jishu_service::paper::Outline;
use jishu_service::scoring;

/// What can be done with a test card.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "CardStatus")]
pub(in crate::graphql) enum MockTestAttemptStatus {
    /// Never sat.
    Available,
    /// A sitting is open.
    InProgress,
    /// Sat, and attempts are left.
    Completed,
    /// Every attempt is used.
    Exhausted,
}

pub(in crate::graphql) struct MockTestAttempt(mock_test_attempt::Model, Arc<CardBatch>);

/// A test card: one numbered mock test that a purchase gave a user, to be sat up to `maxAttempts` times.
#[Object]
impl MockTestAttempt {
    /// Global and opaque.
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.0.id.global()
    }

    /// The purchase that gave it.
    async fn purchase(&self) -> Purchase {
        Purchase::lazy(self.0.user_id, self.0.purchase_id)
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

    /// How often it may be sat.
    async fn max_attempts(&self) -> i32 {
        self.0.max_attempts
    }

    /// How often it was sat; a sitting counts from its start.
    async fn attempts_used(&self) -> i32 {
        self.0.attempts_used
    }

    /// How many attempts are left; `canStart` tells whether one can begin.
    async fn remaining_attempts(&self) -> i32 {
        (self.0.max_attempts - self.0.attempts_used).max(0)
    }

    /// Whether `startTestSession` gives an open sitting now: one is open, or attempts are left and the entitlement that
    /// gave the card holds. A test that nobody has sat can still lack questions.
    async fn can_start(&self, ctx: &Context<'_>) -> ApiResult<bool> {
        self.1.can_start(ctx, &self.0).await
    }

    /// What its next sitting has, or the one that is open: fixed once anybody has sat this test, and until then by the
    /// subject's settings as they are now.
    async fn paper(&self, ctx: &Context<'_>) -> ApiResult<SessionPaper> {
        Ok(match self.1.paper(ctx, &self.0).await? {
            Some(made) => made.into(),
            None => Outline::from(&*ctx.services()?.catalog.subject(self.0.subject_id).await?).into(),
        })
    }

    /// How much longer than `paper.timeLimitSeconds` each sitting takes, in seconds: what support granted; mostly 0.
    async fn extra_time_seconds(&self, ctx: &Context<'_>) -> ApiResult<i32> {
        self.1.extra_seconds(ctx, &self.0).await
    }

    /// When the latest sitting began; null before the first.
    async fn latest_attempt_at(&self) -> Option<DateTime> {
        self.0.latest_attempt_at.map(DateTime)
    }

    /// The marks of the latest scored sitting; null before the first.
    async fn latest_score(&self) -> Option<Decimal> {
        hundredths(self.0.latest_score)
    }

    /// The latest score in per cent of the most that could be had; null before the first.
    async fn latest_percentage(&self) -> Option<Decimal> {
        hundredths(self.0.latest_percentage)
    }

    /// The marks of the first scored sitting; null before it.
    async fn first_score(&self) -> Option<Decimal> {
        hundredths(self.0.first_score)
    }

    /// The marks of the best scored sitting; null before the first.
    async fn best_score(&self) -> Option<Decimal> {
        hundredths(self.0.best_score)
    }

    /// What counts of its sittings, in marks, by the subject's `markingScheme.gradingMethod`; null before the first scored
    /// sitting.
    async fn grade(&self, ctx: &Context<'_>) -> Nullable<Decimal> {
        self.graded(ctx).await.map(hundredths).transpose()
    }

    /// The sitting that is open; null where none is.
    async fn open_session(&self, ctx: &Context<'_>) -> Nullable<TestSession> {
        let open = self.1.open(ctx, &self.0).await;
        open.map(|open| open.cloned().map(TestSession::from)).transpose()
    }

    /// Its sittings, newest first.
    async fn sessions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most so many, from the start or from `after`: 1 to 100, 50 if not given.")]
        first: Option<i32>,
        #[graphql(desc = "Only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "At most so many, from the end or from `before`: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only items before this cursor.")] before: Option<String>,
    ) -> ApiResult<TestSessionConnection> {
        session_page(ctx, self.0.user_id, Some(self.0.id), PageArgs::new(first, after, last, before)).await
    }
}

impl MockTestAttempt {
    /// One of a page, whose cards are a batch.
    pub(super) fn of(row: mock_test_attempt::Model, batch: &Arc<CardBatch>) -> Self {
        Self(row, Arc::clone(batch))
    }

    async fn graded(&self, ctx: &Context<'_>) -> ApiResult<Option<i32>> {
        let method = ctx.services()?.catalog.subject(self.0.subject_id).await?.grading_method;
        Ok(match method {
            GradingMethod::Latest => self.0.latest_score,
            GradingMethod::Highest => self.0.best_score,
            GradingMethod::First => self.0.first_score,
            GradingMethod::Average if self.0.latest_score.is_none() => None,
            GradingMethod::Average => {
                let scores = ctx.loaders()?.scores.load_one((self.0.user_id, self.0.id)).await?;
                scoring::grade(method, &scores.unwrap_or_default())
            }
        })
    }
}

/// One that was read alone.
impl From<mock_test_attempt::Model> for MockTestAttempt {
    fn from(row: mock_test_attempt::Model) -> Self {
        let batch = CardBatch::of(std::slice::from_ref(&row));
        Self(row, Arc::new(batch))
    }
}
