//! On PostgreSQL and MariaDB/MySQL: step by step, beside the running application. What changes the structure
//! commits by itself, so each step leaves a state that the next run can go on from.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, IsolationLevel, TransactionOptions, TransactionTrait};

use super::{Done, Outcome, Progress, Watcher, merge_in, refuse_blocked, tell};
use crate::error::{Cause, RepairError};
use crate::inspect::{Group, Inspection};
use crate::merge::Merged;
use crate::plan::{GROUPS_PER_TRANSACTION, Plan, StepKind, plan};
use crate::runs;
use crate::session::Session;

/// Rounds of merging and adding the key, against an application that inserts duplicates meanwhile.
const ROUNDS: u32 = 20;
/// Short waits for a lock. Each holds up others for at most as long as it lasts.
const ATTEMPTS: u32 = 150;
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

impl Session {
    pub(super) async fn apply_in_steps(&self, watch: Watcher<'_>) -> Result<Outcome, RepairError> {
        let mut done = Done::default();
        for round in 1..=ROUNDS {
            let inspection = self.inspect().await?;
            let plan = plan(&inspection);
            refuse_blocked(&plan)?;
            if plan.is_empty() {
                return self.finished(done, inspection).await;
            }
            if round == 1 {
                done.summary.clone_from(&plan.summary);
            } else {
                tell(watch, Progress::NextRound { round })?;
            }
            match self.run(&plan, &inspection, &mut done, watch).await {
                Ok(()) => {}
                // A duplicate came in between the merge and the key, or an index build was chosen to end a
                // deadlock. What is there now says what is left to do.
                Err(RepairError::Database(error))
                    if matches!(Cause::of(&error), Cause::Duplicate | Cause::Deadlock) =>
                {
                    tracing::debug!(%error, round, "once more from the start");
                }
                Err(error) => return Err(error),
            }
        }
        let inspection = self.inspect().await?;
        if plan(&inspection).is_empty() {
            return self.finished(done, inspection).await;
        }
        Err(RepairError::KeepsChanging { rounds: ROUNDS })
    }

    async fn finished(&self, done: Done, mut inspection: Inspection) -> Result<Outcome, RepairError> {
        if let Some(run) = inspection.figures.open_run.take() {
            runs::finish(&self.connection, &inspection.state, run).await?;
        }
        Ok(done.outcome(&inspection))
    }

    async fn run(
        &self,
        plan: &Plan,
        inspection: &Inspection,
        done: &mut Done,
        watch: Watcher<'_>,
    ) -> Result<(), RepairError> {
        for (number, step) in (1..).zip(&plan.steps) {
            tell(watch, Progress::Step { number, of: plan.steps.len(), step })?;
            if Plan::is_logged(step) {
                self.set_waits("", 1).await?;
                self.assert_same_connection()?;
                runs::begin(&self.connection, inspection).await?;
            }
            if step.kind == StepKind::Merge {
                for statement in &step.statements {
                    tell(watch, Progress::Statement(statement))?;
                }
                self.merge(inspection, done, watch).await?;
                continue;
            }
            for statement in &step.statements {
                tell(watch, Progress::Statement(statement))?;
                self.change(statement, watch).await?;
                done.statements.push(statement.clone());
            }
        }
        Ok(())
    }

    /// One statement that changes the structure, in short waits for its lock.
    pub(crate) async fn change(&self, statement: &str, watch: Watcher<'_>) -> Result<(), RepairError> {
        for attempt in 1..=ATTEMPTS {
            self.assert_same_connection()?;
            self.set_waits(statement, attempt).await?;
            let running = self.connection.execute_unprepared(statement);
            match self.watched(running, watch).await? {
                Ok(_) => return Ok(()),
                Err(error) if Cause::of(&error) == Cause::Locked => {
                    tracing::debug!(%error, attempt, "locked");
                }
                Err(error) if Cause::of(&error) == Cause::ConnectionLost => {
                    return Err(RepairError::ConnectionLost);
                }
                Err(error) => return Err(error.into()),
            }
            tell(watch, Progress::Locked { attempt })?;
            tokio::time::sleep(pause(attempt)).await;
        }
        Err(RepairError::Locked { attempts: ATTEMPTS })
    }

    /// A waiting ALTER makes all who come after it wait as well, readers too: so it waits briefly. A
    /// concurrent build holds up nobody and may wait for old transactions as long as they last.
    async fn set_waits(&self, statement: &str, attempt: u32) -> Result<(), RepairError> {
        let text = match self.connection.get_database_backend() {
            DbBackend::Postgres if statement.contains(" CONCURRENTLY ") => "SET lock_timeout = 0".to_owned(),
            DbBackend::Postgres => "SET lock_timeout = '900ms'".to_owned(),
            // An online build asks for the lock again at its end, and loses its work without it.
            DbBackend::MySql => format!("SET SESSION lock_wait_timeout = {}", (1 + attempt / 10).min(5)),
            _ => return Ok(()),
        };
        self.connection.execute_unprepared(&text).await?;
        Ok(())
    }

    async fn merge(
        &self,
        inspection: &Inspection,
        done: &mut Done,
        watch: Watcher<'_>,
    ) -> Result<(), RepairError> {
        let mut merged = 0;
        let groups = &inspection.figures.groups;
        for batch in groups.chunks(GROUPS_PER_TRANSACTION) {
            self.assert_same_connection()?;
            done.merged(self.merge_batch(inspection, batch, watch).await?);
            merged += batch.len();
            tell(watch, Progress::Merged { groups: merged, of: groups.len() })?;
        }
        Ok(())
    }

    /// One transaction, run again as a whole when another was in the way.
    async fn merge_batch(
        &self,
        inspection: &Inspection,
        groups: &[Group],
        watch: Watcher<'_>,
    ) -> Result<Vec<Merged>, RepairError> {
        let options = TransactionOptions {
            isolation_level: Some(IsolationLevel::ReadCommitted),
            ..TransactionOptions::default()
        };
        for attempt in 1..=ATTEMPTS {
            let transaction = self.connection.begin_with_options(options).await?;
            // Inside the transaction, so that it cannot be another connection that commits it.
            self.assert_same_connection()?;
            let error = match merge_in(&transaction, inspection, groups).await {
                Ok(merged) => {
                    transaction.commit().await.map_err(lost)?;
                    return Ok(merged);
                }
                Err(error) => error,
            };
            transaction.rollback().await.map_err(lost)?;
            match error {
                RepairError::Database(cause)
                    if matches!(Cause::of(&cause), Cause::Locked | Cause::Deadlock) =>
                {
                    tracing::debug!(error = %cause, attempt, "a batch is merged again");
                }
                error => return Err(error),
            }
            tell(watch, Progress::Locked { attempt })?;
            tokio::time::sleep(pause(attempt)).await;
        }
        Err(RepairError::Locked { attempts: ATTEMPTS })
    }
}

fn lost(error: DbErr) -> RepairError {
    if Cause::of(&error) == Cause::ConnectionLost { RepairError::ConnectionLost } else { error.into() }
}

fn pause(attempt: u32) -> Duration {
    (Duration::from_millis(100) * attempt).min(LONGEST_PAUSE)
}
