//! The fields of a test card that the GraphQL types `MockTestAttempt` and `LearnerCard` share.

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

/// A test card, with the data that the cards of its page share. [`MockTestAttempt`](super::MockTestAttempt) and
/// [`LearnerCard`](super::learner::LearnerCard) include the fields of this type.
pub(super) struct Card {
    pub(super) row: Model,
    batch: Arc<CardBatch>,
}

#[plain_fields]
#[Object]
impl Card {
    /// The subject of the test card.
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

    /// The number of attempts that are used. An attempt counts as used from the start of its sitting.
    async fn attempts_used(&self) -> i32 {
        self.row.attempts_used
    }
}

impl Card {
    /// Makes the card of a row of a page. `batch` has the data that the cards of the page share.
    pub(super) fn of_page(row: Model, batch: &Arc<CardBatch>) -> Self {
        Self { row, batch: Arc::clone(batch) }
    }

    /// Makes the card of a row that was read alone. Its batch has only this card.
    pub(super) fn alone(row: Model) -> Self {
        let batch = Arc::new(CardBatch::of(std::slice::from_ref(&row)));
        Self { row, batch }
    }

    /// Returns whether the learner can start or continue a sitting of the card. Returns None if the page did not
    /// prepare this value.
    pub(super) fn known_can_start(&self) -> Option<&bool> {
        self.batch.known_can_start(self.row.id)
    }

    /// Returns the extra time for each sitting of the card, in seconds. Returns None if the page did not prepare this
    /// value.
    pub(super) fn known_extra_seconds(&self) -> Option<&i32> {
        self.batch.known_extra_seconds(self.row.id)
    }

    /// Returns the outline of the test of the card. Returns None if the page did not prepare this value.
    pub(super) fn known_paper(&self) -> Option<&SessionPaper> {
        self.batch.known_paper(self.row.id)
    }

    /// Returns the grade of the card. The inner option is None if no sitting is scored. The outer option is None if the
    /// page did not prepare this value.
    pub(super) fn known_grade(&self) -> Option<&Option<Decimal>> {
        self.batch.known_grade(self.row.id)
    }

    fn known_subject(&self) -> Option<&Arc<Subject>> {
        self.batch.subject(self.row.subject_id)
    }

    /// Returns the open sitting of the card, or None. The first call reads the open sittings of all cards in the batch.
    pub(super) async fn open_session(&self, ctx: &Context<'_>) -> ApiResult<Option<&test_session::Model>> {
        self.batch.open_session(ctx, &self.row).await
    }

    /// Tells whether the learner can start or continue a sitting of the card now.
    pub(super) async fn can_start(&self, ctx: &Context<'_>) -> ApiResult<bool> {
        let (open, entitlement) = (self.open_session(ctx).await?, self.entitlement(ctx).await?);
        Ok(session::can_start(ctx.services()?, &self.row, open, entitlement))
    }

    /// Returns the outline of the test of the card. Returns None if nobody has started this test yet, so that it has no
    /// paper.
    pub(super) async fn paper(&self, ctx: &Context<'_>) -> ApiResult<Option<Outline>> {
        self.batch.paper(ctx, &self.row).await
    }

    /// Returns the extra time for each sitting of the card, in seconds. Returns 0 if support granted no extra time.
    pub(super) async fn extra_seconds(&self, ctx: &Context<'_>) -> ApiResult<i32> {
        self.batch.extra_seconds(ctx, &self.row).await
    }

    /// Returns the time at which the latest sitting of the card started. Returns None if the card was never sat.
    pub(super) fn latest_attempt_at(&self) -> Option<DateTime> {
        self.row.latest_attempt_at.map(DateTime)
    }

    /// Returns the entitlement that gave the card, even if it has ended.
    async fn entitlement(&self, ctx: &Context<'_>) -> ApiResult<Option<&entitlement::Model>> {
        self.batch.entitlement(ctx, &self.row).await
    }
}
