//! Backups. A backup of an SQLite database is one complete file, with a file of signing keys beside it. Backups of
//! database servers are made with the tools of these servers, but can be verified here.

mod dump;
mod dump_script;
mod examine;
mod files;
mod format;
mod make;
mod orphans;
mod restore;
mod texts;
mod verify;

use std::io;
use std::path::{Path, PathBuf};

use sea_orm::DbErr;

use crate::database::{ClientUrlError, FileError, ScratchError, beside};

pub use dump::{verify_database, verify_dump};
pub use examine::BackupReport;
pub use make::{MadeBackup, make};
pub use restore::{RestorePermissions, RestoredBackup, restore};
pub use verify::verify;

/// An error after which no backup was made, or nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file with this name exists and would be overwritten.
    #[error("{path} already exists, and a backup never overwrites a file. Give another name, or move {path} \
             away", path = .0.display())]
    Exists(PathBuf),
    /// No file has this name.
    #[error("there is no file {path}. Give the name of a file that `jishu backup` made", path = .0.display())]
    NoFile(PathBuf),
    /// A folder or a device has this name.
    #[error("{path} is a folder or a device, not a file. Give the name of a file", path = .0.display())]
    NotAFile(PathBuf),
    /// A database exists already in the file into which the backup would be restored.
    #[error(
        "{path} already has a database. To replace it, add --replace: the old database is kept beside it under \
         another name", path = .0.display()
    )]
    HasDatabase(PathBuf),
    /// Another process has the database open.
    #[error("{path} is open in another process. Stop the server that uses it, then restore", path = .0.display())]
    InUse(PathBuf),
    /// The backup would be restored onto itself.
    #[error("{path} is the backup itself. Give the URL of another file with --database-url", path = .0.display())]
    Itself(PathBuf),
    /// The backup is damaged or incomplete. Or the database of which a backup should be made is damaged, or its copy is
    /// damaged or incomplete.
    #[error(
        "{path} cannot be used as a backup, and no backup can be made of it:\n  {problems}", path = .path.display(),
        problems = .problems.join("\n  ")
    )]
    Problems {
        /// The file of the backup, or of the database of which a backup should be made.
        path: PathBuf,
        /// The faults of the file, as texts.
        problems: Vec<String>,
    },
    /// The file is a dump, which can be read only by restoring it on a database server. No suitable server was given.
    #[error(
        "{path} is a dump of {server}. Give a server that may restore it with --scratch-url, best one without other data. It \
         is restored into a new database there, which is dropped afterwards", path = .path.display()
    )]
    NeedsServer {
        /// The file.
        path: PathBuf,
        /// The kind of database server.
        server: &'static str,
    },
    /// The dump names a database, or has a command of the client, so restoring the dump could change another database.
    #[error(
        "{path} names a database in its line {line}, or runs a command of the client there, so restoring it could \
         change another database. Make the dump without --databases, --all-databases and --create",
        path = .path.display()
    )]
    NamesDatabase {
        /// The file.
        path: PathBuf,
        /// The number of the line in the dump, from 1.
        line: usize,
    },
    /// The programs of the database server cannot connect to the URL.
    #[error(transparent)]
    ClientUrl(#[from] ClientUrlError),
    /// The caller asked to stop.
    #[error("the check was interrupted, so nothing is known about the backup. Run the command again")]
    Interrupted,
    /// The check of the backup returned an error, and the scratch database still exists.
    #[error("{error}. Besides, {left}")]
    Left {
        /// The error of the check.
        error: Box<BackupError>,
        /// The reason why the scratch database still exists.
        left: ScratchError,
    },
    /// The scratch database could not be created or dropped.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    /// A program of the database server failed.
    #[error("{program} could not restore the dump: {message}")]
    Program {
        /// The name of the program.
        program: &'static str,
        /// The end of the program's messages, or the reason why the program did not start.
        message: String,
    },
    /// The file of an SQLite database cannot be read, or must not be opened because of the write-ahead log beside it.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file system returned an error.
    #[error(
        "{path}: {source}. No file was created or replaced. Remove the cause, and run the command again",
        path = .path.display()
    )]
    Io {
        /// The file that was read or written.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The database returned an error.
    #[error(
        "the database cannot be read or copied: {0}. No file was created or replaced. Remove the cause, and run the \
         command again"
    )]
    Database(#[from] DbErr),
}

impl BackupError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::Io { path, source }
    }
}

/// Returns the path of the file with the signing keys of a backup: the path of the backup with `.keys.pem` at its end.
#[must_use]
pub fn keys_of(backup: &Path) -> PathBuf {
    beside(backup, ".keys.pem")
}
