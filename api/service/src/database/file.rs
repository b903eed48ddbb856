//! The file of an SQLite database: its path, its permissions, and the check that a write-ahead log beside it belongs
//! to this file.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use jishu_service_macros::service_call;
use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use sea_orm::{ConnectOptions, DatabaseConnection, DbErr};

/// Positions of the bytes in the header of an SQLite file that give its journal mode: 1 is a rollback journal, 2 a
/// write-ahead log.
const JOURNAL_MODE_BYTES: std::ops::RangeInclusive<usize> = 18..=19;
/// The value of the bytes at [`JOURNAL_MODE_BYTES`] for a rollback journal.
const ROLLBACK_MODE: u8 = 1;

/// Maximum number of symbolic links that [`real_file`] follows one after the other. If there are more, it returns the
/// link that it reached.
const MAX_LINKS: usize = 40;

/// A reason not to open the file of an SQLite database in its present state.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// A write-ahead log is beside a file to which it does not belong.
    #[error(
        "{log} is beside {file} but belongs to an older database: the file was copied or restored. Opening both \
         would damage the file. If {file} has the data that you want, move {log} and {shm} away. If not, put back \
         the file that {log} belongs to",
        file = .0.display(), log = beside(.0, "-wal").display(), shm = beside(.0, "-shm").display()
    )]
    ForeignLog(PathBuf),
    /// A write-ahead log has no database beside it.
    #[error(
        "{log} has data of a database, but {file} is missing or empty. Opening it would delete the data. Put the \
         file back, or move {log} away to begin with an empty database",
        file = .0.display(), log = beside(.0, "-wal").display()
    )]
    LogAlone(PathBuf),
    /// The file system returned an error.
    #[error("{path} cannot be read: {source}. Check the path and its permissions", path = .0.display(), source = .1)]
    Io(PathBuf, io::Error),
}

/// Returns the file that the URL of an SQLite database names. None for a database server or a database in memory.
#[must_use]
pub fn sqlite_file(url: &str) -> Option<PathBuf> {
    if !url.starts_with("sqlite:") || url.contains(":memory:") || url.contains("mode=memory") {
        return None;
    }
    let options = SqliteConnectOptions::from_str(url).ok()?;
    Some(options.get_filename().to_owned()).filter(|file| !file.as_os_str().is_empty())
}

/// Appends a suffix to the name of a file: `jishu.db` and `-wal` give `jishu.db-wal`.
#[must_use]
pub fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Follows symbolic links to the real file, even if that file does not exist. SQLite makes its log beside the real
/// file and not beside the link.
#[must_use]
pub fn real_file(file: &Path) -> PathBuf {
    let mut real = file.to_owned();
    for _ in 0..MAX_LINKS {
        let Ok(to) = fs::read_link(&real) else { break };
        real = real.parent().map_or_else(|| to.clone(), |folder| folder.join(&to));
    }
    real
}

/// Creates an empty file that only its owner may read and write, whatever the umask. SQLite gives the same permissions
/// to the files that it creates beside this file. Does not change an existing file.
///
/// # Errors
/// Returns the error of the file system.
pub fn create_private(file: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(file) {
        Ok(made) => make_private(&made),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Gives the owner, and nobody else, the right to read and write the file. The umask may have removed the owner's
/// right.
fn make_private(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

/// Refuses a file with the write-ahead log of another database beside it, because SQLite would write the pages of
/// that log into this file. A log with data is foreign if the header of the file says that the file uses a rollback
/// journal. Also refuses a log with data whose file is missing or empty.
///
/// # Errors
/// See [`FileError`].
pub fn refuse_foreign_log(file: &Path) -> Result<(), FileError> {
    let file = &real_file(file);
    // SQLite writes the header of the file before it writes data to the log. So the size of the log is read first: then
    // the header that is read afterwards is never too old.
    let log = fs::metadata(beside(file, "-wal")).map_or(0, |metadata| metadata.len());
    if log == 0 {
        return Ok(());
    }
    match header(file) {
        Ok(Some(header)) if header[JOURNAL_MODE_BYTES].contains(&ROLLBACK_MODE) => {
            Err(FileError::ForeignLog(file.to_owned()))
        }
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(FileError::LogAlone(file.to_owned())),
        Err(error) => Err(FileError::Io(file.to_owned(), error)),
    }
}

/// Reads the first 100 bytes of a database file. Returns None if the file is missing or shorter.
fn header(file: &Path) -> io::Result<Option<[u8; 100]>> {
    let mut header = [0; 100];
    let read = File::open(file).and_then(|mut file| file.read_exact(&mut header));
    match read {
        Ok(()) => Ok(Some(header)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The kind of access to the file of an SQLite database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading and writing. Other processes may use the file.
    Shared,
    /// Reading only. No other process may write to the file.
    ReadOnly,
}

/// Opens an existing SQLite file with one connection, which does not change the journal mode of the file.
///
/// # Errors
/// Returns the database's error.
#[service_call]
pub async fn open_file(file: &Path, access: Access) -> Result<DatabaseConnection, DbErr> {
    let file = real_file(file);
    // A database with a write-ahead log is two files, so it cannot be opened as one immutable file.
    let has_log = fs::metadata(beside(&file, "-wal")).is_ok_and(|log| log.len() > 0);
    let mut connect = ConnectOptions::new("sqlite://");
    connect
        .max_connections(1)
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .sqlx_logging_level(log::LevelFilter::Debug)
        .sqlx_slow_statements_logging_settings(log::LevelFilter::Debug, Duration::from_secs(1))
        .map_sqlx_sqlite_opts(move |options| {
            options
                .filename(&file)
                .read_only(access == Access::ReadOnly)
                .immutable(access == Access::ReadOnly && !has_log)
                .create_if_missing(false)
                .foreign_keys(false)
                .busy_timeout(Duration::from_secs(10))
        });
    sea_orm::Database::connect(connect).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_files_as_the_driver_reads_them() {
        let file = |url| sqlite_file(url).map(|file| file.display().to_string());
        assert_eq!(file("sqlite://jishu.db?mode=rwc").as_deref(), Some("jishu.db"));
        assert_eq!(file("sqlite:///var/lib/a%20b.db").as_deref(), Some("/var/lib/a b.db"));
        assert_eq!(file("sqlite:jishu.db").as_deref(), Some("jishu.db"));
        for none in ["sqlite::memory:", "sqlite://x?mode=memory", "postgres://x/jishu.db", "sqlite://"] {
            assert_eq!(file(none), None, "{none}");
        }
    }
}
