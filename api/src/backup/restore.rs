//! Putting a backup in the place of a database.

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
    /// The files that were in its place, under their new names.
    pub kept: Vec<PathBuf>,
    /// The keys that were restored; none where the backup has none, or where the operator keeps them elsewhere.
    pub keys: Option<PathBuf>,
}

/// Permits for a restore.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Take the place of a database that is there.
    pub replacing: bool,
    /// Restore rows that something is wrong with.
    pub problems: bool,
}

/// Restores a backup into a file. Whatever was there, a log of an older database too, is kept beside it under another name.
///
/// # Errors
/// See [`BackupError`]. What was there stays as it was then.
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

/// Refuses a file that somebody has open, and writes its log back into it. Leaves a file alone that is not a database.
async fn claim(target: &Path) -> Result<(), BackupError> {
    let is_empty = fs::metadata(target).map_or(true, |metadata| metadata.len() == 0);
    match refuse_foreign_log(target) {
        Ok(()) if is_empty => return Ok(()),
        Ok(()) => {}
        // The two are moved aside as they lie there.
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

/// Files that were given another name.
struct Moved {
    suffix: String,
    files: Vec<(PathBuf, PathBuf)>,
}

impl Moved {
    /// Moves the file beside `file` that has this at the end of its name, where there is one. The files of a database keep
    /// the ends of their names, so that it can be opened where it is.
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
                tracing::error!(%error, kept = %to.display(), "a file could not be given its name back");
            }
        }
    }
}
