//! The fields of a test card that learners and support see alike.

use std::sync::Arc;

use async_graphql::{Context, Object};
use graphql_engine::plain_fields;
use jishu_entity::mock_test_attempt::Model;
use jishu_entity::{entitlement, test_session};

use super::card_batch::CardBatch;
use super::{MockTestAttemptStatus, SessionPaper, Subject};
use crate::graphql::context::ContextExt;
use crate::graphql::error::ApiResult;
use crate::graphql::scalar::{DateTime, Decimal};
use jishu_service::paper::Outline;
use jishu_service::session;

/// A test card, with the batch of its page. [`MockTestAttempt`](super::MockTestAttempt) and
/// [`LearnerCard`](super::learner::LearnerCard) include its fields in their own.
pub(super) struct Card {
    pub(super) row: Model,
    batch: Arc<CardBatch>,
}

#[plain_fields]
#[Object]
impl Card {
    /// The subject of the test.
    #[shared(known_subject)]
    async fn subject(&self, ctx: &Context<'_>) -> ApiResult<Subject> {
        match self.known_subject() {
            Some(subject) => Ok(Subject::clone(subject)),
            None => Subject::load(ctx, self.row.subject_id).await,
        }
    }

    /// The number of the test in its subject, counted from 1.
    async fn test_number(&self) -> i32 {
        self.row.test_number
    }

    /// The status of the test card.
    async fn status(&self) -> MockTestAttemptStatus {
        self.row.status.into()
    }

    /// The total number of attempts that the test card allows.
    async fn max_attempts(&self) -> i32 {
        self.row.max_attempts
    }

    /// The number of attempts used. An attempt counts from the start of its sitting.
    async fn attempts_used(&self) -> i32 {
        self.row.attempts_used
    }
}

impl Card {
    /// Makes a card of a page. `batch` holds the cards of the page.
    pub(super) fn of_page(row: Model, batch: &Arc<CardBatch>) -> Self {
        Self { row, batch: Arc::clone(batch) }
    }

    /// Makes a card that was read alone.
    pub(super) fn alone(row: Model) -> Self {
        let batch = Arc::new(CardBatch::of(std::slice::from_ref(&row)));
        Self { row, batch }
    }

    /// Returns whether the learner can start or continue a sitting, if the page has prepared that.
    pub(super) fn known_can_start(&self) -> Option<&bool> {
        self.batch.known_can_start(self.row.id)
    }

    /// Returns the extra time for each sitting in seconds, if the page has prepared that.
    pub(super) fn known_extra_seconds(&self) -> Option<&i32> {
        self.batch.known_extra_seconds(self.row.id)
    }

    /// Returns the outline of the test, if the page has prepared that.
    pub(super) fn known_paper(&self) -> Option<&SessionPaper> {
        self.batch.known_paper(self.row.id)
    }

    /// Returns the marks that count, if the page has prepared that.
    pub(super) fn known_grade(&self) -> Option<&Option<Decimal>> {
        self.batch.known_grade(self.row.id)
    }

    fn known_subject(&self) -> Option<&Arc<Subject>> {
        self.batch.subject(self.row.subject_id)
    }

    /// Returns the open sitting.
    pub(super) async fn open_session(&self, ctx: &Context<'_>) -> ApiResult<Option<&test_session::Model>> {
        self.batch.open_session(ctx, &self.row).await
    }

    /// Tells whether the learner can start or continue a sitting.
    pub(super) async fn can_start(&self, ctx: &Context<'_>) -> ApiResult<bool> {
        let (open, entitlement) = (self.open_session(ctx).await?, self.entitlement(ctx).await?);
        Ok(session::can_start(ctx.services()?, &self.row, open, entitlement))
    }

    /// Returns the outline of the paper, if the paper has been made.
    pub(super) async fn paper(&self, ctx: &Context<'_>) -> ApiResult<Option<Outline>> {
        self.batch.paper(ctx, &self.row).await
    }

    /// Returns the extra time for each sitting, in seconds.
    pub(super) async fn extra_seconds(&self, ctx: &Context<'_>) -> ApiResult<i32> {
        self.batch.extra_seconds(ctx, &self.row).await
    }

    /// Returns the start of the latest sitting.
    pub(super) fn latest_attempt_at(&self) -> Option<DateTime> {
        self.row.latest_attempt_at.map(DateTime)
    }

    /// Returns the entitlement that gave the card.
    async fn entitlement(&self, ctx: &Context<'_>) -> ApiResult<Option<&entitlement::Model>> {
        self.batch.entitlement(ctx, &self.row).await
    }
}
