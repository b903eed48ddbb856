//! Opening the pools.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::mysql::MySqlRow;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sea_orm::sqlx::{self, AssertSqlSafe, Connection, Executor, MySqlConnection, PgConnection, Row};
use sea_orm::{ConnectOptions, DatabaseConnection, DbBackend, DbErr, RuntimeErr};

use super::probe::Probe;
use super::queue::WriteQueue;
use super::{Database, FileError, Reader, create_private, real_file, refuse_foreign_log, sqlite_file};

/// No statement of a request takes this long, unless told otherwise; migrations lift it for themselves.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(15);
/// Maximum time that a query outside a transaction waits for a lock.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// Maximum time that a statement of a transaction waits for a lock, because it holds a connection meanwhile. MariaDB and
/// MySQL count in whole seconds.
const WRITE_LOCK_TIMEOUT: Duration = Duration::from_millis(500);
/// Number of writing connections that transactions leave free for saving answers.
const CONNECTIONS_FOR_SAVING: usize = 2;
/// Idle longer than any migration holds its connections.
const MIGRATOR_IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum time that a write waits for the one writer of SQLite.
const SQLITE_WRITER_WAIT: Duration = Duration::from_secs(30);

/// How long is tried to find out why there is no connection.
const REASON_TIMEOUT: Duration = Duration::from_secs(3);

/// Called with the text of each statement after it ran.
pub type StatementObserver = Arc<dyn Fn(&str) + Send + Sync>;

/// How to reach the database.
#[derive(Clone)]
pub struct DatabaseOptions {
    /// `sqlite://`, `postgres://` or `mysql://`.
    pub url: String,
    /// Connections to a database server, half of them for writing; for SQLite, the number of reading connections.
    pub max_connections: u32,
    /// How long a request waits for a connection, and before that in the queue of writers.
    pub acquire_timeout: Duration,
    /// How long a statement may take on a database server, and how long conflicts are retried. SQLite knows no
    /// such limit. Below the time that a request may take, so that what is given up frees its connection.
    pub statement_timeout: Duration,
    /// Whether nothing is written: an SQLite file keeps its journal mode. The URL says whether a missing file is
    /// made.
    pub only_looks: bool,
    /// Told of each statement.
    pub observer: Option<StatementObserver>,
}

impl DatabaseOptions {
    /// The defaults for this URL.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            max_connections: 16,
            acquire_timeout: Duration::from_secs(10),
            statement_timeout: STATEMENT_TIMEOUT,
            only_looks: false,
            observer: None,
        }
    }

    /// With statements that end before a request is given up after this time, and never take longer than 15 s.
    #[must_use]
    pub fn within(self, request_timeout: Duration) -> Self {
        Self { statement_timeout: STATEMENT_TIMEOUT.min(request_timeout / 2), ..self }
    }

    /// Returns the number of connections to a server that only read.
    fn readers(&self) -> u32 {
        (self.max_connections - self.max_connections / 2).max(1)
    }

    /// Returns the number of connections to a server that write.
    fn writers(&self) -> u32 {
        (self.max_connections / 2).max(1)
    }

    /// Returns how many transactions run at once. Batches of answers are saved outside transactions, and find a
    /// free connection.
    fn transactions(&self) -> usize {
        (self.writers() as usize).saturating_sub(CONNECTIONS_FOR_SAVING).max(1)
    }
}

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL names no database we know.
    #[error(
        "`{0}` is not the URL of a database: it must begin with sqlite://, postgres:// or mysql://, \
         for instance sqlite://jishu.db?mode=rwc"
    )]
    UnknownScheme(String),
    /// The database did not answer.
    #[error("the database at {url} cannot be opened: {source}")]
    Unreachable {
        /// Where, without the password.
        url: String,
        /// What it said.
        source: DbErr,
    },
    /// No file was found or made.
    #[error(
        "the database at {0} cannot be opened: there is no such file, no such folder, or no permission. `jishu serve` makes \
         a file where the URL ends with ?mode=rwc"
    )]
    NoFile(String),
    /// The file must not be opened in its present state.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Database {
    /// Opens the database and checks that it answers.
    ///
    /// # Errors
    /// When the URL is of another database, or the database does not answer.
    pub async fn connect(options: &DatabaseOptions) -> Result<Self, ConnectError> {
        if let Some(file) = sqlite_file(&options.url) {
            prepare_file(&file, options)?;
        }
        let scheme = options.url.split(':').next().unwrap_or_default();
        let result = match scheme {
            "sqlite" => open_sqlite(options).await,
            "postgres" | "postgresql" | "mysql" | "mariadb" => open_server(options).await,
            _ => return Err(ConnectError::UnknownScheme(without_password(&options.url))),
        };
        let source = match result {
            Ok(database) => return Ok(database),
            Err(source) => source,
        };
        let url = without_password(&options.url);
        if is_no_file(&source) {
            return Err(ConnectError::NoFile(url));
        }
        let source = reason(&options.url)
            .await
            .map_or(source, |error| DbErr::Conn(RuntimeErr::SqlxError(error.into())));
        Err(ConnectError::Unreachable { url, source })
    }
}

