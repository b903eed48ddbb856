//! Opens the pools of an SQLite database.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::DbErr;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

use super::options::DatabaseOptions;
use super::pool::{self, connect_options, open_reader};
use super::probe::Probe;
use super::queue::WriteQueue;
use super::{Database, Reader};

/// Maximum time that a write waits for the only connection for writing, unless the acquire timeout is longer.
const WRITER_WAIT: Duration = Duration::from_secs(30);

/// Number of rows that the thread of an SQLite connection reads ahead. It is larger than a page of a list, so that
/// the thread does not stop in the middle of a page.
const ROW_BUFFER: usize = 128;

/// Number of connections for reading per processor core, unless the options give a number. A query on a file uses a
/// core and waits for no network. So more connections would only cost memory for their threads, pages and statements.
const READERS_PER_CORE: usize = 2;

/// Minimum number of connections for reading, unless the options give a number. If the caller of a query has given up,
/// the query keeps its connection until it finds its next row. The minimum keeps a few slow queries from taking all
/// connections.
const MIN_READERS: usize = 8;

/// Maximum size of the page cache of a connection for reading, in KiB. The operating system also caches the file, once
/// for all connections.
const READER_CACHE_KIB: u32 = 512;

/// Opens the pools of an SQLite database.
pub(super) async fn open(options: &DatabaseOptions) -> Result<Database, DbErr> {
    let mut writer = connect_options(&options.url, 1, options);
    // All writes share one connection, so a write may wait longer for it than a read waits.
    let wait = options.acquire_timeout.max(WRITER_WAIT);
    writer.acquire_timeout(wait);
    let keeps_journal_mode = options.keeps_journal_mode;
    let settings = move |opts| sqlite_settings(opts, keeps_journal_mode);
    writer.map_sqlx_sqlite_opts(settings);
    // A database in memory belongs to one connection, and is deleted when that connection closes.
    if options.url.contains(":memory:") || options.url.contains("mode=memory") {
        writer.idle_timeout(None::<Duration>).max_lifetime(None::<Duration>);
        let writer = pool::open(writer, options).await?;
        return Ok(Database {
            reader: Reader::new(writer.clone(), 1, wait, options.metrics.clone()),
            queue: WriteQueue::new(1, wait),
            groups: Arc::default(),
            probe: Arc::new(Probe::for_memory(writer.clone())),
            migrator: writer.clone(),
            writer,
            is_cluster: false,
            metrics: options.metrics.clone(),
            retry_for: options.statement_timeout,
        });
    }
    let writer = pool::open(writer, options).await?;
    let read_only = move |opts| {
        let cache = format!("-{READER_CACHE_KIB}");
        settings(opts).read_only(true).create_if_missing(false).pragma("cache_size", cache)
    };
    let readers = reader_count(options);
    let mut reader = connect_options(&options.url, readers, options);
    reader.map_sqlx_sqlite_opts(read_only);
    let reader = open_reader(reader, readers, options).await?;
    let mut probe = connect_options(&options.url, 1, options);
    probe.map_sqlx_sqlite_opts(read_only);
    let probe = Arc::new(Probe::new(probe).await?);
    let queue = WriteQueue::new(1, wait);
    let retry_for = options.statement_timeout;
    let (migrator, metrics) = (writer.clone(), options.metrics.clone());
    let groups = Arc::default();
    Ok(Database { reader, queue, groups, migrator, writer, probe, is_cluster: false, metrics, retry_for })
}

/// Returns the number of connections for reading.
fn reader_count(options: &DatabaseOptions) -> u32 {
    options.max_connections.unwrap_or_else(|| {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        default_readers(cores)
    })
}

/// Returns the default number of connections for reading on a machine with this many cores.
fn default_readers(cores: usize) -> u32 {
    u32::try_from(cores.saturating_mul(READERS_PER_CORE).max(MIN_READERS)).unwrap_or(u32::MAX)
}

/// Sets the options of an SQLite connection. `synchronous` is FULL, because with NORMAL a power failure can undo a
/// purchase that the server has acknowledged.
fn sqlite_settings(options: SqliteConnectOptions, keeps_journal_mode: bool) -> SqliteConnectOptions {
    let options = if keeps_journal_mode { options } else { options.journal_mode(SqliteJournalMode::Wal) };
    options
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(10))
        .statement_cache_capacity(256)
        .row_buffer_size(ROW_BUFFER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_number_of_readers_wins() {
        let options = DatabaseOptions::new("sqlite://jishu.db");
        assert!(reader_count(&options) >= 8);
        for given in [1, 3, 64] {
            let options = DatabaseOptions { max_connections: Some(given), ..options.clone() };
            assert_eq!(reader_count(&options), given);
        }
    }

    #[test]
    fn readers_grow_with_the_cores() {
        assert_eq!([1, 2, 4, 5, 16].map(default_readers), [8, 8, 8, 10, 32]);
    }

    #[test]
    fn a_server_has_16_connections_unless_a_number_is_given() {
        let options = DatabaseOptions::new("postgres://localhost/jishu");
        assert_eq!((options.readers(), options.writers(), options.transactions()), (8, 8, 6));
        let options = DatabaseOptions { max_connections: Some(3), ..options };
        assert_eq!((options.readers(), options.writers(), options.transactions()), (2, 1, 1));
    }
}
