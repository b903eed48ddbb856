//! Makes a backup of an SQLite database. A server may use the database meanwhile.

use std::path::{Path, PathBuf};

use jishu_service_macros::service_call;
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};

use super::examine::{BackupReport, count_rows, find_damage};
use super::files::PendingFile;
use super::verify::verify;
use super::{BackupError, keys_of};
use crate::database::{Access, open_file, refuse_foreign_log};

/// A backup that was made and verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeBackup {
    /// The findings about the copy.
    pub report: BackupReport,
    /// The size of the copy in bytes.
    pub bytes: u64,
    /// The path of the file to which the signing keys were copied. None if there were no signing keys to copy.
    pub keys: Option<PathBuf>,
}

/// Copies an SQLite database, in the state of one moment during the call, into the new file `target`. Copies the
/// signing keys in the file `keys` into a file beside `target`, and verifies the copied database. Other processes may
/// read and write the database meanwhile. Rows with faults are copied unchanged, and the report lists them.
///
/// # Errors
/// See [`BackupError`]. After an error this call leaves no file under a final name.
#[service_call]
pub async fn make(database: &Path, keys: Option<&Path>, target: &Path) -> Result<MadeBackup, BackupError> {
    let keys = keys.filter(|keys| keys.exists());
    for taken in [target.to_owned(), keys_of(target)] {
        if taken.exists() {
            return Err(BackupError::Exists(taken));
        }
    }
    refuse_foreign_log(database)?;
    let pending = PendingFile::new(target)?;
    let source = open_file(database, Access::Shared).await?;
    // Checks the pages of the original, because the copy is written anew and would not show their damage.
    let damage = find_damage(&source).await;
    let copied = if damage.is_empty() { copy_into(&source, &pending).await } else { Ok(Vec::new()) };
    source.close().await?;
    if !damage.is_empty() {
        return Err(BackupError::Problems { path: database.to_owned(), problems: damage });
    }
    let min_rows = copied?;

    let report = verify(pending.path()).await?;
    let mut problems = report.damage.clone();
    for (table, rows) in min_rows {
        let copied = report.rows.iter().find(|(name, _)| *name == table).map_or(0, |(_, rows)| *rows);
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
    // Places the keys first, so that the backup is complete as soon as the copied database has its final name.
    let placed = match keys {
        Some(keys) => {
            PendingFile::copy(keys, &keys_of(target))?.place()?;
            Some(keys_of(target))
        }
        None => None,
    };
    if let Err(error) = pending.place() {
        if let Some(keys) = &placed {
            // Without the copied database, the copied keys are no backup, so they are deleted.
            let _ = std::fs::remove_file(keys);
        }
        return Err(error);
    }
    Ok(MadeBackup { report, bytes, keys: placed })
}

/// Copies the database into the pending file. Returns the number of rows that each table had before the copy began. The
/// copy must have at least as many rows, because rows of these tables are never deleted.
async fn copy_into(
    source: &DatabaseConnection,
    pending: &PendingFile,
) -> Result<Vec<(&'static str, i64)>, BackupError> {
    let min_rows = count_rows(source).await?;
    let path = pending.path().to_string_lossy().into_owned();
    let copy = Statement::from_sql_and_values(source.get_database_backend(), "VACUUM INTO ?", [path.into()]);
    source.execute_raw(copy).await?;
    Ok(min_rows)
}
