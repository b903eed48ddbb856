//! The one connection on which a repair runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr};

use crate::apply::Progress;
use crate::error::{Cause, RepairError};
use crate::inspect::Inspection;
use crate::sql;

/// An open database to check or repair: one connection, so that its settings and its lock are one session's.
///
/// PgBouncer in transaction mode cannot carry it; connect to the server itself.
#[derive(Debug)]
pub struct Session {
    pub(super) connection: DatabaseConnection,
    /// Looks on while a long statement holds the other one.
    pub(super) observer: Option<DatabaseConnection>,
    /// The server's number of `connection`.
    pub(super) process: i64,
    connections_made: Arc<AtomicU32>,
    /// How long to wait for another repair to end.
    pub(super) patience: Duration,
}

impl Session {
    /// Connects. A file that does not exist is not made.
    ///
    /// # Errors
    /// When the URL is of another database, or the database does not answer.
    pub async fn open(url: &str) -> Result<Self, RepairError> {
        let url = url.replacen("mariadb:", "mysql:", 1);
        match url.split(':').next().unwrap_or_default() {
            "sqlite" | "postgres" | "postgresql" | "mysql" => {}
            _ => return Err(RepairError::UnknownScheme),
        }
        let connections_made = Arc::new(AtomicU32::new(0));
        let connection = Database::connect(options(&url, Some(&connections_made))).await?;
        let mut session = Self {
            connection,
            observer: None,
            process: 0,
            connections_made,
            patience: Duration::from_secs(60),
        };
        session.prepare().await?;
        if !sql::dialect(&session.connection).is_sqlite() {
            let mut options = options(&url, None);
            options.connect_lazy(true);
            session.observer = Some(Database::connect(options).await?);
        }
        Ok(session)
    }

    /// How long [`Session::apply`] waits for another repair of this database to end; 60 seconds unless told.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Reads the state of the database.
    ///
    /// # Errors
    /// When the table of cards is not there, or the database refuses.
    pub async fn inspect(&self) -> Result<Inspection, RepairError> {
        // Somebody else's ALTER may hold the table for longer than we wait for a lock.
        for _ in 0..30 {
            match super::inspect::inspect(&self.connection).await {
                Err(RepairError::Database(error)) if Cause::of(&error) == Cause::Locked => {
                    tracing::debug!(%error, "inspecting again");
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                result => return result,
            }
        }
        super::inspect::inspect(&self.connection).await
    }

    /// Closes the connection.
    ///
    /// # Errors
    /// When it cannot be closed.
    pub async fn close(self) -> Result<(), DbErr> {
        if let Some(observer) = self.observer {
            observer.close().await?;
        }
        self.connection.close().await
    }

    /// No timeout ends what we run; short ones keep it from standing in others' way.
    async fn prepare(&mut self) -> Result<(), DbErr> {
        let connection = &self.connection;
        match connection.get_database_backend() {
            DbBackend::Postgres => {
                connection.execute_unprepared("SET statement_timeout = 0").await?;
                connection.execute_unprepared("SET idle_in_transaction_session_timeout = 0").await?;
                connection.execute_unprepared("SET lock_timeout = '900ms'").await?;
                // The server stops a long build when we are gone. Since PostgreSQL 14.
                if sql::count(connection, "SELECT CAST(current_setting('server_version_num') AS bigint)")
                    .await?
                    >= 140_000
                {
                    connection.execute_unprepared("SET client_connection_check_interval = '1s'").await?;
                }
                self.process = sql::count(connection, "SELECT CAST(pg_backend_pid() AS bigint)").await?;
            }
            DbBackend::MySql => {
                // No NO_ZERO_DATE: rows go into the log as they are.
                connection
                    .execute_unprepared("SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'")
                    .await?;
                connection.execute_unprepared("SET SESSION lock_wait_timeout = 1").await?;
                connection.execute_unprepared("SET SESSION innodb_lock_wait_timeout = 2").await?;
                connection.execute_unprepared("SET SESSION wait_timeout = 28800").await?;
                let process = "SELECT CAST(CONNECTION_ID() AS SIGNED)";
                self.process = sql::count(connection, process).await?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Fails when this is no longer the connection that took the lock.
    pub(super) fn assert_same_connection(&self) -> Result<(), RepairError> {
        if self.connections_made.load(Ordering::SeqCst) > 1 {
            return Err(RepairError::ConnectionLost);
        }
        Ok(())
    }

    /// Takes the lock that one repair of a database holds, on the connection that does the work: whoever
    /// loses the one loses the other. It is no transaction, for a concurrent build waits for those to end.
    pub(super) async fn lock(
        &self,
        report: &mut (dyn FnMut(Progress<'_>) -> std::ops::ControlFlow<()> + Send),
    ) -> Result<(), RepairError> {
        let text = match self.connection.get_database_backend() {
            DbBackend::Postgres => {
                "SELECT CAST(CAST(pg_try_advisory_lock(1785295720, hashtext(current_schema())) AS int) AS \
                 bigint)"
            }
            DbBackend::MySql => {
                "SELECT CAST(GET_LOCK(CONCAT('jishu_repair.', MD5(DATABASE())), 0) AS SIGNED)"
            }
            _ => return Ok(()),
        };
        let began = Instant::now();
        loop {
            if sql::count(&self.connection, text).await? == 1 {
                return Ok(());
            }
            if began.elapsed() >= self.patience {
                return Err(RepairError::Busy);
            }
            if report(Progress::WaitingForOther).is_break() {
                return Err(RepairError::Interrupted);
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    pub(super) async fn unlock(&self) -> Result<(), RepairError> {
        let text = match self.connection.get_database_backend() {
            DbBackend::Postgres => {
                "SELECT CAST(CAST(pg_advisory_unlock(1785295720, hashtext(current_schema())) AS int) AS \
                 bigint)"
            }
            DbBackend::MySql => {
                "SELECT CAST(RELEASE_LOCK(CONCAT('jishu_repair.', MD5(DATABASE()))) AS SIGNED)"
            }
            _ => return Ok(()),
        };
        sql::count(&self.connection, text).await?;
        Ok(())
    }
}

fn options(url: &str, connections_made: Option<&Arc<AtomicU32>>) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(1)
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .acquire_timeout(Duration::from_secs(10))
        .connect_timeout(Duration::from_secs(10))
        .set_application_name("jishu repair")
        .sqlx_logging_level(log::LevelFilter::Debug)
        .sqlx_slow_statements_logging_settings(log::LevelFilter::Debug, Duration::from_secs(1))
        .record_stmt_in_spans(false)
        // Off, for a table that others refer to may be rebuilt; the repair checks them before it commits.
        .map_sqlx_sqlite_opts(|options| {
            options.create_if_missing(false).foreign_keys(false).busy_timeout(Duration::from_secs(30))
        });
    if let Some(made) = connections_made {
        let counter = Arc::clone(made);
        options.map_sqlx_postgres_pool_opts(move |pool| {
            let counter = Arc::clone(&counter);
            pool.after_connect(move |_, _| {
                counter.fetch_add(1, Ordering::SeqCst);
                Box::pin(async { Ok(()) })
            })
        });
        let counter = Arc::clone(made);
        options.map_sqlx_mysql_pool_opts(move |pool| {
            let counter = Arc::clone(&counter);
            pool.after_connect(move |_, _| {
                counter.fetch_add(1, Ordering::SeqCst);
                Box::pin(async { Ok(()) })
            })
        });
    }
    options
}
