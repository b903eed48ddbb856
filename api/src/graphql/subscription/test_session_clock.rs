//! The subscription `testSessionClock`.

use std::time::Duration;

use async_graphql::{Context, ID, Object, Subscription};
use futures_util::{Stream, StreamExt};
use jishu_entity::TestSessionId;

use super::start_signal::signal_start;
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiError, ApiResult, refused_or};
use crate::graphql::node::GlobalKey;
use crate::graphql::scalar::DateTime;
use crate::graphql::types::TestSessionStatus;
use jishu_service::session::clock::{self, SessionClockRefusal};

/// The allowed range of the argument `every`: the seconds between two events if nothing changes in between.
const INTERVAL_SECONDS: std::ops::RangeInclusive<u64> = 1..=60;

struct SessionClock {
    clock: clock::SessionClock,
}

/// The remaining time and the state of a sitting, by the server's clock.
#[Object]
impl SessionClock {
    /// The time of the server's clock at which the values of this event were read. The difference from the device's
    /// time is the error of the device's clock.
    async fn server_time(&self) -> DateTime {
        DateTime(self.clock.now)
    }

    /// The deadline of the sitting. It moves only if support grants extra time, and only to a later time.
    async fn expires_at(&self) -> DateTime {
        DateTime(self.clock.expires_at)
    }

    /// The time until the deadline, in seconds, rounded up. 0 after the deadline, and after the end of the sitting.
    async fn seconds_remaining(&self) -> i32 {
        i32::try_from(self.clock.seconds_remaining()).unwrap_or(i32::MAX)
    }

    /// The status of the sitting.
    async fn status(&self) -> TestSessionStatus {
        self.clock.status.into()
    }

    /// The greatest number of a batch with a saved answer, from all devices. 0 if no answer is saved.
    async fn answer_sequence(&self) -> i32 {
        self.clock.answer_sequence
    }
}

#[derive(Default)]
pub(in crate::graphql) struct TestSessionClock;

#[Subscription]
impl TestSessionClock {
    /// Sends the clock of a sitting of the viewer: at once, at every change of the sitting (extra time, its end, saved
    /// answers), and after `every` seconds without a change. Answers that are saved on another node of the server
    /// appear with the next event. Other changes of the sitting on another node arrive within a second. The
    /// subscription completes after the event that reports the end of the sitting.
    async fn test_session_clock(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of the sitting.")] session_id: ID,
        #[graphql(desc = "The maximum time between two events, in seconds: 1 to 60.", default = 10)]
        every: i32,
    ) -> Result<impl Stream<Item = ApiResult<SessionClock>>, ApiError> {
        let viewer = ctx.require_viewer()?;
        let seconds = u64::try_from(every)
            .ok()
            .filter(|seconds| INTERVAL_SECONDS.contains(seconds))
            .ok_or_else(|| {
                let (least, most) = (INTERVAL_SECONDS.start(), INTERVAL_SECONDS.end());
                ApiError::bad_input(format!("`every` must be {least} to {most} seconds; {every} was given."))
            })?;
        let every = Duration::from_secs(seconds);
        let clock = match TestSessionId::parse(&session_id) {
            Some(session) => clock::watch(ctx.services()?, viewer.user_id, session, every).await,
            None => Err(SessionClockRefusal::NotFound.into()),
        };
        let clock = refused_or(clock)?.map_err(|refusal| ApiError::bad_input(refusal.to_string()))?;
        signal_start(ctx);
        Ok(clock.map(|clock| clock.map(|clock| SessionClock { clock }).map_err(ApiError::from)))
    }
}
