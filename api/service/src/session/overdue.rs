//! Closes sittings whose deadline and grace time have passed. Every node does this for all sittings.

use std::convert::Infallible;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream};
use jishu_entity::{TestSessionId, test_session};
use jishu_service_macros::service_call;
use rand::seq::SliceRandom;
use sea_orm::sea_query::{Condition, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, IntoSimpleExpr, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait,
};

use super::{Sitting, SittingRules, close, sitting_of};
use crate::Services;
use crate::database::{Unreadable, WritePolicy, lock_user, split_readable};
use crate::error::{Error, Fault};

/// Maximum number of sittings that one search reads.
const SITTINGS_PER_SEARCH: usize = 200;
/// Maximum number of sittings that are closed at the same time.
const MAX_CONCURRENT_CLOSES: usize = 4;
/// Time for which the server retries to close a sitting while other transactions of its learner conflict. After this
/// time, it continues with other sittings, and a later search closes this sitting.
const RETRY_DURATION: Duration = Duration::from_secs(1);

/// Closes overdue sittings at an interval. Never returns: the caller ends it by dropping the future.
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
    /// The number of sittings that were closed or got more time after this call found them and before it locked them.
    pub settled_meanwhile: usize,
}

/// Closes every overdue sitting, and sets its end to its deadline. A sitting that another node closes at the same time
/// is only counted. A sitting that becomes overdue during this call can be left for the next call.
///
/// # Errors
/// Fails if the search fails. A sitting that cannot be closed stays open for the next call, and its failure is logged.
#[service_call("session.close_overdue")]
pub async fn close_overdue(services: &Services) -> Result<OverdueReport, Fault> {
    let mut report = OverdueReport::default();
    // Sittings that could not be closed stay overdue. So each search begins after the last sitting of the previous
    // search.
    let mut after = None;
    loop {
        let before = services.sittings.rules.overdue_before(services.clock.now());
        let reader = services.database.reader().without_time_check();
        let OverduePage { sittings: mut overdue, unreadable, last } = find(&reader, before, after).await?;
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
                Err(error) => log_failure(services, id.0, &error),
            }
        }
        after = last;
        if after.is_none() {
            if report.closed > 0 {
                let OverdueReport { closed, settled_meanwhile } = report;
                tracing::info!(closed, settled_meanwhile, "overdue sittings were closed");
            }
            return Ok(report);
        }
    }
}

/// Overdue sittings that one search found.
struct OverduePage {
    sittings: Vec<test_session::Model>,
    /// The rows of overdue sittings that cannot be read.
    unreadable: Vec<Unreadable>,
    /// The last sitting of the page, after which the next search begins. None if the page is the last page.
    last: Option<TestSessionId>,
}

/// Finds open sittings whose deadline is before the time `before`, those with the earliest deadline first. If `after`
/// is given, finds only sittings after the sitting `after` in this order.
async fn find(
    connection: &impl ConnectionTrait,
    before: DateTime<Utc>,
    after: Option<TestSessionId>,
) -> Result<OverduePage, DbErr> {
    let mut overdue = test_session::Entity::find()
        .filter(test_session::Column::OpenMarker.eq(1))
        .filter(test_session::Column::ExpiresAt.lt(before))
        .order_by_asc(test_session::Column::ExpiresAt)
        .order_by_asc(test_session::Column::Id)
        .limit(SITTINGS_PER_SEARCH as u64);
    if let Some(after) = after {
        overdue = overdue.filter(follows(after));
    }
    let rows = connection.query_all_raw(overdue.build(connection.get_database_backend())).await?;
    let last = rows.last().filter(|_| rows.len() == SITTINGS_PER_SEARCH);
    let last = last.and_then(|row| row.try_get("", "id").ok());
    let (sittings, unreadable) = split_readable::<test_session::Entity>(rows);
    Ok(OverduePage { sittings, unreadable, last })
}

