//! Opens the connection pools.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::mysql::MySqlRow;
use sea_orm::sqlx::{self, AssertSqlSafe, Connection, Executor, MySqlConnection, PgConnection, Row};
use sea_orm::{ConnectOptions, DbBackend, DbErr, RuntimeErr};

use super::client::without_password;
use super::options::DatabaseOptions;
use super::pool::{connect_options, open, open_reader};
use super::probe::Probe;
use super::queue::WriteQueue;
use super::{Database, FileError, create_private, real_file, refuse_foreign_log, sqlite, sqlite_file};

/// Maximum time that a query outside a transaction waits for a lock.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// Maximum time that a statement of a transaction waits for a lock. It is short, because the transaction holds a
/// connection meanwhile. MariaDB and MySQL round it up to one second.
const WRITE_LOCK_TIMEOUT: Duration = Duration::from_millis(500);
/// Time after which an idle connection for migrations is closed. A running migration never leaves its connections
/// idle for so long.
const MIGRATOR_IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum time of the extra connection that finds out why the pool could not connect.
const CONNECT_ERROR_TIMEOUT: Duration = Duration::from_secs(3);

/// A reason why the database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL does not name a supported database.
    #[error(
        "`{0}` is not the URL of a database: it must begin with sqlite://, postgres:// or mysql://, \
         for instance sqlite://jishu.db?mode=rwc"
    )]
    UnknownScheme(String),
    /// The database did not respond, or it refused the connection.
    #[error("the database at {url} cannot be opened: {source}")]
    Unreachable {
        /// The URL without its password.
        url: String,
        /// The error of the driver.
        source: DbErr,
    },
    /// The file of an SQLite database does not exist, and could not be created.
    #[error(
        "the database at {0} cannot be opened: there is no such file, no such folder, or no permission. `jishu serve` makes \
         a file where the URL ends with ?mode=rwc"
    )]
    NoFile(String),
    /// The file of an SQLite database must not be opened in its present state.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Database {
    /// Opens the database, and checks that it responds. Creates a missing SQLite file if the URL asks for it.
    ///
    /// # Errors
    /// Fails if the URL names an unsupported database, if an SQLite file must not be opened, or if the connection
    /// fails.
    pub async fn connect(options: &DatabaseOptions) -> Result<Self, ConnectError> {
        if let Some(file) = sqlite_file(&options.url) {
            prepare_file(&file, options)?;
        }
        let scheme = options.url.split(':').next().unwrap_or_default();
        let result = match scheme {
            "sqlite" => sqlite::open(options).await,
            "postgres" | "postgresql" | "mysql" | "mariadb" => open_server(options).await,
            _ => return Err(ConnectError::UnknownScheme(without_password(&options.url))),
        };
        let source = match result {
            Ok(database) => {
                database.observe_pools();
                return Ok(database);
            }
            Err(source) => source,
        };
        let url = without_password(&options.url);
        if is_missing_file(&source) {
            return Err(ConnectError::NoFile(url));
        }
        let source = connect_error(&options.url)
            .await
            .map_or(source, |error| DbErr::Conn(RuntimeErr::SqlxError(error.into())));
        Err(ConnectError::Unreachable { url, source })
    }
}

/// Refuses a file with the write-ahead log of another database beside it. If the file is missing and the URL asks for
/// it, creates the file with permissions that keep other users from reading it.
fn prepare_file(file: &Path, options: &DatabaseOptions) -> Result<(), FileError> {
    refuse_foreign_log(file)?;
    if options.url.contains("mode=rwc")
        && let Err(error) = create_private(&real_file(file))
    {
        // SQLite will fail to open the file for the same reason, and will report the error.
        tracing::debug!(%error, "the file of the database was not created");
    }
    Ok(())
}

/// Returns whether this is the error `SQLITE_CANTOPEN`.
fn is_missing_file(error: &DbErr) -> bool {
    let DbErr::Conn(RuntimeErr::SqlxError(error)) = error else { return false };
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code == "14")
}

/// Finds out why the database is unreachable, with one connection outside the pool. The pool itself reports only a
/// timeout. Returns None if the connection succeeds or takes too long, and for SQLite.
async fn connect_error(url: &str) -> Option<sqlx::Error> {
    let connect = async {
        match url.split_once(':')?.0 {
            "postgres" | "postgresql" => PgConnection::connect(url).await.err(),
            "mysql" | "mariadb" => MySqlConnection::connect(url).await.err(),
            _ => None,
        }
    };
    tokio::time::timeout(CONNECT_ERROR_TIMEOUT, connect).await.ok().flatten()
}

/// Returns the options of a pool whose statements wait no longer than `lock_timeout` for a lock.
fn server_options(
    url: &str,
    connections: u32,
    lock_timeout: Duration,
    options: &DatabaseOptions,
) -> ConnectOptions {
    let mut connect = connect_options(url, connections, options);
    let statement = options.statement_timeout;
    let lock = lock_timeout.min(statement / 3);
    connect
        .statement_timeout(statement)
        .map_sqlx_postgres_opts(move |opts| {
            opts.options([
                ("lock_timeout", format!("{}ms", lock.as_millis())),
                // With this setting, PostgreSQL plans each statement once. The best plan does not depend on the
                // parameters, because statements find rows by their keys. Without the setting, PostgreSQL would plan a
                // save of answers anew each time, and its many parameters make that slow.
                ("plan_cache_mode", "force_generic_plan".to_owned()),
                // The isolation level of every transaction of this session. So no transaction has to set it.
                ("default_transaction_isolation", "read committed".to_owned()),
                ("idle_in_transaction_session_timeout", format!("{}ms", statement.as_millis())),
            ])
        })
        .map_sqlx_mysql_pool_opts(move |pool| {
            pool.after_connect(move |connection, _| {
                Box::pin(set_up_mysql(connection, Some((statement, lock))))
            })
        });
    connect
}

