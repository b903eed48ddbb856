//! `mockTestAttemptChanged`.

use async_graphql::{Context, ID, Subscription};
use futures_util::{Stream, StreamExt};
use jishu_entity::SubjectId;

use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::node::GlobalKey;
use crate::graphql::types::MockTestAttempt;
use crate::service::card;

#[derive(Default)]
pub(in crate::graphql) struct MockTestAttemptChanged;

#[Subscription]
impl MockTestAttemptChanged {
    /// A test card of the viewer, each time one is created: after a purchase on any device, once for each of its
    /// cards, by subject and number. Purchases of other nodes of the server are told within a second. What
    /// changed before the subscription is not told: subscribe first, then read `viewer.mockTestAttempts`.
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
        Ok(changes.map(|card| card.map(MockTestAttempt).map_err(ApiError::from)))
    }
}
