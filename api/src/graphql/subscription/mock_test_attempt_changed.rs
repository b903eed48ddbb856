//! The subscription `mockTestAttemptChanged`.

use async_graphql::{Context, ID, Subscription};
use futures_util::{Stream, StreamExt};
use jishu_entity::SubjectId;

use super::start_signal::signal_start;
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::node::GlobalKey;
use crate::graphql::types::MockTestAttempt;
use jishu_service::card;

#[derive(Default)]
pub(in crate::graphql) struct MockTestAttemptChanged;

#[Subscription]
impl MockTestAttemptChanged {
    /// Sends a test card of the viewer each time the card is created or changed, by any device, by the server or by
    /// support. After a purchase, each new card arrives once, in the order of subject and test number. Changes on other
    /// nodes of the server arrive within a second. Changes of a card that follow each other closely arrive as one event
    /// with the latest state. To miss no change, subscribe first, and then read `viewer.mockTestAttempts`. Send this
    /// query over the same WebSocket, or after the response headers of the event stream have arrived.
    async fn mock_test_attempt_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only cards for this subject.")] subject_id: Option<ID>,
    ) -> Result<impl Stream<Item = ApiResult<MockTestAttempt>>, ApiError> {
        let viewer = ctx.require_viewer()?;
        let services = ctx.services()?;
        let subject = subject_id.map(|id| {
            SubjectId::parse(&id).filter(|id| services.catalog.snapshot().subject(*id).is_some()).ok_or_else(
                || {
                    ApiError::bad_input(
                        "There is no such subject. Take `subjectId` from a field such as `course.subjects`.",
                    )
                },
            )
        });
        let changes = card::changes(services, viewer.user_id, subject.transpose()?).await?;
        signal_start(ctx);
        Ok(changes.map(|card| card.map(MockTestAttempt::from).map_err(ApiError::from)))
    }
}