/// Returns the condition for the sittings after the sitting `after` in the order of [`find`].
///
/// The database itself reads the deadline of the sitting `after`, so the search also goes on after a deadline that the
/// server cannot read. If the sitting `after` was deleted or got more time in the meantime, the search can miss overdue
/// sittings. The next call of [`close_overdue`] finds the missed sittings.
fn follows(after: TestSessionId) -> Condition {
    let expires_at = || test_session::Column::ExpiresAt.into_simple_expr();
    let deadline = || {
        Query::select()
            .column(test_session::Column::ExpiresAt)
            .from(test_session::Entity)
            .and_where(test_session::Column::Id.eq(after))
            .take()
    };
    let same_deadline =
        Condition::all().add(expires_at().eq(deadline())).add(test_session::Column::Id.gt(after));
    Condition::any().add(expires_at().gt(deadline())).add(same_deadline)
}

/// Logs that a sitting could not be closed: as a warning at the first failure of this sitting, later on the debug
/// level.
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

/// Closes an overdue sitting. Returns false if the sitting is no longer overdue or no longer open.
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

/// Closes the sitting in a transaction. Returns false and changes nothing if the sitting was closed or got more time.
async fn run(transaction: &DatabaseTransaction, command: &CloseCommand) -> Result<bool, Error<Infallible>> {
    lock_user(transaction, command.sitting.owner).await?;
    let session = close::lock(transaction, command.id).await?;
    if session.open_marker.is_none() || !command.rules.is_overdue(session.expires_at, command.now) {
        return Ok(false);
    }
    close::close(transaction, session, &command.sitting.paper, close::Ending::Overdue, command.now).await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use sea_orm::{DatabaseConnection, DbBackend, IdenStatic, Iterable};

    use super::*;
    use crate::database::sql;

    /// Creates a table of sittings without constraints, and returns the connection to its database.
    async fn database() -> DatabaseConnection {
        let connection = sea_orm::Database::connect("sqlite::memory:").await.unwrap();
        let columns: Vec<&str> = test_session::Column::iter().map(|column| column.as_str()).collect();
        let table = format!("CREATE TABLE test_sessions ({})", columns.join(", "));
        connection.execute_unprepared(&table).await.unwrap();
        connection
    }

    /// Stores an open sitting whose deadline was this number of minutes ago.
    async fn open(connection: &DatabaseConnection, id: i64, minutes_ago: i64) {
        let expires_at = now() - TimeDelta::minutes(minutes_ago);
        let text = "INSERT INTO test_sessions (id, open_marker, expires_at) VALUES (?, 1, ?)";
        let statement = sql(DbBackend::Sqlite, text, [id.into(), expires_at.into()]);
        connection.execute_raw(statement).await.unwrap();
    }

    fn now() -> DateTime<Utc> {
        DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(20_000)
    }

    /// Returns the ids of the sittings that a search finds. All rows are unreadable, because most columns are null.
    async fn found(connection: &DatabaseConnection, after: Option<i64>) -> Vec<i64> {
        let page = find(connection, now(), after.map(TestSessionId)).await.unwrap();
        page.unreadable.iter().map(|row| row.key[0]).collect()
    }

    #[tokio::test]
    async fn a_search_goes_on_after_a_sitting_whatever_comes_before_it() {
        let connection = database().await;
        for (id, minutes_ago) in [(1, 9), (2, 8), (3, 8), (4, 7), (5, -1)] {
            open(&connection, id, minutes_ago).await;
        }
        assert_eq!(found(&connection, None).await, [1, 2, 3, 4]);
        assert_eq!(found(&connection, Some(2)).await, [3, 4]);
        open(&connection, 6, 20).await;
        assert_eq!(found(&connection, Some(2)).await, [3, 4], "an earlier sitting moved the next page");
        assert_eq!(found(&connection, None).await, [6, 1, 2, 3, 4]);
        let spoil = "UPDATE test_sessions SET expires_at = '' WHERE id = 6";
        connection.execute_unprepared(spoil).await.unwrap();
        assert_eq!(
            found(&connection, Some(6)).await,
            [1, 2, 3, 4],
            "the search did not go on after sitting 6, whose deadline cannot be read"
        );
    }

    #[tokio::test]
    async fn a_full_page_names_its_last_sitting() {
        let connection = database().await;
        for id in 1..=200 {
            open(&connection, id, 1).await;
        }
        let last = async || find(&connection, now(), None).await.unwrap().last;
        assert_eq!(last().await, Some(TestSessionId(200)));
        connection.execute_unprepared("DELETE FROM test_sessions WHERE id = 7").await.unwrap();
        assert_eq!(last().await, None);
    }
}
