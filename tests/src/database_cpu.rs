//! Measures the processor time that PostgreSQL spends on one database.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sea_orm::{ConnectionTrait, Database, DatabaseConnection, Statement};

use crate::Backend;
use crate::load::cpu_time;

/// Reads the processor time of the PostgreSQL processes that serve one database. For other databases, the time is zero:
/// MariaDB has no process for each connection, and SQLite runs in jishu's own process.
pub struct DatabaseCpu {
    connection: Option<DatabaseConnection>,
    /// The time of each process that was ever seen, by its id. Without it, the time of a process that has ended would
    /// be missing from the sum, and a difference of two sums could be negative.
    times: Mutex<HashMap<String, Duration>>,
}

impl DatabaseCpu {
    /// Connects to the database at this URL if `backend` is PostgreSQL. Otherwise makes no connection.
    ///
    /// # Panics
    /// Panics if the database does not answer.
    pub async fn connect(backend: Backend, url: &str) -> Self {
        let is_postgres = backend == Backend::Postgres;
        let connection = if is_postgres {
            Some(Database::connect(url).await.expect("the database answers"))
        } else {
            None
        };
        Self { connection, times: Mutex::default() }
    }

    /// Returns the processor time that the processes of the database's other connections have used so far. A process
    /// that has ended counts with the time that it had when this function was called last.
    ///
    /// # Panics
    /// Panics if the database fails.
    pub async fn read(&self) -> Duration {
        let Some(connection) = &self.connection else { return Duration::ZERO };
        let sql =
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let rows = connection
            .query_all_raw(Statement::from_string(connection.get_database_backend(), sql))
            .await
            .expect("the statement runs");
        let process = |row: &sea_orm::QueryResult| row.try_get_by_index::<i32>(0).expect("an id").to_string();
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        for id in rows.iter().map(process) {
            // The time is zero if the process has ended since the query.
            let now = cpu_time(&id);
            let time = times.entry(id).or_default();
            *time = now.max(*time);
        }
        times.values().sum()
    }
}
