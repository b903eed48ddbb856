//! Makes a backup of a database, also while a server runs on it.

use std::path::{Path, PathBuf};

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};

use super::files::Pending;
use super::verify::{Verified, counts, damage, verify};
use super::{BackupError, keys_of};
use crate::database::{Access, open_file, refuse_foreign_log};

/// A backup that was made and verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The findings about the copy.
    pub verified: Verified,
    /// The size of the copy in bytes.
    pub bytes: u64,
    /// The file with the copied keys; `None` if the database has no keys yet.
    pub keys: Option<PathBuf>,
}

/// Copies a database as it is at one moment after the call. Others may read and write it meanwhile. Rows with
/// faults are copied unchanged and reported.
///
/// # Errors
/// See [`BackupError`]. After an error no file has the final name.
pub async fn make(database: &Path, keys: Option<&Path>, target: &Path) -> Result<Made, BackupError> {
    let keys = keys.filter(|keys| keys.exists());
    for taken in [target.to_owned(), keys_of(target)] {
        if taken.exists() {
            return Err(BackupError::Exists(taken));
        }
    }
    refuse_foreign_log(database)?;
    let pending = Pending::new(target)?;
    let source = open_file(database, Access::Shared).await?;
    // Checks the original, because a copy would hide its damage.
    let damage = damage(&source).await;
    let copied = if damage.is_empty() { copy_into(&source, &pending).await } else { Ok(Vec::new()) };
    source.close().await?;
    if !damage.is_empty() {
        return Err(BackupError::Problems { path: database.to_owned(), problems: damage });
    }
    let least = copied?;

    let verified = verify(pending.path()).await?;
    let mut problems = verified.damage.clone();
    for (table, rows) in least {
        let copied = verified.rows.iter().find(|(name, _)| *name == table).map_or(0, |(_, rows)| *rows);
        if copied < rows {
            problems.push(format!(
                "{table} had {rows} rows when the backup began, but the copy has only {copied}. Run the backup again"
            ));
        }
    }
    if !problems.is_empty() {
        return Err(BackupError::Problems { path: database.to_owned(), problems });
    }
    let bytes = std::fs::metadata(pending.path()).map_err(BackupError::io(pending.path()))?.len();
    // The keys first: once the database has its name, the backup is complete.
    let placed = match keys {
        Some(keys) => {
            Pending::copy(keys, &keys_of(target))?.place()?;
            Some(keys_of(target))
        }
        None => None,
    };
    if let Err(error) = pending.place() {
        if let Some(keys) = &placed {
            // Keys alone are not a backup.
            let _ = std::fs::remove_file(keys);
        }
        return Err(error);
    }
    Ok(Made { verified, bytes, keys: placed })
}

/// Copies the database into a file, and returns how many rows the copy has at least.
async fn copy_into(
    source: &DatabaseConnection,
    pending: &Pending,
) -> Result<Vec<(&'static str, i64)>, BackupError> {
    let least = counts(source).await?;
    let path = pending.path().to_string_lossy().into_owned();
    let copy = Statement::from_sql_and_values(source.get_database_backend(), "VACUUM INTO ?", [path.into()]);
    source.execute_raw(copy).await?;
    Ok(least)
}
