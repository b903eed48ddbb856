//! The single connection on which a repair runs, and the lock that allows one repair of a database at a time.

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

/// Default time to wait for another repair or undo to end.
const DEFAULT_LOCK_WAIT: Duration = Duration::from_secs(60);
/// The pause between two attempts to take the lock of the repair.
const LOCK_POLL_INTERVAL: Duration = Duration::from_millis(500);

/// An open database to check or repair.
///
/// All statements that change the database run on one connection, because the settings of the connection and the lock
/// of the repair belong to one session of the server. PgBouncer in transaction mode changes sessions, so the URL must
/// name the server itself.
#[derive(Debug)]
pub struct RepairSession {
    /// The working connection.
    pub(crate) connection: DatabaseConnection,
    /// A second connection, which reads the progress of a long statement on the working connection. `None` on SQLite.
    pub(crate) observer: Option<DatabaseConnection>,
    /// The id that the server gave the working connection. 0 on SQLite.
    pub(crate) process: i64,
    /// The number of times that the working connection was opened. Not counted on SQLite.
    connections_made: Arc<AtomicU32>,
    /// Maximum time to wait for another repair or undo to end.
    lock_wait: Duration,
}

impl RepairSession {
    /// Connects to a database. A SQLite file must exist already.
    ///
    /// # Errors
    /// Fails if the scheme of the URL is not that of SQLite, PostgreSQL, MariaDB or MySQL, or if the database cannot
    /// be opened.
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

    /// Begins a transaction on SQLite that takes the lock for writing at once.
    ///
    /// # Errors
    /// Returns [`RepairError::Busy`] if another session keeps that lock for 30 seconds, or the error of the database.
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

    /// Rolls back a transaction on SQLite, and switches off `legacy_alter_table`, which a rollback does not reset.
    pub(crate) async fn roll_back(&self, transaction: DatabaseTransaction) -> Result<(), RepairError> {
        transaction.rollback().await?;
        self.connection.execute_unprepared("PRAGMA legacy_alter_table = OFF").await?;
        Ok(())
    }

    /// Sets the maximum time to wait for another repair or undo of this database to end. The default is 60 seconds.
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

    /// Prepares the working connection. Statements may run without a time limit, but wait only briefly for locks, so
    /// that the application is not blocked. Also reads the server's id of the connection. Does nothing on SQLite.
    async fn prepare(&mut self) -> Result<(), DbErr> {
        let connection = &self.connection;
        match connection.get_database_backend() {
            DbBackend::Postgres => {
                connection.execute_unprepared("SET statement_timeout = 0").await?;
                connection.execute_unprepared("SET idle_in_transaction_session_timeout = 0").await?;
                connection.execute_unprepared("SET lock_timeout = '900ms'").await?;
                // With this setting, PostgreSQL 14 and later end a long statement when this client has disconnected.
                if sql::count(connection, "SELECT CAST(current_setting('server_version_num') AS bigint)")
                    .await?
                    >= 140_000
                {
                    connection.execute_unprepared("SET client_connection_check_interval = '1s'").await?;
                }
                self.process = sql::count(connection, "SELECT CAST(pg_backend_pid() AS bigint)").await?;
            }
            DbBackend::MySql => {
                // The mode leaves out NO_ZERO_DATE, so that rows with zero dates can be copied to the log unchanged.
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

    /// Fails if the working connection was opened again since the start, because the lock of the repair is then lost.
    pub(crate) fn assert_same_connection(&self) -> Result<(), RepairError> {
        if self.connections_made.load(Ordering::SeqCst) > 1 {
            return Err(RepairError::ConnectionLost);
        }
        Ok(())
    }

    /// Takes the lock that allows one repair or undo of a database at a time. On PostgreSQL, each schema of a database
    /// has its own lock. `on_wait` is called before each pause, and can stop the waiting. Does nothing on SQLite.
    ///
    /// The lock belongs to the working connection, so that the server releases the lock when that connection is lost.
    /// The lock belongs to no transaction, because a concurrent index build waits for all open transactions.
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

    /// Releases the lock of the repair. Does nothing on SQLite.
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

/// Returns the options of a pool with one connection. If `connections_made` is given, each new connection to
/// PostgreSQL, MariaDB or MySQL adds 1 to it.
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
        // Foreign keys are off on SQLite, so that a table can be rebuilt while other tables refer to it. The repair
        // checks the foreign keys before it commits.
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
