//! Retries the reads of a watcher while the database fails.

use std::time::Duration;

use sea_orm::DbErr;

/// Maximum number of tries of a read. If the last try fails, the watcher gets the error.
const MAX_TRIES: u32 = 60;
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Runs a read, and repeats it for about a minute while it fails. A change is delivered only once, so a failed read
/// without retries would lose the change.
///
/// # Errors
/// Returns the database's error if the last try failed, too.
pub(crate) async fn read_with_retries<T, R>(mut read: impl FnMut() -> R) -> Result<T, DbErr>
where
    R: Future<Output = Result<T, DbErr>>,
{
    for _ in 1..MAX_TRIES {
        match read().await {
            Ok(found) => return Ok(found),
            Err(error) => tracing::warn!(%error, "a changed object could not be read; the server will retry"),
        }
        tokio::time::sleep(RETRY_INTERVAL).await;
    }
    read().await
}
