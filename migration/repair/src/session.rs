//! The single connection on which a repair runs, and the lock that it holds.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
};

use crate::error::{ErrorCause, RepairError};
use crate::sql;

/// Default time to wait for another repair to end.
const DEFAULT_LOCK_WAIT: Duration = Duration::from_secs(60);
/// The pause between two attempts to take the lock of the repair.
const LOCK_POLL_INTERVAL: Duration = Duration::from_millis(500);

/// An open database to check or repair.
///
/// It has only one working connection, because the settings and the lock belong to one session of the server. It does
/// not work through PgBouncer in transaction mode. Connect to the server directly.
#[derive(Debug)]
pub struct RepairSession {
    /// The working connection.
    pub(crate) connection: DatabaseConnection,
    /// A second connection. It reads the progress of a long statement on the working connection.
    pub(crate) observer: Option<DatabaseConnection>,
    /// The server's id of the working connection.
    pub(crate) process: i64,
    connections_made: Arc<AtomicU32>,
    /// Maximum time to wait for another repair to end.
    lock_wait: Duration,
}

impl RepairSession {
    /// Connects to a database. It never creates a file.
    ///
    /// # Errors
    /// Fails if the URL has another scheme, or the database does not respond.
    pub async fn open(url: &str) -> Result<Self, RepairError> {
        let url = url.replacen("mariadb:", "mysql:", 1);
        match url.split(':').next().unwrap_or_default() {
            "sqlite" | "postgres" | "postgresql" | "mysql" => {}
            _ => return Err(RepairError::UnknownScheme),
        }
        let connections_made = Arc::new(AtomicU32::new(0));
        let connection = Database::connect(options(&url, Some(&connections_made))).await?;
        let mut session =
            Self { connection, observer: None, process: 0, connections_made, lock_wait: DEFAULT_LOCK_WAIT };
        session.prepare().await?;
        if !sql::dialect(&session.connection).is_sqlite() {
            let mut options = options(&url, None);
            options.connect_lazy(true);
            session.observer = Some(Database::connect(options).await?);
        }
        Ok(session)
    }

    /// Begins a transaction on SQLite that takes the writer's lock at once.
    ///
    /// # Errors
    /// Returns [`RepairError::Busy`] if another session writes, or the error of the database.
    pub(crate) async fn begin_immediate(&self) -> Result<DatabaseTransaction, RepairError> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        match self.connection.begin_with_options(options).await {
            Ok(transaction) => Ok(transaction),
            Err(error) if ErrorCause::of(&error) == ErrorCause::Locked => Err(RepairError::Busy),
            Err(error) => Err(error.into()),
        }
    }

    /// Rolls back a transaction on SQLite, and resets the pragma that the rollback leaves as it is.
    pub(crate) async fn roll_back(&self, transaction: DatabaseTransaction) -> Result<(), RepairError> {
        transaction.rollback().await?;
        self.connection.execute_unprepared("PRAGMA legacy_alter_table = OFF").await?;
        Ok(())
    }

    /// Sets the maximum time to wait for another repair of this database to end. The default is 60 seconds.
    #[must_use]
    pub fn with_lock_wait(mut self, lock_wait: Duration) -> Self {
        self.lock_wait = lock_wait;
        self
    }

    /// Closes the connections.
    ///
    /// # Errors
    /// Fails if a connection cannot be closed.
    pub async fn close(self) -> Result<(), DbErr> {
        if let Some(observer) = self.observer {
            observer.close().await?;
        }
        self.connection.close().await
    }

    /// Switches off the limits on running time, and sets short lock timeouts that protect the application.
    async fn prepare(&mut self) -> Result<(), DbErr> {
        let connection = &self.connection;
        match connection.get_database_backend() {
            DbBackend::Postgres => {
                connection.execute_unprepared("SET statement_timeout = 0").await?;
                connection.execute_unprepared("SET idle_in_transaction_session_timeout = 0").await?;
                connection.execute_unprepared("SET lock_timeout = '900ms'").await?;
                // PostgreSQL 14 and later stop a long index build when this client has gone.
                if sql::count(connection, "SELECT CAST(current_setting('server_version_num') AS bigint)")
                    .await?
                    >= 140_000
                {
                    connection.execute_unprepared("SET client_connection_check_interval = '1s'").await?;
                }
                self.process = sql::count(connection, "SELECT CAST(pg_backend_pid() AS bigint)").await?;
            }
            DbBackend::MySql => {
                // Without NO_ZERO_DATE, so that rows can be logged unchanged.
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

    /// Checks that this is still the connection that took the lock.
    pub(crate) fn assert_same_connection(&self) -> Result<(), RepairError> {
        if self.connections_made.load(Ordering::SeqCst) > 1 {
            return Err(RepairError::ConnectionLost);
        }
        Ok(())
    }

    /// Takes the lock that allows one repair of a database at a time. `on_wait` is called before each pause, and can
    /// stop the waiting.
    ///
    /// The working connection holds the lock, so that both are lost together. The lock does not belong to a
    /// transaction, because a concurrent index build waits for all open transactions.
    pub(crate) async fn lock(
        &self,
        mut on_wait: impl FnMut() -> ControlFlow<()> + Send,
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
            if began.elapsed() >= self.lock_wait {
                return Err(RepairError::Busy);
            }
            if on_wait().is_break() {
                return Err(RepairError::Interrupted);
            }
            tokio::time::sleep(LOCK_POLL_INTERVAL).await;
        }
    }

    /// Releases the lock.
    pub(crate) async fn unlock(&self) -> Result<(), RepairError> {
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

/// Returns the options of a connection. `connections_made` counts how often the pool has connected.
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
        // Foreign keys are off, so that a table can be rebuilt while others refer to it. The repair checks them
        // before it commits.
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
