//! The clock of a sitting, as it goes.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{Stream, stream};
use jishu_entity::test_session::{Column, Entity, SessionStatus};
use jishu_entity::{MockTestAttemptId, TestSessionId, UserId, test_answer};
use sea_orm::sea_query::{ExprTrait, Query, SubQueryStatement};
use sea_orm::{ColumnTrait, DbErr, FromQueryResult, IntoSimpleExpr, QueryFilter, QuerySelect};
use tokio::time::{Instant, timeout_at};

use crate::Services;
use crate::error::{Error, Fault, Refusal};
use crate::events::{Watch, WatchedChange, read_with_retries};

/// What a sitting's clock shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionClock {
    /// When it was read.
    pub now: DateTime<Utc>,
    /// The deadline.
    pub expires_at: DateTime<Utc>,
    /// How far the sitting is.
    pub status: SessionStatus,
    /// The greatest number of a batch whose answers stand; 0 before the first.
    pub answer_sequence: i32,
}

impl SessionClock {
    /// Whole seconds until the deadline, rounded up; 0 once it has passed or the sitting is over.
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

/// Why a clock is not shown.
#[derive(Debug, thiserror::Error)]
pub enum SessionClockRefusal {
    /// There is no such sitting of this user.
    #[error("There is no such sitting.")]
    NotFound,
}

impl Refusal for SessionClockRefusal {}

/// The clock of a user's sitting: at once, at each change and `every` so often, until the sitting is over.
///
/// # Errors
/// When there is no such sitting of this user, or the database fails.
pub async fn watch(
    services: &Services,
    owner: UserId,
    session: TestSessionId,
    every: Duration,
) -> Result<impl Stream<Item = Result<SessionClock, Fault>> + Send + use<>, Error<SessionClockRefusal>> {
    // Before it is read, so that nothing falls between.
    let watch = services.events.watch(owner, Some(session)).await?;
    let row = read(services, owner, session).await?.ok_or(SessionClockRefusal::NotFound)?;
    let watching = Watching {
        card: row.mock_test_attempt_id,
        first: Some(row),
        watch,
        services: services.clone(),
        owner,
        session,
        every,
        next: Instant::now(),
        is_over: false,
    };
    Ok(stream::try_unfold(watching, async |mut watching| {
        Ok(watching.next().await?.map(|clock| (clock, watching)))
    }))
}

struct Watching {
    watch: Watch,
    services: Services,
    owner: UserId,
    session: TestSessionId,
    card: MockTestAttemptId,
    every: Duration,
    /// What was read before the first was told.
    first: Option<Row>,
    /// When the next is due, changed or not.
    next: Instant,
    is_over: bool,
}

impl Watching {
    /// None after the clock that tells of the end.
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
        self.next = Instant::now() + self.every;
        Ok(Some(clock))
    }

    async fn changed_or_due(&self) {
        let mine = [WatchedChange::Card(self.card), WatchedChange::Answers(self.session)];
        while let Ok(changes) = timeout_at(self.next, self.watch.changes()).await {
            if mine.iter().any(|change| changes.contains(change)) {
                return;
            }
        }
    }
}

#[derive(FromQueryResult)]
struct Row {
    mock_test_attempt_id: MockTestAttemptId,
    status: SessionStatus,
    expires_at: DateTime<Utc>,
    answer_sequence: Option<i32>,
}

/// In one statement: the status is never older than the answers.
async fn read(services: &Services, owner: UserId, session: TestSessionId) -> Result<Option<Row>, DbErr> {
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
