//! Restores a backup in place of a database.

use std::fs;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr, Statement};

use super::files::{Pending, rename};
use super::verify::{Verified, verify};
use super::{BackupError, keys_of};
use crate::database::{Access, Failure, FileError, beside, open_file, real_file, refuse_foreign_log};

/// A database that was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The findings about the backup.
    pub verified: Verified,
    /// The files that it replaced, under their new names.
    pub kept: Vec<PathBuf>,
    /// The file of the restored keys; None if the backup has no keys, or if the operator keeps them elsewhere.
    pub keys: Option<PathBuf>,
}

/// The permissions for a restore.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Replace an existing database.
    pub replacing: bool,
    /// Restore rows that have faults.
    pub problems: bool,
}

/// Restores a backup into a file. Existing files, also a write-ahead log, are kept beside it under other names.
///
/// # Errors
/// See [`BackupError`]. After an error the existing files are as they were.
pub async fn restore(
    backup: &Path,
    target: &Path,
    keys: Option<&Path>,
    allowed: Allowed,
    now: DateTime<Utc>,
) -> Result<Restored, BackupError> {
    // What is replaced are the files that links lead to; the links stay.
    let (target, keys) = (&real_file(target), keys.map(real_file));
    let keys = keys.as_deref();
    if let (Ok(one), Ok(other)) = (backup.canonicalize(), target.canonicalize())
        && one == other
    {
        return Err(BackupError::Itself(target.to_owned()));
    }
    let verified = verify(backup).await?;
    let problems = if allowed.problems { verified.damage.clone() } else { verified.faults() };
    if !problems.is_empty() {
        return Err(BackupError::Problems { path: backup.to_owned(), problems });
    }
    for taken in [Some(target.as_path()), keys].into_iter().flatten() {
        if fs::metadata(taken).is_ok_and(|metadata| !metadata.is_file()) {
            return Err(BackupError::NotAFile(taken.to_owned()));
        }
    }
    let is_there = |file: PathBuf| fs::metadata(file).is_ok_and(|metadata| metadata.len() > 0);
    if !allowed.replacing && (is_there(target.to_owned()) || is_there(beside(target, "-wal"))) {
        return Err(BackupError::HasDatabase(target.to_owned()));
    }
    let database = Pending::copy(backup, target)?;
    let (of_backup, keys) = (keys_of(backup), keys.filter(|_| keys_of(backup).exists()));
    let new_keys = match keys {
        Some(keys) if !is_same(&of_backup, keys) => Some((Pending::copy(&of_backup, keys)?, keys)),
        _ => None,
    };
    claim(target).await?;

    let mut moved = Moved { suffix: format!(".before-{}", now.format("%Y%m%dT%H%M%SZ")), files: Vec::new() };
    let placed = (|| {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            moved.aside(target, suffix)?;
        }
        if let Some((pending, keys)) = new_keys {
            moved.aside(keys, "")?;
            pending.place()?;
        }
        database.place()
    })();
    if let Err(error) = placed {
        moved.back();
        return Err(error);
    }
    let kept = moved.files.into_iter().map(|(_, kept)| kept).collect();
    Ok(Restored { verified, kept, keys: keys.map(Path::to_owned) })
}

/// Refuses a file that another process has open, and writes its write-ahead log back. Leaves other files alone.
async fn claim(target: &Path) -> Result<(), BackupError> {
    let is_empty = fs::metadata(target).map_or(true, |metadata| metadata.len() == 0);
    match refuse_foreign_log(target) {
        Ok(()) if is_empty => return Ok(()),
        Ok(()) => {}
        // Both files are moved aside as they are.
        Err(FileError::ForeignLog(_) | FileError::LogAlone(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    let Ok(connection) = open_file(target, Access::Shared).await else { return Ok(()) };
    let leave = async || -> Result<Option<String>, DbErr> {
        connection.execute_unprepared("PRAGMA busy_timeout = 500").await?;
        let text = "PRAGMA journal_mode = DELETE";
        let row =
            connection.query_one_raw(Statement::from_string(connection.get_database_backend(), text)).await?;
        row.map(|row| row.try_get_by_index(0)).transpose()
    };
    let left = leave().await;
    connection.close().await?;
    match left {
        Ok(Some(mode)) if mode == "wal" => Err(BackupError::InUse(target.to_owned())),
        Err(error) if Failure::of(&error) == Failure::Conflict => Err(BackupError::InUse(target.to_owned())),
        _ => Ok(()),
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    matches!((fs::read(one), fs::read(other)), (Ok(one), Ok(other)) if one == other)
}

/// Files that were renamed.
struct Moved {
    suffix: String,
    files: Vec<(PathBuf, PathBuf)>,
}

impl Moved {
    /// Renames the file beside `file` with this suffix, if there is one. The files of a database keep their
    /// suffixes, so that it can be opened under its new name.
    fn aside(&mut self, file: &Path, end: &str) -> Result<(), BackupError> {
        let from = beside(file, end);
        if !from.exists() {
            return Ok(());
        }
        let to = beside(&beside(file, &self.suffix), end);
        if to.exists() {
            return Err(BackupError::Exists(to));
        }
        rename(&from, &to)?;
        self.files.push((from, to));
        Ok(())
    }

    fn back(self) {
        for (from, to) in self.files.into_iter().rev() {
            if let Err(error) = rename(&to, &from) {
                tracing::error!(%error, kept = %to.display(), "a file could not get its old name back; rename it by \
                                                               hand");
            }
        }
    }
}
