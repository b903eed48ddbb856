//! Runs statements that change tables or indexes, with short waits for locks and reports of their progress.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, DbBackend};

use crate::error::{ErrorCause, RepairError};
use crate::progress::{ProgressWatcher, RepairProgress, report_progress};
use crate::session::RepairSession;
use crate::sql::rows;

/// Maximum number of short waits for a lock. During a wait, statements of other sessions on the table wait too.
pub(crate) const MAX_LOCK_ATTEMPTS: u32 = 150;
/// Maximum pause between two short waits for a lock.
const MAX_LOCK_PAUSE: Duration = Duration::from_secs(2);
/// The pause after the first short wait for a lock. Each later pause is longer than the previous pause by this time,
/// until the pauses reach [`MAX_LOCK_PAUSE`].
const LOCK_PAUSE_STEP: Duration = Duration::from_millis(100);
/// The time between two reports of a long statement.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

impl RepairSession {
    /// Runs a statement that changes a table or an index. If the statement does not get its lock within a short wait,
    /// runs it again after a pause. Runs it at most [`MAX_LOCK_ATTEMPTS`] times.
    pub(crate) async fn change_structure(
        &self,
        statement: &str,
        watch: ProgressWatcher<'_>,
    ) -> Result<(), RepairError> {
        for attempt in 1..=MAX_LOCK_ATTEMPTS {
            self.assert_same_connection()?;
            self.set_lock_timeout(statement, attempt).await?;
            let running = self.connection.execute_unprepared(statement);
            match self.watched(running, watch).await? {
                Ok(_) => return Ok(()),
                Err(error) if ErrorCause::of(&error) == ErrorCause::Locked => {
                    tracing::debug!(%error, attempt, "the table is locked, trying again");
                }
                Err(error) if ErrorCause::of(&error) == ErrorCause::ConnectionLost => {
                    return Err(RepairError::ConnectionLost);
                }
                Err(error) => return Err(error.into()),
            }
            report_progress(watch, RepairProgress::Locked { attempt })?;
            tokio::time::sleep(lock_pause(attempt)).await;
        }
        Err(RepairError::Locked { attempts: MAX_LOCK_ATTEMPTS })
    }

    /// Sets the maximum time that the next statement waits for a lock.
    ///
    /// While an ALTER waits for its lock, all later statements on the table wait behind it, even those that only read.
    /// So an ALTER waits only briefly. A concurrent index build on PostgreSQL blocks no other statement, so it may wait
    /// without a limit for older transactions to end.
    pub(crate) async fn set_lock_timeout(&self, statement: &str, attempt: u32) -> Result<(), RepairError> {
        let text = match self.connection.get_database_backend() {
            DbBackend::Postgres if statement.contains(" CONCURRENTLY ") => "SET lock_timeout = 0".to_owned(),
            DbBackend::Postgres => "SET lock_timeout = '900ms'".to_owned(),
            // At its end an online index build needs the lock again, and loses its work if it does not get the lock.
            // So the maximum wait grows with the attempts, from 1 to 5 seconds.
            DbBackend::MySql => format!("SET SESSION lock_wait_timeout = {}", (1 + attempt / 10).min(5)),
            _ => return Ok(()),
        };
        self.connection.execute_unprepared(&text).await?;
        Ok(())
    }

    /// Waits for a statement, and reports every second that it is still running.
    pub(crate) async fn watched<T>(
        &self,
        running: impl Future<Output = T>,
        watch: ProgressWatcher<'_>,
    ) -> Result<T, RepairError> {
        let start = Instant::now();
        let mut running = std::pin::pin!(running);
        loop {
            tokio::select! {
                biased;
                result = &mut running => return Ok(result),
                () = tokio::time::sleep(PROGRESS_INTERVAL) => {}
            }
            let (phase, percent) = self.server_progress().await;
            report_progress(watch, RepairProgress::Working { elapsed: start.elapsed(), phase, percent })?;
        }
    }

    /// Reads the phase of the statement that is running on the working connection, and its progress in percent. Asks on
    /// the second connection. The phase or the percentage is `None` if the server does not provide it.
    async fn server_progress(&self) -> (Option<String>, Option<f64>) {
        let Some(observer) = &self.observer else { return (None, None) };
        let text = match observer.get_database_backend() {
            DbBackend::Postgres => {
                "SELECT phase, CAST(CASE WHEN blocks_total > 0 THEN 100.0 * blocks_done / blocks_total END \
                 AS float8) \
                 FROM pg_stat_progress_create_index WHERE pid = $1"
            }
            _ => {
                "SELECT CAST(STATE AS CHAR), CAST(PROGRESS AS DOUBLE) FROM information_schema.PROCESSLIST \
                 WHERE ID = ?"
            }
        };
        match rows(observer, text, [self.process.into()]).await {
            Ok(found) => found.first().map_or((None, None), |row| {
                let percent: Option<f64> = row.try_get_by_index(1).ok();
                (row.try_get_by_index(0).ok(), percent.filter(|percent| *percent > 0.0))
            }),
            // The query of PROCESSLIST fails on MySQL, whose PROCESSLIST has no column PROGRESS.
            Err(_) => (None, None),
        }
    }
}

/// Returns the pause after the short wait with this number. The numbers count from 1.
pub(crate) fn lock_pause(attempt: u32) -> Duration {
    (LOCK_PAUSE_STEP * attempt).min(MAX_LOCK_PAUSE)
}
