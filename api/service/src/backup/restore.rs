//! Restores a backup of an SQLite database into a file, in place of a database that may be there.

use std::fs;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use jishu_service_macros::service_call;
use sea_orm::{ConnectionTrait, DbErr, Statement};

use super::examine::BackupReport;
use super::files::{PendingFile, rename};
use super::verify::verify;
use super::{BackupError, keys_of};
use crate::database::{Access, Failure, FileError, beside, open_file, real_file, refuse_foreign_log};

/// A database that was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoredBackup {
    /// The findings about the backup.
    pub report: BackupReport,
    /// The new names of the files that were replaced and kept.
    pub kept: Vec<PathBuf>,
    /// The file that has the signing keys of the backup now. None if the backup has no keys, or if the caller gave no
    /// file for keys.
    pub keys: Option<PathBuf>,
}

/// The actions that the operator permits in a restore.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RestorePermissions {
    /// Whether an existing database may be replaced.
    pub replacing: bool,
    /// Whether a backup may be restored although its rows have faults. A damaged file is never restored.
    pub problems: bool,
}

/// Restores a backup into the file `target`, and its signing keys into the file `keys`. Existing files, including a
/// write-ahead log, are kept beside them under other names.
///
/// # Errors
/// See [`BackupError`]. After an error the existing files have their old names and rows.
#[service_call]
pub async fn restore(
    backup: &Path,
    target: &Path,
    keys: Option<&Path>,
    allowed: RestorePermissions,
    now: DateTime<Utc>,
) -> Result<RestoredBackup, BackupError> {
    // Symbolic links stay. The restore replaces the files to which they lead.
    let (target, keys) = (&real_file(target), keys.map(real_file));
    let keys = keys.as_deref();
    if let (Ok(one), Ok(other)) = (backup.canonicalize(), target.canonicalize())
        && one == other
    {
        return Err(BackupError::Itself(target.to_owned()));
    }
    let report = verify(backup).await?;
    let problems = if allowed.problems { report.damage.clone() } else { report.faults() };
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
    let database = PendingFile::copy(backup, target)?;
    let (of_backup, keys) = (keys_of(backup), keys.filter(|_| keys_of(backup).exists()));
    let new_keys = match keys {
        Some(keys) if !is_same(&of_backup, keys) => Some((PendingFile::copy(&of_backup, keys)?, keys)),
        _ => None,
    };
    claim(target).await?;

    let mut moved =
        MovedFiles { suffix: format!(".before-{}", now.format("%Y%m%dT%H%M%SZ")), files: Vec::new() };
    let mut placed_keys = None;
    let placed = (|| {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            moved.move_aside(target, suffix)?;
        }
        if let Some((pending, keys)) = new_keys {
            moved.move_aside(keys, "")?;
            pending.place()?;
            placed_keys = Some(keys);
        }
        database.place()
    })();
    if let Err(error) = placed {
        if let Some(keys) = placed_keys {
            // Without the restored database, the restored keys are of no use, and their old file may get its name back.
            let _ = fs::remove_file(keys);
        }
        moved.move_back();
        return Err(error);
    }
    let kept = moved.files.into_iter().map(|(_, kept)| kept).collect();
    Ok(RestoredBackup { report, kept, keys: keys.map(Path::to_owned) })
}

/// Refuses a database that another process has open, and writes its write-ahead log back into the file. Does nothing if
/// the file is empty, does not exist, or cannot be opened as a database.
async fn claim(target: &Path) -> Result<(), BackupError> {
    let is_empty = fs::metadata(target).map_or(true, |metadata| metadata.len() == 0);
    match refuse_foreign_log(target) {
        Ok(()) if is_empty => return Ok(()),
        Ok(()) => {}
        // The log does not belong to the file. The caller moves the file and the log aside unchanged.
        Err(FileError::ForeignLog(_) | FileError::LogAlone(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    let Ok(connection) = open_file(target, Access::Shared).await else { return Ok(()) };
    let leave_wal_mode = async || -> Result<Option<String>, DbErr> {
        connection.execute_unprepared("PRAGMA busy_timeout = 500").await?;
        let text = "PRAGMA journal_mode = DELETE";
        let row =
            connection.query_one_raw(Statement::from_string(connection.get_database_backend(), text)).await?;
        row.map(|row| row.try_get_by_index(0)).transpose()
    };
    let mode = leave_wal_mode().await;
    connection.close().await?;
    match mode {
        Ok(Some(mode)) if mode == "wal" => Err(BackupError::InUse(target.to_owned())),
        Err(error) if Failure::of(&error) == Failure::Conflict => Err(BackupError::InUse(target.to_owned())),
        _ => Ok(()),
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    matches!((fs::read(one), fs::read(other)), (Ok(one), Ok(other)) if one == other)
}

/// Files that were renamed to make place for the restored files.
struct MovedFiles {
    /// The suffix that the new names get, such as `.before-20260102T030405Z`.
    suffix: String,
    /// The old and the new path of each renamed file.
    files: Vec<(PathBuf, PathBuf)>,
}

impl MovedFiles {
    /// Renames the file whose name is `file` plus `end`, if it exists. `end` stays at the end of the new name, so that
    /// a database can be opened under its new name together with its log. Fails if a file with the new name exists.
    fn move_aside(&mut self, file: &Path, end: &str) -> Result<(), BackupError> {
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

    /// Gives all files their old names back. Logs an error for each file for which that fails.
    fn move_back(self) {
        for (from, to) in self.files.into_iter().rev() {
            if let Err(error) = rename(&to, &from) {
                tracing::error!(%error, kept = %to.display(), "a file could not get its old name back; rename it by \
                                                               hand");
            }
        }
    }
}
