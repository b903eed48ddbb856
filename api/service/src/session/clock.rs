//! Streams the clock of a sitting: the server's time, the deadline, the status, and the number of the last saved batch.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{Stream, stream};
use jishu_entity::test_session::{Column, Entity, SessionStatus};
use jishu_entity::{MockTestAttemptId, TestSessionId, UserId, test_answer};
use jishu_service_macros::service_call;
use sea_orm::sea_query::{ExprTrait, Query, SubQueryStatement};
use sea_orm::{ColumnTrait, DbErr, FromQueryResult, IntoSimpleExpr, QueryFilter, QuerySelect};
use tokio::time::{Instant, timeout_at};

use crate::Services;
use crate::error::{Error, Fault, Refusal};
use crate::events::{Watch, WatchedChange, read_with_retries};

/// The clock of a sitting at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionClock {
    /// The time at which the clock was read.
    pub now: DateTime<Utc>,
    /// The deadline of the sitting.
    pub expires_at: DateTime<Utc>,
    /// The status of the sitting.
    pub status: SessionStatus,
    /// The greatest number of a batch that has stored answers in the sitting; 0 if no answers are stored.
    pub answer_sequence: i32,
}

impl SessionClock {
    /// Returns the seconds until the deadline, rounded up, or 0 if the deadline has passed or the sitting is over.
    #[must_use]
    pub fn seconds_remaining(&self) -> i64 {
        if self.is_over() {
            return 0;
        }
        let remaining = (self.expires_at - self.now).max(TimeDelta::zero());
        remaining.num_seconds() + i64::from(remaining.subsec_nanos() > 0)
    }

    fn is_over(&self) -> bool {
        self.status != SessionStatus::InProgress
    }
}

/// A reason not to show a clock.
#[derive(Debug, thiserror::Error)]
pub enum SessionClockRefusal {
    /// The user has no such sitting.
    #[error("There is no such sitting.")]
    NotFound,
}

impl Refusal for SessionClockRefusal {}

/// Streams the clock of a user's sitting: at once, after each change of the sitting or its saved answers, and when no
/// clock was sent for `interval`. The stream ends after the clock that shows that the sitting is over.
///
/// # Errors
/// Fails if the user has no such sitting, or the database fails.
#[service_call("session.watch")]
pub async fn watch(
    services: &Services,
    owner: UserId,
    session: TestSessionId,
    interval: Duration,
) -> Result<impl Stream<Item = Result<SessionClock, Fault>> + Send + use<>, Error<SessionClockRefusal>> {
    // Watch for changes before reading the sitting, so that no change between the two steps is missed.
    let watch = services.events.watch(owner, Some(session)).await?;
    let row = read(services, owner, session).await?.ok_or(SessionClockRefusal::NotFound)?;
    let watching = Watching {
        card: row.mock_test_attempt_id,
        first: Some(row),
        watch,
        services: services.clone(),
        owner,
        session,
        interval,
        next_due: Instant::now(),
        is_over: false,
    };
    Ok(stream::try_unfold(watching, async |mut watching| {
        Ok(watching.next().await?.map(|clock| (clock, watching)))
    }))
}

/// The state of a stream of clocks.
struct Watching {
    watch: Watch,
    services: Services,
    owner: UserId,
    session: TestSessionId,
    card: MockTestAttemptId,
    interval: Duration,
    /// The row that was read when the stream began; None after its clock was sent.
    first: Option<ClockRow>,
    /// The time at which the next clock is sent if the sitting does not change before.
    next_due: Instant,
    is_over: bool,
}

impl Watching {
    /// Waits for the next clock. Returns None after the clock that showed that the sitting is over.
    async fn next(&mut self) -> Result<Option<SessionClock>, Fault> {
        if self.is_over {
            return Ok(None);
        }
        let row = match self.first.take() {
            Some(row) => row,
            None => {
                self.changed_or_due().await;
                let row = read_with_retries(|| read(&self.services, self.owner, self.session)).await?;
                row.ok_or_else(|| Fault::missing(format_args!("sitting {}", self.session)))?
            }
        };
        let clock = SessionClock {
            now: self.services.clock.now(),
            expires_at: row.expires_at,
            status: row.status,
            answer_sequence: row.answer_sequence.unwrap_or(0),
        };
        self.is_over = clock.is_over();
        self.next_due = Instant::now() + self.interval;
        Ok(Some(clock))
    }

    /// Waits until the sitting or its saved answers change, or until the next clock is due.
    async fn changed_or_due(&self) {
        let relevant = [WatchedChange::Card(self.card), WatchedChange::Answers(self.session)];
        while let Ok(changes) = timeout_at(self.next_due, self.watch.changes()).await {
            if relevant.iter().any(|change| changes.contains(change)) {
                return;
            }
        }
    }
}

/// The part of a clock that is stored.
#[derive(FromQueryResult)]
struct ClockRow {
    mock_test_attempt_id: MockTestAttemptId,
    status: SessionStatus,
    expires_at: DateTime<Utc>,
    answer_sequence: Option<i32>,
}

/// Reads the stored part of a clock. One statement reads all of this part, so the status and the number of the last
/// saved batch are from the same moment. Returns None if the user has no such sitting.
async fn read(services: &Services, owner: UserId, session: TestSessionId) -> Result<Option<ClockRow>, DbErr> {
    let greatest = Query::select()
        .expr(test_answer::Column::Sequence.into_simple_expr().max())
        .from(test_answer::Entity)
        .and_where(test_answer::Column::SessionId.eq(session))
        .take();
    Entity::of(owner)
        .select_only()
        .columns([Column::MockTestAttemptId, Column::Status, Column::ExpiresAt])
        .expr_as(SubQueryStatement::from(greatest), "answer_sequence")
        .filter(Column::Id.eq(session))
        .into_model()
        .one(services.database.reader())
        .await
}
