//! Closes sittings whose deadline has passed. Every node does this for all sittings.

use std::convert::Infallible;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream};
use jishu_entity::{TestSessionId, test_session};
use jishu_service_macros::service_call;
use rand::seq::SliceRandom;
use sea_orm::{ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{Sitting, SittingRules, close, sitting_of};
use crate::Services;
use crate::database::{Unreadable, WritePolicy, lock_user, read_rows};
use crate::error::{Error, Fault};

/// Maximum number of sittings in one search.
const SITTINGS_PER_SEARCH: usize = 200;
/// Maximum number of sittings that are closed at the same time.
const MAX_CONCURRENT_CLOSES: usize = 4;
/// Time for which closing a sitting is retried if other writes of its learner conflict. After it, the other sittings
/// come first, and a later search closes this one.
const RETRY_DURATION: Duration = Duration::from_secs(1);

/// Closes overdue sittings at an interval, until the task is dropped.
#[service_call]
pub async fn keep_closing(services: Services, interval: Duration) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = close_overdue(&services).await {
            tracing::warn!(%error, "the search for overdue sittings failed; the server will retry");
        }
    }
}

/// The result of a search for overdue sittings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OverdueReport {
    /// The number of sittings that this call closed.
    pub closed: usize,
    /// The number of sittings that were closed, or got more time, after this call found them and before it locked them.
    pub settled_meanwhile: usize,
}

/// Closes every overdue sitting. Its end is its deadline. A sitting that another node closes at the same time is only
/// counted.
///
/// # Errors
/// Fails if the search fails. A sitting that cannot be closed remains for the next call.
#[service_call("session.close_overdue")]
pub async fn close_overdue(services: &Services) -> Result<OverdueReport, Fault> {
    let mut report = OverdueReport::default();
    // A search would find the sittings that cannot be closed again, so it skips them.
    let mut skipped = 0;
    loop {
        let before = (report.closed, skipped);
        let (mut overdue, unreadable) = find(services, skipped).await?;
        let is_last_page = overdue.len() + unreadable.len() < SITTINGS_PER_SEARCH;
        skipped += unreadable.len() as u64;
        for Unreadable { key, error, .. } in unreadable {
            log_failure(services, key.first().copied().unwrap_or_default(), &error.into());
        }
        // Shuffle, so nodes that search at the same time close different sittings first.
        overdue.shuffle(&mut rand::rng());
        let results: Vec<_> = stream::iter(overdue)
            .map(async |session| {
                let id = session.id;
                (id, close_one(services, session).await)
            })
            .buffer_unordered(MAX_CONCURRENT_CLOSES)
            .collect()
            .await;
        for (id, result) in results {
            match result {
                Ok(true) => report.closed += 1,
                Ok(false) => report.settled_meanwhile += 1,
                Err(error) => {
                    skipped += 1;
                    log_failure(services, id.0, &error);
                }
            }
        }
        if is_last_page || (report.closed, skipped) == before {
            if report.closed > 0 {
                let OverdueReport { closed, settled_meanwhile } = report;
                tracing::info!(closed, settled_meanwhile, "overdue sittings were closed");
            }
            return Ok(report);
        }
    }
}

/// Finds overdue sittings, after skipping some.
async fn find(services: &Services, skip: u64) -> Result<(Vec<test_session::Model>, Vec<Unreadable>), DbErr> {
    let before = services.sittings.rules.overdue_before(services.clock.now());
    let overdue = test_session::Entity::find()
        .filter(test_session::Column::OpenMarker.eq(1))
        .filter(test_session::Column::ExpiresAt.lt(before))
        .order_by_asc(test_session::Column::ExpiresAt)
        .order_by_asc(test_session::Column::Id)
        .offset(skip)
        .limit(SITTINGS_PER_SEARCH as u64);
    read_rows(&services.database.reader().without_time_check(), overdue).await
}

/// Logs that a sitting could not be closed: the first time as a warning, later for debugging only.
fn log_failure(services: &Services, session: i64, error: &Fault) {
    if services.sittings.is_first_failure_of(TestSessionId(session)) {
        tracing::warn!(session, %error, "a sitting could not be closed; the server will retry");
    } else {
        tracing::debug!(session, %error, "a sitting still could not be closed");
    }
}

/// An overdue sitting that [`run`] closes.
struct CloseCommand {
    id: TestSessionId,
    sitting: Sitting,
    rules: SittingRules,
    now: DateTime<Utc>,
}

/// Closes a sitting. Returns false if it is no longer overdue or no longer open.
async fn close_one(services: &Services, session: test_session::Model) -> Result<bool, Fault> {
    let sitting = sitting_of(services, &session).await?;
    let owner = sitting.owner;
    let now = services.clock.now();
    let command = CloseCommand { id: session.id, sitting, rules: services.sittings.rules, now };
    let policy = WritePolicy::idempotent("close overdue").retry_taken_keys();
    let closed = services
        .database
        .retrying_for(RETRY_DURATION)
        .write_for(owner, policy, command, |transaction, command| Box::pin(run(transaction, command)))
        .await?;
    if closed {
        services.events.appended(owner);
        if let Some(metrics) = services.metrics.business() {
            metrics.close_overdue();
        }
    }
    Ok(closed)
}

/// Closes the sitting in a transaction, unless it was closed or got more time.
async fn run(transaction: &DatabaseTransaction, command: &CloseCommand) -> Result<bool, Error<Infallible>> {
    lock_user(transaction, command.sitting.owner).await?;
    let session = close::lock(transaction, command.id).await?;
    if session.open_marker.is_none() || !command.rules.is_overdue(session.expires_at, command.now) {
        return Ok(false);
    }
    close::close(transaction, session, &command.sitting.paper, close::Ending::Overdue, command.now).await?;
    Ok(true)
}