/// Opens the pools of a database server.
async fn open_server(options: &DatabaseOptions) -> Result<Database, DbErr> {
    let url = options.url.replacen("mariadb:", "mysql:", 1);
    let connect = server_options(&url, options.writers(), WRITE_LOCK_TIMEOUT, options);
    let reader = server_options(&url, options.readers(), LOCK_TIMEOUT, options);
    let statement = options.statement_timeout;
    let pool = open(connect, options).await?;
    let reader = open_reader(reader, options.readers(), options).await?;
    let migrator = if url.starts_with("mysql:") {
        // MariaDB and MySQL commit each schema change, so a migration cannot change the time limits for one
        // transaction. It gets a pool without time limits, with two connections: one of them holds the lock of the
        // migration.
        let mut migrator = connect_options(&url, 2, options);
        migrator.connect_lazy(true).idle_timeout(MIGRATOR_IDLE_TIMEOUT).map_sqlx_mysql_pool_opts(|pool| {
            pool.after_connect(|connection, _| Box::pin(set_up_mysql(connection, None)))
        });
        open(migrator, options).await?
    } else {
        pool.clone()
    };
    let probe = Arc::new(Probe::new(connect_options(&url, 1, options)).await?);
    let is_cluster = match pool.get_database_backend() {
        DbBackend::MySql => {
            let pool = pool.get_mysql_connection_pool();
            let row = pool.fetch_optional(SHOW_WSREP_ON).await;
            is_galera(row.map_err(|error| DbErr::Query(RuntimeErr::SqlxError(error.into())))?.as_ref())
        }
        _ => false,
    };
    let queue = WriteQueue::new(options.transactions(), options.acquire_timeout);
    let metrics = options.metrics.clone();
    let groups = Arc::default();
    Ok(Database {
        reader,
        writer: pool,
        queue,
        groups,
        probe,
        migrator,
        is_cluster,
        metrics,
        retry_for: statement,
    })
}

/// Returns the statement that sets the timeouts of a session on MariaDB or MySQL. The statement has SQL comments that
/// only MariaDB executes, and one that only MySQL executes.
///
/// `lock_wait_timeout` limits the wait for locks of tables, and `innodb_lock_wait_timeout` the wait for locks of
/// rows. `idle_transaction_timeout` frees the locks of a jishu server that hangs in a transaction. MySQL does not
/// have it: there only `wait_timeout` ends an idle session, and this statement does not set it.
fn mysql_timeouts(statement: Duration, lock: Duration) -> String {
    let lock = lock.as_secs().max(1);
    let (seconds, milliseconds) = (statement.as_secs_f64(), statement.as_millis());
    let idle = statement.as_secs().max(1);
    format!(
        "SET SESSION innodb_lock_wait_timeout = {lock}, SESSION lock_wait_timeout = {lock} \
         /*M!100101 , SESSION max_statement_time = {seconds:.3} */ \
         /*M!100300 , SESSION idle_transaction_timeout = {idle} */ \
         /*!50708 , SESSION max_execution_time = {milliseconds} */"
    )
}

/// Prepares a session on MariaDB or MySQL.
///
/// `limits` are the maximum time of a statement and the maximum wait for a lock. The sessions of migrations have no
/// limits.
///
/// On a node of a Galera cluster, each read and each transaction waits until the node has applied all that the
/// cluster committed before. Otherwise a node that is behind could miss a purchase that another node has
/// acknowledged. A stricter setting of the operator is kept.
///
/// On a cluster, a session with limits is read-only outside of explicit read-write transactions.
async fn set_up_mysql(
    connection: &mut MySqlConnection,
    limits: Option<(Duration, Duration)>,
) -> Result<(), sqlx::Error> {
    if let Some((statement, lock)) = limits {
        connection.execute(AssertSqlSafe(mysql_timeouts(statement, lock))).await?;
        // The isolation level of every transaction of this session. The default of MariaDB is REPEATABLE READ.
        connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
    }
    if is_galera(connection.fetch_optional(SHOW_WSREP_ON).await?.as_ref()) {
        connection.execute("SET SESSION wsrep_sync_wait = @@SESSION.wsrep_sync_wait | 1").await?;
        if limits.is_some() {
            connection.execute("SET SESSION TRANSACTION READ ONLY").await?;
        }
    }
    Ok(())
}

/// The statement that shows whether the server is a node of a Galera cluster.
const SHOW_WSREP_ON: &str = "SHOW VARIABLES LIKE 'wsrep_on'";

fn is_galera(row: Option<&MySqlRow>) -> bool {
    row.is_some_and(|row| row.try_get::<String, _>(1).is_ok_and(|value| value == "ON"))
}
