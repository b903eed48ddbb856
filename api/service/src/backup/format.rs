//! The formats of backups.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::BackupError;

/// Number of bytes of a file that are read to find out its format.
const HEAD_BYTES: u64 = 4_096;

/// The format of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BackupFormat {
    /// The file of an SQLite database.
    Sqlite,
    /// The custom format of `pg_dump`.
    PostgresCustom,
    /// A script of `pg_dump`.
    PostgresScript,
    /// A script of `mariadb-dump`.
    MariaDb,
}

impl BackupFormat {
    /// Finds out the format of a file from its first bytes. A file of an unknown format counts as SQLite.
    pub(super) fn of(path: &Path) -> Result<Self, BackupError> {
        let mut head = Vec::new();
        File::open(path)
            .and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head))
            .map_err(BackupError::io(path))?;
        let text = String::from_utf8_lossy(&head);
        Ok(if head.starts_with(b"PGDMP") {
            Self::PostgresCustom
        } else if text.contains("-- PostgreSQL database dump") {
            Self::PostgresScript
        } else if text.contains("-- MariaDB dump") || text.contains("-- MySQL dump") {
            Self::MariaDb
        } else {
            Self::Sqlite
        })
    }

    /// Returns the kind of server that restores this format, and the schemes of the URLs of such a server. None for
    /// SQLite.
    pub(super) fn server(self) -> Option<(&'static str, &'static [&'static str])> {
        match self {
            Self::Sqlite => None,
            Self::PostgresCustom | Self::PostgresScript => {
                Some(("PostgreSQL", &["postgres://", "postgresql://"]))
            }
            Self::MariaDb => Some(("MariaDB", &["mysql://", "mariadb://"])),
        }
    }
}