/// Makes a missing file if the URL asks for it. Nobody else can read the file at any moment.
fn prepare_file(file: &Path, options: &DatabaseOptions) -> Result<(), FileError> {
    refuse_foreign_log(file)?;
    if options.url.contains("mode=rwc")
        && let Err(error) = create_private(&real_file(file))
    {
        // SQLite fails in the same way, and reports the error.
        tracing::debug!(%error, "the file of the database was not made");
    }
    Ok(())
}

/// `SQLITE_CANTOPEN`.
fn is_no_file(error: &DbErr) -> bool {
    let DbErr::Conn(RuntimeErr::SqlxError(error)) = error else { return false };
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code == "14")
}

/// A pool tries to connect until its time is over, and tells no more than that. Why, tells one connection.
async fn reason(url: &str) -> Option<sqlx::Error> {
    let connect = async {
        match url.split_once(':')?.0 {
            "postgres" | "postgresql" => PgConnection::connect(url).await.err(),
            "mysql" | "mariadb" => MySqlConnection::connect(url).await.err(),
            _ => None,
        }
    };
    tokio::time::timeout(REASON_TIMEOUT, connect).await.ok().flatten()
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
                // Our statements find rows by their keys, whatever the parameters: a plan is made once and kept until
                // the statistics change. Otherwise saving many answers, which has many parameters, is planned anew
                // each time.
                ("plan_cache_mode", "force_generic_plan".to_owned()),
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

async fn open_server(options: &DatabaseOptions) -> Result<Database, DbErr> {
    let url = options.url.replacen("mariadb:", "mysql:", 1);
    let connect = server_options(&url, options.writers(), WRITE_LOCK_TIMEOUT, options);
    let reader = server_options(&url, options.readers(), LOCK_TIMEOUT, options);
    let statement = options.statement_timeout;
    let pool = open(connect, options).await?;
    let reader = Reader::new(open(reader, options).await?, options.readers(), options.acquire_timeout);
    let migrator = if url.starts_with("mysql:") {
        // Schema changes commit by themselves there, so that a migration cannot lift the limits for itself in a
        // transaction. It takes two connections: one holds the lock.
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
            let row = pool.fetch_optional(WSREP_ON).await;
            is_galera(row.map_err(|error| DbErr::Query(RuntimeErr::SqlxError(error.into())))?.as_ref())
        }
        _ => false,
    };
    let queue = WriteQueue::new(options.transactions(), options.acquire_timeout);
    Ok(Database { reader, writer: pool, queue, probe, migrator, is_cluster, retry_for: statement })
}

/// Each server takes the comment that is written for it. `lock_wait_timeout` is for the locks of tables, which
/// `innodb_lock_wait_timeout` knows nothing of; `idle_transaction_timeout` gives the locks of a server back that hangs in a
/// transaction, where MySQL has nothing but `wait_timeout` for.
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

/// On a node of a Galera cluster, reads and transactions begin with all that the cluster had committed: what
/// another node has answered holds on this one. Without it a node that is behind does not show a purchase that
/// was acknowledged, and can refuse to repeat its answer. Nothing waits elsewhere, nor where the operator has
/// asked for more.
///
/// With these limits on the time of a statement and of waiting for a lock; only migrations have none. With them, a
/// connection to a cluster writes in transactions that say so, and never outside.
async fn set_up_mysql(
    connection: &mut MySqlConnection,
    limits: Option<(Duration, Duration)>,
) -> Result<(), sqlx::Error> {
    if let Some((statement, lock)) = limits {
        connection.execute(AssertSqlSafe(mysql_timeouts(statement, lock))).await?;
    }
    if is_galera(connection.fetch_optional(WSREP_ON).await?.as_ref()) {
        connection.execute("SET SESSION wsrep_sync_wait = @@SESSION.wsrep_sync_wait | 1").await?;
        if limits.is_some() {
            connection.execute("SET SESSION TRANSACTION READ ONLY").await?;
        }
    }
    Ok(())
}

