//! Finds out whether a database server copies another server, its primary, and how far it is behind.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::sqlx::mysql::{MySqlDatabaseError, MySqlRow};
use sea_orm::sqlx::{self, Executor, Row};
use sea_orm::{DatabaseConnection, DbBackend};

/// Maximum lag of a replica that takes writes. If it is further behind its primary, a health check reports it.
const MAX_REPLICA_LAG: Duration = Duration::from_secs(10);

/// Asks PostgreSQL whether the server is a standby, and how many seconds it is behind. The lag is 0 if the standby has
/// replayed all that it received from its primary, even if its last transaction is old. Otherwise the lag is the age of
/// the last replayed transaction. The true lag cannot be greater than this age.
const POSTGRES_LAG: &str = "SELECT pg_is_in_recovery(), CASE \
    WHEN EXISTS (SELECT 1 FROM pg_stat_wal_receiver) AND pg_last_wal_replay_lsn() >= pg_last_wal_receive_lsn() THEN 0 \
    ELSE EXTRACT(EPOCH FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END::float8";

/// Asks MariaDB or MySQL for the status of the replication, with one row for each primary. Each server executes only
/// the comment for its kind. A server that is too old for its comment executes `SHOW STATUS`.
const MYSQL_REPLICA_STATUS: &str = "SHOW /*M!100501 ALL REPLICAS */ /*!80022 REPLICA */ STATUS";

/// Asks MariaDB for the number of primaries that it copies now. MariaDB names this number `Slaves_running`. A database
/// account needs no privilege for this statement.
const MARIADB_RUNNING_REPLICAS: &str = "SHOW GLOBAL STATUS LIKE 'Slaves_running'";

/// The error of MariaDB and MySQL for a database account without the right to read the status of the replication.
const ACCESS_DENIED: u16 = 1227;

/// Time for which the server does not ask for the status again after the database account had no right to read it.
const RIGHT_MEMORY: Duration = Duration::from_secs(600);

/// The columns with the lag of MariaDB and of MySQL.
const LAG_COLUMNS: [&str; 2] = ["Seconds_Behind_Master", "Seconds_Behind_Source"];

/// A database server that copies another server, its primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replica {
    /// How far the replica is behind its primary. None if the server does not report it, for example because it does
    /// not copy now.
    pub lag: Option<Duration>,
}

impl Replica {
    /// Asks the database whether it is a replica. Returns None if it is not. If the account of MariaDB or MySQL has
    /// no right to read the status, `right` remembers this.
    pub(super) async fn find(
        connection: &DatabaseConnection,
        right: &MissingRight,
    ) -> Result<Option<Self>, sqlx::Error> {
        match connection.get_database_backend() {
            DbBackend::Postgres => {
                let row = connection.get_postgres_connection_pool().fetch_one(POSTGRES_LAG).await?;
                let lag: Option<f64> = row.try_get(1)?;
                let is_replica: bool = row.try_get(0)?;
                // The clocks of the two machines can differ, so the age can be negative. Then the lag counts as 0.
                let lag = lag.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default());
                Ok(is_replica.then_some(Self { lag }))
            }
            DbBackend::MySql => find_on_mysql(connection, right).await,
            _ => Ok(None),
        }
    }

    /// Returns whether the replica is known to be more than 10 seconds behind, so that a health check must report it.
    pub(super) fn is_late(&self) -> bool {
        self.lag.is_some_and(|lag| lag > MAX_REPLICA_LAG)
    }
}

/// The memory that the database account had no right to read the status of the replication.
#[derive(Clone, Debug, Default)]
pub(super) struct MissingRight(Arc<Mutex<Option<Instant>>>);

impl MissingRight {
    fn is_remembered(&self) -> bool {
        let noticed_at = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noticed_at.is_some_and(|at| at.elapsed() < RIGHT_MEMORY)
    }

    fn remember(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

async fn find_on_mysql(
    connection: &DatabaseConnection,
    right: &MissingRight,
) -> Result<Option<Replica>, sqlx::Error> {
    let pool = connection.get_mysql_connection_pool();
    if !right.is_remembered() {
        match pool.fetch_all(MYSQL_REPLICA_STATUS).await {
            Ok(rows) => return Ok(of_status(&rows)),
            Err(sqlx::Error::Database(error)) => {
                let error = error.try_downcast_ref::<MySqlDatabaseError>();
                if error.is_some_and(|error| error.number() == ACCESS_DENIED) {
                    right.remember();
                }
            }
            Err(error) => return Err(error),
        }
    }
    let row = pool.fetch_optional(MARIADB_RUNNING_REPLICAS).await?;
    let running = row.and_then(|row| row.try_get::<String, _>(1).ok());
    let is_replica = running.is_some_and(|number| number != "0");
    Ok(is_replica.then_some(Replica { lag: None }))
}

/// Reads the lag of a replica from its status, which has one row for each primary. Returns None if the status has no
/// row.
fn of_status(rows: &[MySqlRow]) -> Option<Replica> {
    // An old MariaDB or MySQL executes `SHOW STATUS` instead, whose rows have other columns.
    let is_status = |row: &&MySqlRow| LAG_COLUMNS.iter().any(|name| row.try_column(*name).is_ok());
    let lags: Vec<_> =
        rows.iter().filter(is_status).map(|row| seconds_behind(row).map(Duration::from_secs)).collect();
    of_lags(&lags)
}

/// Returns the replica that has these lags, one for each primary. Its lag is the greatest one. If one lag is unknown,
/// the replica has a lag only if a known lag is above the limit. Otherwise its lag is unknown, because the unknown
/// lag could be greater. Returns None if there is no primary.
fn of_lags(lags: &[Option<Duration>]) -> Option<Replica> {
    // The maximum ignores unknown lags if a lag is known, because None is less than every known lag.
    let greatest = Replica { lag: lags.iter().copied().max()? };
    let is_known = greatest.is_late() || lags.iter().all(Option::is_some);
    Some(if is_known { greatest } else { Replica { lag: None } })
}

fn seconds_behind(row: &MySqlRow) -> Option<u64> {
    LAG_COLUMNS.iter().find_map(|name| {
        let signed = row.try_get::<Option<i64>, _>(*name).ok().flatten().map(i64::unsigned_abs);
        signed.or_else(|| row.try_get::<Option<u64>, _>(*name).ok().flatten())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_lag_of_several_primaries_counts() {
        let replica = |lags: &[Option<u64>]| {
            let lags: Vec<_> = lags.iter().map(|lag| lag.map(Duration::from_secs)).collect();
            of_lags(&lags).map(|replica| replica.lag.map(|lag| lag.as_secs()))
        };
        assert_eq!(replica(&[]), None);
        assert_eq!(replica(&[None]), Some(None));
        assert_eq!(replica(&[Some(0)]), Some(Some(0)));
        assert_eq!(replica(&[Some(3), Some(7), Some(0)]), Some(Some(7)));
        assert_eq!(replica(&[Some(11), Some(42)]), Some(Some(42)));
        // The unknown lag could be the greatest one.
        assert_eq!(replica(&[Some(3), None]), Some(None));
        assert_eq!(replica(&[None, Some(10), Some(0)]), Some(None));
        assert_eq!(replica(&[None, None]), Some(None));
        // One known lag is above the limit, whatever the unknown lag is.
        assert_eq!(replica(&[Some(11), None, Some(3)]), Some(Some(11)));
    }
}
