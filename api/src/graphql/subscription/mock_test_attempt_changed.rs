//! `mockTestAttemptChanged`.

use async_graphql::{Context, ID, Subscription};
use futures_util::{Stream, StreamExt};
use jishu_entity::SubjectId;

use super::begun::has_begun;
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::node::GlobalKey;
use crate::graphql::types::MockTestAttempt;
use jishu_service::card;

#[derive(Default)]
pub(in crate::graphql) struct MockTestAttemptChanged;

#[Subscription]
impl MockTestAttemptChanged {
    /// A test card of the viewer, each time one is created or changes: a purchase on any device creates its cards,
    /// told once each by subject and number; a sitting starts or ends on any device; the server closes an overdue
    /// one; support extends it. What happens on other nodes of the server is told within a second. Changes that
    /// follow each other closely are told as one, the card as it is then. What changed before the subscription is
    /// not told: subscribe first, then read `viewer.mockTestAttempts`. What is asked later over the same WebSocket,
    /// or once the head of the event stream is there, falls into no gap.
    async fn mock_test_attempt_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only cards of this subject.")] subject_id: Option<ID>,
    ) -> Result<impl Stream<Item = ApiResult<MockTestAttempt>>, ApiError> {
        let viewer = ctx.require_viewer()?;
        let services = ctx.services()?;
        let subject = subject_id.map(|id| {
            SubjectId::parse(&id).filter(|id| services.catalog.snapshot().subject(*id).is_some()).ok_or_else(
                || ApiError::bad_input("There is no such subject. Take `subjectId` from `course.subjects`."),
            )
        });
        let changes = card::changes(services, viewer.user_id, subject.transpose()?).await?;
        has_begun(ctx);
        Ok(changes.map(|card| card.map(MockTestAttempt::from).map_err(ApiError::from)))
    }
}
