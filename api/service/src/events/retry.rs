//! Retries the reads of a watcher while the database is unavailable.

use std::time::Duration;

use sea_orm::DbErr;

/// Maximum number of tries before the watcher gets the error.
const MAX_TRIES: u32 = 60;
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Runs a read again until it succeeds, for about a minute. Each change is delivered only once, so a read that failed
/// at its first try would lose the change.
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
            Err(error) => tracing::warn!(%error, "a change could not be read; the read is retried"),
        }
        tokio::time::sleep(RETRY_INTERVAL).await;
    }
    read().await
}
