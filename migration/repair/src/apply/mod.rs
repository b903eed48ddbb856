//! Carries out the plan of a repair.

mod batch;
mod one_transaction;
mod outcome;
mod step_by_step;

use sea_orm::DbBackend;

use crate::error::RepairError;
use crate::progress::{ProgressWatcher, RepairProgress};
use crate::session::RepairSession;

pub use outcome::RepairOutcome;

impl RepairSession {
    /// Repairs the database. Correct rows and keys stay unchanged. `watch` is called with each event and can stop the
    /// repair.
    ///
    /// # Errors
    /// Fails if a person must decide something first, `watch` stops the repair, the table stays locked, or the database
    /// reports an error. Waits for another repair or undo, and fails if it does not end in time. On SQLite nothing has
    /// changed after a failure. On other databases the finished steps remain, and the next repair continues after them.
    pub async fn apply(&self, watch: ProgressWatcher<'_>) -> Result<RepairOutcome, RepairError> {
        if self.connection.get_database_backend() == DbBackend::Sqlite {
            return self.apply_in_one_transaction(watch).await;
        }
        self.lock(|| watch(RepairProgress::WaitingForOther)).await?;
        let result = self.apply_step_by_step(watch).await;
        // If the lock cannot be released here, the server releases it when the connection closes.
        if let Err(error) = self.unlock().await {
            tracing::debug!(%error, "the lock of the repair was not released; closing the connection releases it");
        }
        result
    }
}
