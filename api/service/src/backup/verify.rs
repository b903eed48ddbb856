//! Verifies the file of a backup of an SQLite database.

use std::path::Path;

use jishu_service_macros::service_call;

use super::examine::{BackupReport, examine};
use super::{BackupError, keys_of};
use crate::auth::KeyRing;
use crate::database::{Access, open_file, refuse_foreign_log};

/// Checks the file of an SQLite database without changing it: its pages, foreign keys, migrations and values, and the
/// rules between rows. If a file with signing keys is beside the database file, also checks that the keys can be read.
///
/// # Errors
/// Fails if the file does not exist or cannot be opened as a database.
#[service_call]
pub async fn verify(file: &Path) -> Result<BackupReport, BackupError> {
    match std::fs::metadata(file) {
        Ok(metadata) if !metadata.is_file() => return Err(BackupError::NotAFile(file.to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(BackupError::NoFile(file.to_owned()));
        }
        _ => {}
    }
    refuse_foreign_log(file)?;
    let connection = open_file(file, Access::ReadOnly).await?;
    let report = examine(&connection).await;
    connection.close().await?;
    let mut report = report?;
    let keys = keys_of(file);
    if keys.exists()
        && let Err(error) = KeyRing::from_pem_file(&keys)
    {
        report.problems.push(error.to_string());
    }
    Ok(report)
}
