//! Undoes a run of a repair: its keys, its rows, and then its log.

mod conflicts;
mod keys;
mod restore;

use sea_orm::{ConnectionTrait, DbBackend, IsolationLevel, TransactionOptions, TransactionTrait};
use serde::Serialize;

use crate::error::RepairError;
use crate::inspect::{TableState, read_state};
use crate::names::{CHANGE_TABLE, RUN_TABLE, SURVIVOR_TABLE};
use crate::progress::{ProgressWatcher, RepairProgress, report_progress};
use crate::runs::{self, StateBefore};
use crate::session::RepairSession;
use crate::sql::count;

pub use restore::RestoredRows;

/// The outcome of an undo.
#[derive(Clone, Debug, Serialize)]
pub struct UndoOutcome {
    /// The number of the run that was undone.
    pub run: i64,
    /// The numbers of cards and values that were restored.
    pub restored: RestoredRows,
    /// The statements that changed tables or indexes, in order.
    pub statements: Vec<String>,
    /// The number of earlier runs that are still logged.
    pub runs_left: i64,
}

impl RepairSession {
    /// Undoes the latest run of a repair. `watch` is called with each event and can stop the undo.
    ///
    /// # Errors
    /// Fails if no run is logged, the repaired rows have changed since the run, `watch` stops the undo, the table stays
    /// locked, or the database reports an error. Waits for another repair or undo, and fails if it does not end in
    /// time.
    pub async fn undo(&self, watch: ProgressWatcher<'_>) -> Result<UndoOutcome, RepairError> {
        if self.connection.get_database_backend() == DbBackend::Sqlite {
            return self.undo_in_one_transaction(watch).await;
        }
        self.lock(|| watch(RepairProgress::WaitingForOther)).await?;
        let result = self.undo_step_by_step(watch).await;
        if let Err(error) = self.unlock().await {
            tracing::debug!(%error, "the lock of the repair was not released; closing the connection releases it");
        }
        result
    }

    async fn undo_in_one_transaction(&self, watch: ProgressWatcher<'_>) -> Result<UndoOutcome, RepairError> {
        let transaction = self.begin_immediate().await?;
        let result = undo_in(&transaction, watch).await;
        match result {
            Ok(undone) => {
                report_progress(watch, RepairProgress::Committing)?;
                transaction.commit().await?;
                Ok(undone)
            }
            Err(error) => {
                self.roll_back(transaction).await?;
                Err(error)
            }
        }
    }

    /// Restores the keys first, because the new key would refuse the duplicates that the undo restores. If the undo is
    /// interrupted after that, run the undo again to finish it, or a repair to set the keys again.
    async fn undo_step_by_step(&self, watch: ProgressWatcher<'_>) -> Result<UndoOutcome, RepairError> {
        let state = read_state(&self.connection).await?;
        let (run, before) = match latest_run(&self.connection, &state).await {
            Err(error @ RepairError::NothingToUndo { .. }) => {
                // An interrupted undo may have left empty tables of the log.
                for statement in drop_empty_statements(&self.connection, &state).await? {
                    report_progress(watch, RepairProgress::Statement(&statement))?;
                    self.change_structure(&statement, watch).await?;
                }
                return Err(error);
            }
            found => found?,
        };
        refuse_conflicts(&self.connection, &state, run, &before).await?;
        let mut statements = keys::statements(&state, &before)?;
        for statement in &statements {
            report_progress(watch, RepairProgress::Statement(statement))?;
            self.change_structure(statement, watch).await?;
        }
        let options = TransactionOptions {
            isolation_level: Some(IsolationLevel::ReadCommitted),
            ..TransactionOptions::default()
        };
        let transaction = self.connection.begin_with_options(options).await?;
        self.assert_same_connection()?;
        let restored = match restore::restore_rows(&transaction, &state, run, &before).await {
            Ok(restored) => restored,
            Err(error) => {
                transaction.rollback().await?;
                return Err(error);
            }
        };
        transaction.commit().await?;
        for statement in drop_empty_statements(&self.connection, &state).await? {
            report_progress(watch, RepairProgress::Statement(&statement))?;
            self.change_structure(&statement, watch).await?;
            statements.push(statement);
        }
        let runs_left = runs_left(&self.connection, &read_state(&self.connection).await?).await?;
        Ok(UndoOutcome { run, restored, statements, runs_left })
    }
}

/// Undoes the latest run inside an open transaction.
async fn undo_in(
    connection: &impl ConnectionTrait,
    watch: ProgressWatcher<'_>,
) -> Result<UndoOutcome, RepairError> {
    let state = read_state(connection).await?;
    let (run, before) = latest_run(connection, &state).await?;
    refuse_conflicts(connection, &state, run, &before).await?;
    let mut statements = keys::statements(&state, &before)?;
    for statement in &statements {
        report_progress(watch, RepairProgress::Statement(statement))?;
        connection.execute_unprepared(statement).await?;
    }
    let restored = restore::restore_rows(connection, &state, run, &before).await?;
    for statement in drop_empty_statements(connection, &state).await? {
        report_progress(watch, RepairProgress::Statement(&statement))?;
        connection.execute_unprepared(&statement).await?;
        statements.push(statement);
    }
    let runs_left = runs_left(connection, &read_state(connection).await?).await?;
    Ok(UndoOutcome { run, restored, statements, runs_left })
}

/// Returns the latest logged run. Fails if no run is logged.
async fn latest_run(
    connection: &impl ConnectionTrait,
    state: &TableState,
) -> Result<(i64, StateBefore), RepairError> {
    if let Some(found) = runs::latest(connection, state).await? {
        return Ok(found);
    }
    let earlier = match state.merged_card_columns {
        Some(_) => {
            count(
                connection,
                format!("SELECT COUNT(*) FROM {}", state.dialect().table(&state.merged_card_table())),
            )
            .await?
        }
        None => 0,
    };
    Err(RepairError::NothingToUndo { earlier })
}

/// Fails if changes since the repair prevent its undo.
async fn refuse_conflicts(
    connection: &impl ConnectionTrait,
    state: &TableState,
    run: i64,
    before: &StateBefore,
) -> Result<(), RepairError> {
    let found = conflicts::find(connection, state, run, before).await?;
    if found.is_empty() { Ok(()) } else { Err(RepairError::CannotUndo(found)) }
}

/// Returns the number of logged runs.
async fn runs_left(connection: &impl ConnectionTrait, state: &TableState) -> Result<i64, RepairError> {
    if state.run_log_table(RUN_TABLE).is_none() {
        return Ok(0);
    }
    let runs = state.dialect().table(&state.sibling_table(RUN_TABLE));
    Ok(count(connection, format!("SELECT COUNT(*) FROM {runs}")).await?)
}

/// Returns the statements that drop those tables of the log that are empty.
async fn drop_empty_statements(
    connection: &impl ConnectionTrait,
    state: &TableState,
) -> Result<Vec<String>, RepairError> {
    let dialect = state.dialect();
    let existing = [SURVIVOR_TABLE, CHANGE_TABLE, RUN_TABLE]
        .into_iter()
        .filter(|name| state.run_log_table(name).is_some());
    let mut tables: Vec<_> = existing.map(|name| state.sibling_table(name)).collect();
    tables.extend(state.merged_card_columns.is_some().then(|| state.merged_card_table()));
    let mut statements = Vec::new();
    for table in tables {
        let table = dialect.table(&table);
        if count(connection, format!("SELECT COUNT(*) FROM {table}")).await? == 0 {
            statements.push(format!("DROP TABLE {table}"));
        }
    }
    Ok(statements)
}
