//! Reading for a watcher while the database is away.

use std::time::Duration;

use sea_orm::DbErr;

/// How often it is tried before the watcher is told of the failure.
const TRIES: u32 = 60;
const PAUSE: Duration = Duration::from_secs(1);

/// A watcher cannot ask again for what was told once, so a database that is away is waited for.
///
/// # Errors
/// The database's, once it has failed for a minute.
pub(crate) async fn patiently<T, R>(mut read: impl FnMut() -> R) -> Result<T, DbErr>
where
    R: Future<Output = Result<T, DbErr>>,
{
    for _ in 1..TRIES {
        match read().await {
            Ok(found) => return Ok(found),
            Err(error) => tracing::warn!(%error, "what has changed could not be read; it is told later"),
        }
        tokio::time::sleep(PAUSE).await;
    }
    read().await
}
