//! The options for connecting to the database.

use std::sync::Arc;
use std::time::Duration;

use crate::metrics::Metrics;

/// Default and upper limit of the maximum time of a statement. A statement of a migration may take any time.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(15);
/// Default for the number of connections to a database server.
const SERVER_CONNECTIONS: u32 = 16;
/// Number of connections for writing that transactions leave free, so that answers can be saved.
const CONNECTIONS_FOR_SAVING: usize = 2;

/// A function that gets the text of each statement after it has run.
pub type StatementObserver = Arc<dyn Fn(&str) + Send + Sync>;

/// The options for connecting to the database.
#[derive(Clone)]
pub struct DatabaseOptions {
    /// The URL, which begins with `sqlite://`, `postgres://` or `mysql://`.
    pub url: String,
    /// Number of connections to a database server, half of them for writing. For SQLite, the number of connections for
    /// reading. With None it is 16 for a server, and for SQLite it depends on the processor cores.
    pub max_connections: Option<u32>,
    /// Maximum time that a request waits in each queue of the writers, or for a permit of the readers, and then again
    /// for a connection.
    pub acquire_timeout: Duration,
    /// Maximum time of a statement on a database server (SQLite has no such limit). Also the time within which failed
    /// transactions are retried. It must be shorter than the timeout of a request, so that a request that timed out
    /// frees its connection soon.
    pub statement_timeout: Duration,
    /// Whether an SQLite file keeps its journal mode, because the caller only reads. The URL decides whether a missing
    /// file is created.
    pub keeps_journal_mode: bool,
    /// The function that gets the text of each statement. None if nobody needs the statements.
    pub observer: Option<StatementObserver>,
    /// The metrics that count statements, transactions and connections. They may be switched off.
    pub metrics: Metrics,
}

impl DatabaseOptions {
    /// Returns the default options for a URL.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            max_connections: None,
            acquire_timeout: Duration::from_secs(10),
            statement_timeout: STATEMENT_TIMEOUT,
            keeps_journal_mode: false,
            observer: None,
            metrics: Metrics::off(),
        }
    }

    /// Sets the maximum time of a statement to half of the timeout of a request, but at most to 15 s.
    #[must_use]
    pub fn with_request_timeout(self, request_timeout: Duration) -> Self {
        Self { statement_timeout: STATEMENT_TIMEOUT.min(request_timeout / 2), ..self }
    }

    fn server_connections(&self) -> u32 {
        self.max_connections.unwrap_or(SERVER_CONNECTIONS)
    }

    /// Returns the number of connections to a database server in the pool for reading.
    pub(super) fn readers(&self) -> u32 {
        let connections = self.server_connections();
        (connections - connections / 2).max(1)
    }

    /// Returns the number of connections to a database server in the pool for writing.
    pub(super) fn writers(&self) -> u32 {
        (self.server_connections() / 2).max(1)
    }

    /// Returns the number of transactions that may run at once. The other connections for writing stay free for
    /// batches of answers, which are saved outside transactions.
    pub(super) fn transactions(&self) -> usize {
        (self.writers() as usize).saturating_sub(CONNECTIONS_FOR_SAVING).max(1)
    }
}