const WSREP_ON: &str = "SHOW VARIABLES LIKE 'wsrep_on'";

fn is_galera(row: Option<&MySqlRow>) -> bool {
    row.is_some_and(|row| row.try_get::<String, _>(1).is_ok_and(|value| value == "ON"))
}

async fn open_sqlite(options: &DatabaseOptions) -> Result<Database, DbErr> {
    let mut writer = connect_options(&options.url, 1, options);
    // A write waits its turn for the one connection; it may wait longer than a reader.
    let wait = options.acquire_timeout.max(SQLITE_WRITER_WAIT);
    writer.acquire_timeout(wait);
    let only_looks = options.only_looks;
    let settings = move |opts| sqlite_settings(opts, only_looks);
    writer.map_sqlx_sqlite_opts(settings);
    // A database in memory is one connection's own, and ends with it.
    if options.url.contains(":memory:") || options.url.contains("mode=memory") {
        writer.idle_timeout(None::<Duration>).max_lifetime(None::<Duration>);
        let writer = open(writer, options).await?;
        return Ok(Database {
            reader: Reader::new(writer.clone(), 1, wait),
            queue: WriteQueue::new(1, wait),
            probe: Arc::new(Probe::of_memory(writer.clone())),
            migrator: writer.clone(),
            writer,
            is_cluster: false,
            retry_for: options.statement_timeout,
        });
    }
    let writer = open(writer, options).await?;
    let mut reader = connect_options(&options.url, options.max_connections, options);
    reader.map_sqlx_sqlite_opts(move |opts| settings(opts).read_only(true).create_if_missing(false));
    let reader = Reader::new(open(reader, options).await?, options.max_connections, options.acquire_timeout);
    let mut probe = connect_options(&options.url, 1, options);
    probe.map_sqlx_sqlite_opts(move |opts| settings(opts).read_only(true).create_if_missing(false));
    let probe = Arc::new(Probe::new(probe).await?);
    let queue = WriteQueue::new(1, wait);
    let retry_for = options.statement_timeout;
    Ok(Database { reader, queue, migrator: writer.clone(), writer, probe, is_cluster: false, retry_for })
}

fn connect_options(url: &str, max_connections: u32, options: &DatabaseOptions) -> ConnectOptions {
    let mut connect = ConnectOptions::new(url);
    connect
        .max_connections(max_connections)
        .acquire_timeout(options.acquire_timeout)
        .connect_timeout(options.acquire_timeout)
        // A ping on every acquire is a round trip on every request; a connection that was busy a moment ago
        // is alive.
        .test_before_acquire_if_idle_for(Duration::from_secs(5))
        .set_application_name("jishu")
        .sqlx_logging_level(log::LevelFilter::Debug)
        .sqlx_slow_statements_logging_settings(log::LevelFilter::Warn, Duration::from_secs(1))
        .record_stmt_in_spans(false);
    connect
}

async fn open(connect: ConnectOptions, options: &DatabaseOptions) -> Result<DatabaseConnection, DbErr> {
    let mut connection = sea_orm::Database::connect(connect).await?;
    if let Some(observer) = options.observer.clone() {
        connection.set_metric_callback(move |info| observer(&info.statement.sql));
    }
    Ok(connection)
}

/// `synchronous=FULL`: with NORMAL a power failure can take back a purchase that was acknowledged.
fn sqlite_settings(options: SqliteConnectOptions, only_looks: bool) -> SqliteConnectOptions {
    let options = if only_looks { options } else { options.journal_mode(SqliteJournalMode::Wal) };
    options
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(10))
        .statement_cache_capacity(256)
}

fn without_password(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut parsed) if parsed.password().is_some() => {
            // Fails only for URLs that cannot carry a password.
            let _ = parsed.set_password(Some("***"));
            parsed.to_string()
        }
        _ => url.to_owned(),
    }
}
