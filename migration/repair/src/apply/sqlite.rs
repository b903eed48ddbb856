//! On SQLite: in one transaction.

use sea_orm::{
    ConnectionTrait, DatabaseTransaction, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};

use super::{Done, Outcome, Progress, Watcher, merge_in, refuse_blocked, tell};
use crate::error::{Cause, RepairError};
use crate::inspect::{Inspection, TableState, inspect};
use crate::plan::{GROUPS_PER_TRANSACTION, Plan, StepKind, plan};
use crate::runs;
use crate::session::Session;
use crate::sql::rows;

impl Session {
    /// SQLite: nobody else writes meanwhile, and all of it happens or nothing does.
    pub(super) async fn apply_in_one_transaction(&self, watch: Watcher<'_>) -> Result<Outcome, RepairError> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let transaction = match self.connection.begin_with_options(options).await {
            Ok(transaction) => transaction,
            Err(error) if Cause::of(&error) == Cause::Locked => return Err(RepairError::Busy),
            Err(error) => return Err(error.into()),
        };
        match self.run_in(&transaction, watch).await {
            Ok(outcome) => {
                transaction.commit().await?;
                Ok(outcome)
            }
            Err(error) => {
                transaction.rollback().await?;
                // It is not undone with the transaction.
                self.connection.execute_unprepared("PRAGMA legacy_alter_table = OFF").await?;
                Err(error)
            }
        }
    }

    async fn run_in(
        &self,
        transaction: &DatabaseTransaction,
        watch: Watcher<'_>,
    ) -> Result<Outcome, RepairError> {
        let mut done = Done::default();
        let before = inspect(transaction).await?;
        let plan = plan(&before);
        refuse_blocked(&plan)?;
        if plan.is_empty() {
            return Ok(done.outcome(&before));
        }
        done.summary.clone_from(&plan.summary);
        let orphaned = self.watched(orphans(transaction, &before.state), watch).await??;
        for (number, step) in (1..).zip(&plan.steps) {
            tell(watch, Progress::Step { number, of: plan.steps.len(), step })?;
            if Plan::is_logged(step) {
                runs::begin(transaction, &before).await?;
            }
            for statement in &step.statements {
                tell(watch, Progress::Statement(statement))?;
                if step.kind != StepKind::Merge {
                    self.watched(transaction.execute_unprepared(statement), watch).await??;
                    done.statements.push(statement.clone());
                }
            }
            if step.kind == StepKind::Merge {
                merge_all_in(transaction, &before, &mut done, watch).await?;
            }
        }
        let mut after = inspect(transaction).await?;
        verify(&before, &after, &done)?;
        if self.watched(orphans(transaction, &after.state), watch).await?? > orphaned {
            return Err(RepairError::Inconsistent("a foreign key would no longer hold".to_owned()));
        }
        if let Some(run) = after.figures.open_run.take() {
            runs::finish(transaction, &after.state, run).await?;
        }
        tell(watch, Progress::Committing)?;
        Ok(done.outcome(&after))
    }
}

async fn merge_all_in(
    transaction: &DatabaseTransaction,
    inspection: &Inspection,
    done: &mut Done,
    watch: Watcher<'_>,
) -> Result<(), RepairError> {
    let groups = &inspection.figures.groups;
    let mut merged = 0;
    for batch in groups.chunks(GROUPS_PER_TRANSACTION) {
        done.merged(merge_in(transaction, inspection, batch).await?);
        merged += batch.len();
        tell(watch, Progress::Merged { groups: merged, of: groups.len() })?;
    }
    Ok(())
}

/// Every card is in the table or in the log, and nothing is left to do.
fn verify(before: &Inspection, after: &Inspection, done: &Done) -> Result<(), RepairError> {
    let merged = i64::try_from(done.cards).unwrap_or(i64::MAX);
    if before.figures.cards != after.figures.cards + merged {
        return Err(RepairError::Inconsistent(format!(
            "{} cards became {} and {merged} merged ones",
            before.figures.cards, after.figures.cards
        )));
    }
    if !plan(after).is_empty() || before.state.columns != after.state.columns {
        return Err(RepairError::Inconsistent("the table did not come out as planned".to_owned()));
    }
    Ok(())
}

/// Rows of the tables involved whose foreign keys do not hold.
async fn orphans(connection: &DatabaseTransaction, state: &TableState) -> Result<i64, RepairError> {
    let mut tables: Vec<_> = state.references.iter().map(|reference| &reference.table.name).collect();
    tables.push(&state.table.name);
    tables.sort();
    tables.dedup();
    let mut sum = 0;
    for table in tables {
        let text = "SELECT COUNT(*) FROM pragma_foreign_key_check(?)";
        let answer = rows(connection, text, [table.as_str().into()]).await?;
        if let Some(row) = answer.first() {
            sum += row.try_get_by_index::<i64>(0)?;
        }
    }
    Ok(sum)
}
