//! `testSessionClock`.

use std::time::Duration;

use async_graphql::{Context, ID, Object, Subscription};
use futures_util::{Stream, StreamExt};
use jishu_entity::TestSessionId;

use super::begun::has_begun;
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::node::GlobalKey;
use crate::graphql::scalar::DateTime;
use crate::graphql::types::TestSessionStatus;
use jishu_service::session::clock::{self, SessionClockError};

/// The least and the most seconds between two events without a change.
const EVERY: std::ops::RangeInclusive<u64> = 1..=60;

struct SessionClock(clock::SessionClock);

/// A sitting's time as the server has it.
#[Object]
impl SessionClock {
    /// The server's time when this was read. The difference to the device's own is what its clock is wrong by.
    async fn server_time(&self) -> DateTime {
        DateTime(self.0.now)
    }

    /// The deadline. It moves only when support grants extra time, and only later.
    async fn expires_at(&self) -> DateTime {
        DateTime(self.0.expires_at)
    }

    /// Seconds until the deadline, rounded up; 0 once it has passed or the sitting is over.
    async fn seconds_remaining(&self) -> i32 {
        i32::try_from(self.0.seconds_remaining()).unwrap_or(i32::MAX)
    }

    /// How far the sitting is.
    async fn status(&self) -> TestSessionStatus {
        self.0.status.into()
    }

    /// The greatest `sequence` among the saved answers, from any device; 0 before the first.
    async fn answer_sequence(&self) -> i32 {
        self.0.answer_sequence
    }
}

#[derive(Default)]
pub(in crate::graphql) struct TestSessionClock;

#[Subscription]
impl TestSessionClock {
    /// The clock of a sitting of the viewer: at once, at every change (extra time, the end, answers saved), and
    /// when nothing changed for `every` seconds. Answers that another node of the server saved show with the next
    /// event; all else that happens there is told within a second. Completes after the event that tells that the
    /// sitting is over.
    async fn test_session_clock(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The sitting.")] session_id: ID,
        #[graphql(desc = "At most so many seconds between two events: 1 to 60.", default = 10)] every: i32,
    ) -> Result<impl Stream<Item = ApiResult<SessionClock>>, ApiError> {
        let viewer = ctx.require_viewer()?;
        let seconds =
            u64::try_from(every).ok().filter(|seconds| EVERY.contains(seconds)).ok_or_else(|| {
                let (least, most) = (EVERY.start(), EVERY.end());
                ApiError::bad_input(format!("`every` is {least} to {most} seconds; {every} was given."))
            })?;
        let every = Duration::from_secs(seconds);
        let clock = match TestSessionId::parse(&session_id) {
            Some(session) => clock::watch(ctx.services()?, viewer.user_id, session, every).await,
            None => Err(SessionClockError::NotFound),
        };
        let clock = clock.map_err(|error| match error {
            SessionClockError::NotFound => ApiError::bad_input(error.to_string()),
            SessionClockError::Database(error) => error.into(),
        })?;
        has_begun(ctx);
        Ok(clock.map(|clock| clock.map(SessionClock).map_err(ApiError::from)))
    }
}
