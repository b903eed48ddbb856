//! Repairs PostgreSQL, MariaDB and MySQL step by step, while the application keeps running. A statement that changes
//! tables or indexes commits on its own. After an interruption, the next repair continues after the last finished step.

use sea_orm::{DbErr, IsolationLevel, TransactionOptions, TransactionTrait};

use super::batch::{merge_batch_in, refuse_blocked};
use super::outcome::{RepairOutcome, RunningTotals};
use crate::error::{ErrorCause, RepairError};
use crate::execute::{MAX_LOCK_ATTEMPTS, lock_pause};
use crate::inspect::{CardGroup, Inspection};
use crate::merge::MergedGroup;
use crate::plan::{GROUPS_PER_TRANSACTION, RepairPlan, StepKind, plan};
use crate::progress::{ProgressWatcher, RepairProgress, report_progress};
use crate::runs;
use crate::session::RepairSession;

/// Maximum number of rounds of merging and adding the key. The application may insert new duplicates in each round.
const MAX_ROUNDS: u32 = 20;

impl RepairSession {
    /// Repairs in rounds, until an inspection finds nothing left to do. Fails if something is left to do after
    /// [`MAX_ROUNDS`] rounds.
    pub(super) async fn apply_step_by_step(
        &self,
        watch: ProgressWatcher<'_>,
    ) -> Result<RepairOutcome, RepairError> {
        let mut totals = RunningTotals::default();
        let mut last_error = None;
        for round in 1..=MAX_ROUNDS {
            let inspection = self.inspect().await?;
            let plan = plan(&inspection);
            refuse_blocked(&plan)?;
            if plan.is_empty() {
                return self.finished(totals, inspection).await;
            }
            if round == 1 {
                totals.summary.clone_from(&plan.summary);
            } else {
                report_progress(watch, RepairProgress::NextRound { round })?;
            }
            last_error = match self.run(&plan, &inspection, &mut totals, watch).await {
                Ok(()) => None,
                // The application inserted a duplicate after the merge, or a deadlock ended the build of an index. The
                // next round inspects the database to find out what is left to do.
                Err(RepairError::Database(error))
                    if matches!(ErrorCause::of(&error), ErrorCause::Duplicate | ErrorCause::Deadlock) =>
                {
                    tracing::debug!(%error, round, "a round of the repair ended with an error");
                    Some(error)
                }
                Err(error) => return Err(error),
            };
        }
        let inspection = self.inspect().await?;
        if plan(&inspection).is_empty() {
            return self.finished(totals, inspection).await;
        }
        Err(RepairError::TooManyRounds { rounds: MAX_ROUNDS, last_error })
    }

    /// Logs the end of the run, if a run was logged, and returns the outcome.
    async fn finished(
        &self,
        totals: RunningTotals,
        mut inspection: Inspection,
    ) -> Result<RepairOutcome, RepairError> {
        if let Some(run) = inspection.figures.open_run.take() {
            runs::finish(&self.connection, &inspection.state, run).await?;
        }
        Ok(totals.outcome(&inspection))
    }

    /// Runs the steps of a plan.
    async fn run(
        &self,
        plan: &RepairPlan,
        inspection: &Inspection,
        totals: &mut RunningTotals,
        watch: ProgressWatcher<'_>,
    ) -> Result<(), RepairError> {
        for (number, step) in (1..).zip(&plan.steps) {
            report_progress(watch, RepairProgress::Step { number, of: plan.steps.len(), step })?;
            if step.needs_logged_run() {
                self.set_lock_timeout("", 1).await?;
                self.assert_same_connection()?;
                runs::begin(&self.connection, inspection).await?;
            }
            if step.kind == StepKind::Merge {
                for statement in &step.statements {
                    report_progress(watch, RepairProgress::Statement(statement))?;
                }
                self.merge(inspection, totals, watch).await?;
                continue;
            }
            for statement in &step.statements {
                report_progress(watch, RepairProgress::Statement(statement))?;
                self.change_structure(statement, watch).await?;
                totals.statements.push(statement.clone());
            }
        }
        Ok(())
    }

    /// Merges all groups, in batches.
    async fn merge(
        &self,
        inspection: &Inspection,
        totals: &mut RunningTotals,
        watch: ProgressWatcher<'_>,
    ) -> Result<(), RepairError> {
        let mut merged = 0;
        let groups = &inspection.figures.groups;
        for batch in groups.chunks(GROUPS_PER_TRANSACTION) {
            self.assert_same_connection()?;
            totals.add(self.merge_batch(inspection, batch, watch).await?);
            merged += batch.len();
            report_progress(watch, RepairProgress::Merged { groups: merged, of: groups.len() })?;
        }
        Ok(())
    }

    /// Merges a batch in one transaction. After a lock timeout or a deadlock it retries the whole transaction.
    async fn merge_batch(
        &self,
        inspection: &Inspection,
        groups: &[CardGroup],
        watch: ProgressWatcher<'_>,
    ) -> Result<Vec<MergedGroup>, RepairError> {
        let options = TransactionOptions {
            isolation_level: Some(IsolationLevel::ReadCommitted),
            ..TransactionOptions::default()
        };
        for attempt in 1..=MAX_LOCK_ATTEMPTS {
            let transaction = self.connection.begin_with_options(options).await?;
            // This check comes after the begin. So the transaction can be committed only on the connection that has the
            // lock of the repair.
            self.assert_same_connection()?;
            let error = match merge_batch_in(&transaction, inspection, groups).await {
                Ok(merged) => {
                    transaction.commit().await.map_err(with_lost_connection)?;
                    return Ok(merged);
                }
                Err(error) => error,
            };
            transaction.rollback().await.map_err(with_lost_connection)?;
            match error {
                RepairError::Database(cause)
                    if matches!(ErrorCause::of(&cause), ErrorCause::Locked | ErrorCause::Deadlock) =>
                {
                    tracing::debug!(error = %cause, attempt, "a batch of the merge was rolled back");
                }
                error => return Err(error),
            }
            report_progress(watch, RepairProgress::Locked { attempt })?;
            tokio::time::sleep(lock_pause(attempt)).await;
        }
        Err(RepairError::Locked { attempts: MAX_LOCK_ATTEMPTS })
    }
}

/// Converts a database error: to [`RepairError::ConnectionLost`] if the connection was lost, or else unchanged.
fn with_lost_connection(error: DbErr) -> RepairError {
    if ErrorCause::of(&error) == ErrorCause::ConnectionLost {
        RepairError::ConnectionLost
    } else {
        error.into()
    }
}
