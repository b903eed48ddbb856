//! Finds out whether a database server copies another one, its primary, and how far it is behind.

use std::time::Duration;

use sea_orm::sqlx::{self, Executor, Row, mysql::MySqlRow};
use sea_orm::{DatabaseConnection, DbBackend};

/// How far a replica that takes writes may be behind its primary. Beyond it, readers could see data that is too old.
const MAX_REPLICA_LAG: Duration = Duration::from_secs(10);

/// Asks a standby of PostgreSQL how far it is behind. If it has replayed everything that its primary sends, it is not behind,
/// however old the last transaction is. Otherwise it is behind by at most the age of the last replayed transaction.
const POSTGRES_LAG: &str = "SELECT pg_is_in_recovery(), CASE \
    WHEN EXISTS (SELECT 1 FROM pg_stat_wal_receiver) AND pg_last_wal_replay_lsn() >= pg_last_wal_receive_lsn() THEN 0 \
    ELSE EXTRACT(EPOCH FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END::float8";

/// Asks MariaDB or MySQL about everything that it copies. Each server executes only the comment for its kind.
const MYSQL_REPLICA_STATUS: &str = "SHOW /*M!100501 ALL REPLICAS */ /*!80022 REPLICA */ STATUS";

/// Asks MariaDB how many primaries it copies now. A database account needs no privilege for it.
const MARIADB_RUNNING_REPLICAS: &str = "SHOW GLOBAL STATUS LIKE 'Slaves_running'";

/// The columns with the lag of MariaDB and of MySQL.
const LAG_COLUMNS: [&str; 2] = ["Seconds_Behind_Master", "Seconds_Behind_Source"];

/// A database server that copies another one, its primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replica {
    /// How far it is behind its primary. None if the server does not tell, for example because it does not copy now.
    pub lag: Option<Duration>,
}

impl Replica {
    /// Asks the database whether it is a replica. Returns None for a primary.
    pub(super) async fn find(connection: &DatabaseConnection) -> Result<Option<Self>, sqlx::Error> {
        match connection.get_database_backend() {
            DbBackend::Postgres => {
                let row = connection.get_postgres_connection_pool().fetch_one(POSTGRES_LAG).await?;
                let lag: Option<f64> = row.try_get(1)?;
                let is_replica: bool = row.try_get(0)?;
                // Clocks of two machines can differ, so the age can be negative.
                let lag = lag.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default());
                Ok(is_replica.then_some(Self { lag }))
            }
            DbBackend::MySql => find_on_mysql(connection).await,
            _ => Ok(None),
        }
    }

    /// Returns whether the replica is too far behind to be read.
    pub(super) fn is_too_late(&self) -> bool {
        self.lag.is_some_and(|lag| lag > MAX_REPLICA_LAG)
    }
}

async fn find_on_mysql(connection: &DatabaseConnection) -> Result<Option<Replica>, sqlx::Error> {
    let pool = connection.get_mysql_connection_pool();
    match pool.fetch_all(MYSQL_REPLICA_STATUS).await {
        Ok(rows) => Ok(of_status(&rows)),
        // The account has no right to read the status.
        Err(sqlx::Error::Database(_)) => {
            let row = pool.fetch_optional(MARIADB_RUNNING_REPLICAS).await?;
            let running = row.and_then(|row| row.try_get::<String, _>(1).ok());
            let is_replica = running.is_some_and(|number| number != "0");
            Ok(is_replica.then_some(Replica { lag: None }))
        }
        Err(error) => Err(error),
    }
}

/// Reads the lag from the rows of the status, one for each primary. The greatest lag counts.
fn of_status(rows: &[MySqlRow]) -> Option<Replica> {
    // An old MySQL understands `SHOW STATUS` instead, whose rows have other columns.
    let is_status = |row: &&MySqlRow| LAG_COLUMNS.iter().any(|name| row.try_column(*name).is_ok());
    let sources: Vec<_> = rows.iter().filter(is_status).collect();
    let lag = sources.iter().filter_map(|row| seconds_behind(row)).max().map(Duration::from_secs);
    (!sources.is_empty()).then_some(Replica { lag })
}

fn seconds_behind(row: &MySqlRow) -> Option<u64> {
    LAG_COLUMNS.iter().find_map(|name| {
        let signed = row.try_get::<Option<i64>, _>(*name).ok().flatten().map(i64::unsigned_abs);
        signed.or_else(|| row.try_get::<Option<u64>, _>(*name).ok().flatten())
    })
}
