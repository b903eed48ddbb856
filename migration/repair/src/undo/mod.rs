//! Undoes a run of a repair: its rows, then its log.

mod conflicts;
mod keys;
mod restore;

use sea_orm::{
    ConnectionTrait, DbBackend, IsolationLevel, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use serde::Serialize;

use super::apply::{Progress, Watcher, tell};
use super::error::{Cause, RepairError};
use super::inspect::{TableState, read_state};
use super::runs::{self, Before};
use super::session::Session;
use super::sql::count;
use super::{CHANGES, RUNS, SURVIVORS};

pub use restore::Restored;

/// The result of an undo.
#[derive(Clone, Debug, Serialize)]
pub struct Undone {
    /// The run that was undone.
    pub run: i64,
    /// The rows.
    pub restored: Restored,
    /// The statements that changed the structure, in order.
    pub statements: Vec<String>,
    /// How many earlier runs are still logged.
    pub runs_left: i64,
}

impl Session {
    /// Undoes the latest run of a repair. Refuses if rows have changed since the repair.
    ///
    /// # Errors
    /// Fails if no run is logged, rows have changed since, the table stays locked, or the database fails.
    pub async fn undo(&self, watch: Watcher<'_>) -> Result<Undone, RepairError> {
        if self.connection.get_database_backend() == DbBackend::Sqlite {
            return self.undo_in_one_transaction(watch).await;
        }
        self.lock(watch).await?;
        let result = self.undo_in_steps(watch).await;
        if let Err(error) = self.unlock().await {
            tracing::debug!(%error, "the lock was not released");
        }
        result
    }

    async fn undo_in_one_transaction(&self, watch: Watcher<'_>) -> Result<Undone, RepairError> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let transaction = match self.connection.begin_with_options(options).await {
            Ok(transaction) => transaction,
            Err(error) if Cause::of(&error) == Cause::Locked => return Err(RepairError::Busy),
            Err(error) => return Err(error.into()),
        };
        let result = undo_in(&transaction, watch).await;
        match result {
            Ok(undone) => {
                tell(watch, Progress::Committing)?;
                transaction.commit().await?;
                Ok(undone)
            }
            Err(error) => {
                transaction.rollback().await?;
                self.connection.execute_unprepared("PRAGMA legacy_alter_table = OFF").await?;
                Err(error)
            }
        }
    }

    /// Restores the keys first, because the right key refuses duplicates. A run that was interrupted after that is
    /// continued by the next undo, and by the next repair.
    async fn undo_in_steps(&self, watch: Watcher<'_>) -> Result<Undone, RepairError> {
        let state = read_state(&self.connection).await?;
        let (run, before) = match logged(&self.connection, &state).await {
            Err(error @ RepairError::NothingToUndo { .. }) => {
                // An interrupted undo may have left its emptied tables.
                for statement in drop_empty(&self.connection, &state).await? {
                    tell(watch, Progress::Statement(&statement))?;
                    self.change(&statement, watch).await?;
                }
                return Err(error);
            }
            found => found?,
        };
        refuse(&self.connection, &state, run, &before).await?;
        let mut statements = keys::statements(&state, &before)?;
        for statement in &statements {
            tell(watch, Progress::Statement(statement))?;
            self.change(statement, watch).await?;
        }
        let options = TransactionOptions {
            isolation_level: Some(IsolationLevel::ReadCommitted),
            ..TransactionOptions::default()
        };
        let transaction = self.connection.begin_with_options(options).await?;
        self.assert_same_connection()?;
        let restored = match restore::rows(&transaction, &state, run, &before).await {
            Ok(restored) => restored,
            Err(error) => {
                transaction.rollback().await?;
                return Err(error);
            }
        };
        transaction.commit().await?;
        for statement in drop_empty(&self.connection, &state).await? {
            tell(watch, Progress::Statement(&statement))?;
            self.change(&statement, watch).await?;
            statements.push(statement);
        }
        let runs_left = runs_left(&self.connection, &read_state(&self.connection).await?).await?;
        Ok(Undone { run, restored, statements, runs_left })
    }
}

async fn undo_in(connection: &impl ConnectionTrait, watch: Watcher<'_>) -> Result<Undone, RepairError> {
    let state = read_state(connection).await?;
    let (run, before) = logged(connection, &state).await?;
    refuse(connection, &state, run, &before).await?;
    let mut statements = keys::statements(&state, &before)?;
    for statement in &statements {
        tell(watch, Progress::Statement(statement))?;
        connection.execute_unprepared(statement).await?;
    }
    let restored = restore::rows(connection, &state, run, &before).await?;
    for statement in drop_empty(connection, &state).await? {
        tell(watch, Progress::Statement(&statement))?;
        connection.execute_unprepared(&statement).await?;
        statements.push(statement);
    }
    let runs_left = runs_left(connection, &read_state(connection).await?).await?;
    Ok(Undone { run, restored, statements, runs_left })
}

async fn logged(connection: &impl ConnectionTrait, state: &TableState) -> Result<(i64, Before), RepairError> {
    if let Some(found) = runs::latest(connection, state).await? {
        return Ok(found);
    }
    let earlier = match state.log {
        Some(_) => {
            count(connection, format!("SELECT COUNT(*) FROM {}", state.dialect().table(&state.log_table())))
                .await?
        }
        None => 0,
    };
    Err(RepairError::NothingToUndo { earlier })
}

async fn refuse(
    connection: &impl ConnectionTrait,
    state: &TableState,
    run: i64,
    before: &Before,
) -> Result<(), RepairError> {
    let found = conflicts::find(connection, state, run, before).await?;
    if found.is_empty() { Ok(()) } else { Err(RepairError::CannotUndo(found)) }
}

async fn runs_left(connection: &impl ConnectionTrait, state: &TableState) -> Result<i64, RepairError> {
    if state.own(RUNS).is_none() {
        return Ok(0);
    }
    let runs = state.dialect().table(&state.beside(RUNS));
    Ok(count(connection, format!("SELECT COUNT(*) FROM {runs}")).await?)
}

/// Drops the tables of the repair that are empty now.
async fn drop_empty(
    connection: &impl ConnectionTrait,
    state: &TableState,
) -> Result<Vec<String>, RepairError> {
    let dialect = state.dialect();
    let own = [SURVIVORS, CHANGES, RUNS].into_iter().filter(|name| state.own(name).is_some());
    let mut tables: Vec<_> = own.map(|name| state.beside(name)).collect();
    tables.extend(state.log.is_some().then(|| state.log_table()));
    let mut statements = Vec::new();
    for table in tables {
        let table = dialect.table(&table);
        if count(connection, format!("SELECT COUNT(*) FROM {table}")).await? == 0 {
            statements.push(format!("DROP TABLE {table}"));
        }
    }
    Ok(statements)
}
