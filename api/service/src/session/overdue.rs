//! Closing sittings whose deadline has passed, whichever node finds them.

use std::convert::Infallible;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream};
use jishu_entity::{TestSessionId, test_session};
use rand::seq::SliceRandom;
use sea_orm::{ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{Sitting, SittingRules, close, sitting_of};
use crate::Services;
use crate::database::{Unreadable, WritePolicy, lock_user, read_rows};
use crate::error::{Error, Fault};

/// How many are looked up at once.
const BATCH: usize = 200;
/// How many are closed at once.
const AT_ONCE: usize = 4;
/// How long closing a sitting is retried while other work of its learner conflicts. Then the others come first,
/// and a later search closes this one.
const RETRY_FOR: Duration = Duration::from_secs(1);

/// Closes overdue sittings again and again until the task is dropped.
pub async fn keep_closing(services: Services, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = close_overdue(&services).await {
            tracing::warn!(%error, "overdue sittings could not be looked for; they are closed later");
        }
    }
}

/// What became of the overdue sittings that were found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OverdueReport {
    /// Closed by this call.
    pub closed: usize,
    /// Over, or given more time, by somebody else between being found and being locked.
    pub settled_meanwhile: usize,
}

/// Closes every sitting that is overdue, each as of its deadline; none that another node closes at the same time.
///
/// # Errors
/// When they cannot be looked for. One that cannot be closed is left for the next time.
pub async fn close_overdue(services: &Services) -> Result<OverdueReport, Fault> {
    let mut report = OverdueReport::default();
    // Sittings that cannot be closed stay in the table: the search continues after them.
    let mut left = 0;
    loop {
        let before = (report.closed, left);
        let (mut overdue, unreadable) = find(services, left).await?;
        let is_all = overdue.len() + unreadable.len() < BATCH;
        left += unreadable.len() as u64;
        for Unreadable { key, error, .. } in unreadable {
            tell_once(services, key.first().copied().unwrap_or_default(), &error.into());
        }
        // Nodes that look at the same time begin with others.
        overdue.shuffle(&mut rand::rng());
        let results: Vec<_> = stream::iter(overdue)
            .map(async |session| {
                let id = session.id;
                (id, close_one(services, session).await)
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        for (id, result) in results {
            match result {
                Ok(true) => report.closed += 1,
                Ok(false) => report.settled_meanwhile += 1,
                Err(error) => {
                    left += 1;
                    tell_once(services, id.0, &error);
                }
            }
        }
        if is_all || (report.closed, left) == before {
            if report.closed > 0 {
                let OverdueReport { closed, settled_meanwhile } = report;
                tracing::info!(closed, settled_meanwhile, "overdue sittings were closed");
            }
            return Ok(report);
        }
    }
}

async fn find(services: &Services, after: u64) -> Result<(Vec<test_session::Model>, Vec<Unreadable>), DbErr> {
    let before = services.sittings.rules.overdue_before(services.clock.now());
    let overdue = test_session::Entity::find()
        .filter(test_session::Column::OpenMarker.eq(1))
        .filter(test_session::Column::ExpiresAt.lt(before))
        .order_by_asc(test_session::Column::ExpiresAt)
        .order_by_asc(test_session::Column::Id)
        .offset(after)
        .limit(BATCH as u64);
    read_rows(&services.database.reader().without_time_check(), overdue).await
}

/// Logs once that a sitting could not be closed. Every later search retries it.
fn tell_once(services: &Services, session: i64, error: &Fault) {
    if services.sittings.tells_of(TestSessionId(session)) {
        tracing::warn!(session, %error, "a sitting could not be closed; the server will retry");
    } else {
        tracing::debug!(session, %error, "a sitting still could not be closed");
    }
}

struct Command {
    id: TestSessionId,
    sitting: Sitting,
    rules: SittingRules,
    now: DateTime<Utc>,
}

/// Says whether it was open until now.
async fn close_one(services: &Services, session: test_session::Model) -> Result<bool, Fault> {
    let sitting = sitting_of(services, &session).await?;
    let owner = sitting.owner;
    let now = services.clock.now();
    let command = Command { id: session.id, sitting, rules: services.sittings.rules, now };
    let policy = WritePolicy::idempotent("close overdue").retry_taken_keys();
    let closed = services
        .database
        .retrying_for(RETRY_FOR)
        .write_for(owner, policy, command, |transaction, command| Box::pin(run(transaction, command)))
        .await?;
    if closed {
        services.events.appended(owner);
    }
    Ok(closed)
}

async fn run(transaction: &DatabaseTransaction, command: &Command) -> Result<bool, Error<Infallible>> {
    lock_user(transaction, command.sitting.owner).await?;
    let session = close::lock(transaction, command.id).await?;
    // It was closed meanwhile, or has been given more time.
    if session.open_marker.is_none() || !command.rules.is_overdue(session.expires_at, command.now) {
        return Ok(false);
    }
    close::close(transaction, session, &command.sitting.paper, true, command.now).await?;
    Ok(true)
}
