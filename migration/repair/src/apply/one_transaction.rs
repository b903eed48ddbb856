//! Repairs SQLite in one transaction.

use sea_orm::{ConnectionTrait, DatabaseTransaction};

use super::batch::{merge_batch_in, refuse_blocked};
use super::outcome::{RepairOutcome, RunningTotals};
use crate::error::RepairError;
use crate::inspect::{Inspection, TableState, inspect};
use crate::plan::{GROUPS_PER_TRANSACTION, StepKind, plan};
use crate::progress::{ProgressWatcher, RepairProgress, report_progress};
use crate::runs;
use crate::session::RepairSession;
use crate::sql::rows;

impl RepairSession {
    /// Repairs in one transaction. No other session can write in the meantime, and either all changes are made or none.
    pub(super) async fn apply_in_one_transaction(
        &self,
        watch: ProgressWatcher<'_>,
    ) -> Result<RepairOutcome, RepairError> {
        let transaction = self.begin_immediate().await?;
        match self.run_in(&transaction, watch).await {
            Ok(outcome) => {
                transaction.commit().await?;
                Ok(outcome)
            }
            Err(error) => {
                self.roll_back(transaction).await?;
                Err(error)
            }
        }
    }

    /// Runs all steps inside the transaction, and verifies the result.
    async fn run_in(
        &self,
        transaction: &DatabaseTransaction,
        watch: ProgressWatcher<'_>,
    ) -> Result<RepairOutcome, RepairError> {
        let mut totals = RunningTotals::default();
        let before = inspect(transaction).await?;
        let plan = plan(&before);
        refuse_blocked(&plan)?;
        if plan.is_empty() {
            return Ok(totals.outcome(&before));
        }
        totals.summary.clone_from(&plan.summary);
        let orphaned = self.watched(orphans(transaction, &before.state), watch).await??;
        for (number, step) in (1..).zip(&plan.steps) {
            report_progress(watch, RepairProgress::Step { number, of: plan.steps.len(), step })?;
            if step.needs_logged_run() {
                runs::begin(transaction, &before).await?;
            }
            for statement in &step.statements {
                report_progress(watch, RepairProgress::Statement(statement))?;
                if step.kind != StepKind::Merge {
                    self.watched(transaction.execute_unprepared(statement), watch).await??;
                    totals.statements.push(statement.clone());
                }
            }
            if step.kind == StepKind::Merge {
                merge_all_in(transaction, &before, &mut totals, watch).await?;
            }
        }
        let mut after = inspect(transaction).await?;
        verify(&before, &after, &totals)?;
        if self.watched(orphans(transaction, &after.state), watch).await?? > orphaned {
            return Err(RepairError::Inconsistent("the repair would break a foreign key".to_owned()));
        }
        if let Some(run) = after.figures.open_run.take() {
            runs::finish(transaction, &after.state, run).await?;
        }
        report_progress(watch, RepairProgress::Committing)?;
        Ok(totals.outcome(&after))
    }
}

/// Merges all groups, in batches.
async fn merge_all_in(
    transaction: &DatabaseTransaction,
    inspection: &Inspection,
    totals: &mut RunningTotals,
    watch: ProgressWatcher<'_>,
) -> Result<(), RepairError> {
    let groups = &inspection.figures.groups;
    let mut merged = 0;
    for batch in groups.chunks(GROUPS_PER_TRANSACTION) {
        totals.add(merge_batch_in(transaction, inspection, batch).await?);
        merged += batch.len();
        report_progress(watch, RepairProgress::Merged { groups: merged, of: groups.len() })?;
    }
    Ok(())
}

/// Checks that no card was lost: the cards before the repair are as many as the cards after it and the merged cards.
/// Also checks that the columns did not change, and that a new plan is empty.
fn verify(before: &Inspection, after: &Inspection, totals: &RunningTotals) -> Result<(), RepairError> {
    let merged = i64::try_from(totals.merged_cards).unwrap_or(i64::MAX);
    if before.figures.cards != after.figures.cards + merged {
        return Err(RepairError::Inconsistent(format!(
            "there were {} cards before the repair, and after it there are {} cards and {merged} merged cards",
            before.figures.cards, after.figures.cards
        )));
    }
    if !plan(after).is_empty() || before.state.columns != after.state.columns {
        return Err(RepairError::Inconsistent(
            "the repair left something to correct, or changed the columns of the table of cards".to_owned(),
        ));
    }
    Ok(())
}

/// Counts the violations of foreign keys in the table of cards and in the tables that refer to it.
async fn orphans(connection: &DatabaseTransaction, state: &TableState) -> Result<i64, RepairError> {
    let mut tables: Vec<_> = state.references.iter().map(|reference| &reference.table.name).collect();
    tables.push(&state.table.name);
    tables.sort();
    tables.dedup();
    let mut sum = 0;
    for table in tables {
        let text = "SELECT COUNT(*) FROM pragma_foreign_key_check(?)";
        let found = rows(connection, text, [table.as_str().into()]).await?;
        if let Some(row) = found.first() {
            sum += row.try_get_by_index::<i64>(0)?;
        }
    }
    Ok(sum)
}
