//! The log of repair runs, with the data that an undo needs.

use std::collections::BTreeMap;

use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};

use crate::error::RepairError;
use crate::inspect::{Inspection, SqliteDefinition, TableKey, TableState};
use crate::names::RUN_TABLE;
use crate::sql::{count, execute, rows};

/// The state of the database when a run began. The log stores it as JSON, so the serialised names never change.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct StateBefore {
    /// The indexes of the table of cards, with those of constraints.
    pub(crate) keys: Vec<TableKey>,
    /// The definition of the table of cards. Only on SQLite.
    #[serde(rename = "source")]
    pub(crate) definition: Option<SqliteDefinition>,
    /// The highest key of each table whose rows refer to cards, by the name of the table. Only of tables whose rows
    /// have an integer key.
    pub(crate) last_ids: BTreeMap<String, i64>,
}

/// Logs that a run begins, with the state of the database before the run. Does nothing if the run is already logged.
pub(crate) async fn begin(
    connection: &impl ConnectionTrait,
    inspection: &Inspection,
) -> Result<(), RepairError> {
    let Inspection { state, figures } = inspection;
    if figures.open_run.is_some() {
        return Ok(());
    }
    let dialect = state.dialect();
    let runs = dialect.table(&state.sibling_table(RUN_TABLE));
    let begun = format!("SELECT COUNT(*) FROM {runs} WHERE repair_run = {}", figures.run());
    if count(connection, begun).await? > 0 {
        return Ok(());
    }
    let mut before = StateBefore {
        keys: state.keys.clone(),
        definition: state.definition.clone(),
        ..StateBefore::default()
    };
    for child in state.child_tables() {
        let Some(key) = child.key.as_ref().filter(|key| key.is_integer) else { continue };
        let highest = dialect.integer(&format!("MAX({})", dialect.quote(&key.column)));
        let last =
            count(connection, format!("SELECT {highest} FROM {}", dialect.table(&child.table))).await?;
        before.last_ids.insert(state.label(&child.table), last);
    }
    let text = format!(
        "INSERT INTO {runs} (repair_run, started_at, state_before) VALUES ({}, {}, {})",
        figures.run(),
        dialect.now(),
        dialect.parameter(1),
    );
    let before =
        serde_json::to_string(&before).map_err(|error| RepairError::Inconsistent(error.to_string()))?;
    execute(connection, text, [before.into()]).await?;
    Ok(())
}

/// Logs that a run has ended.
pub(crate) async fn finish(
    connection: &impl ConnectionTrait,
    state: &TableState,
    run: i64,
) -> Result<(), RepairError> {
    let dialect = state.dialect();
    let runs = dialect.table(&state.sibling_table(RUN_TABLE));
    let text = format!("UPDATE {runs} SET finished_at = {} WHERE repair_run = {run}", dialect.now());
    execute(connection, text, []).await?;
    Ok(())
}

/// Returns the number of the latest logged run, with the state of the database before that run. `None` if no run is
/// logged.
pub(crate) async fn latest(
    connection: &impl ConnectionTrait,
    state: &TableState,
) -> Result<Option<(i64, StateBefore)>, RepairError> {
    if state.run_log_table(RUN_TABLE).is_none() {
        return Ok(None);
    }
    let dialect = state.dialect();
    let text = format!(
        "SELECT {}, state_before FROM {} ORDER BY repair_run DESC LIMIT 1",
        dialect.integer("repair_run"),
        dialect.table(&state.sibling_table(RUN_TABLE))
    );
    let found = rows(connection, text, []).await?;
    let Some(row) = found.first() else { return Ok(None) };
    let before: String = row.try_get_by_index(1)?;
    let before = serde_json::from_str(&before).map_err(|error| {
        RepairError::Inconsistent(format!("the log in `{RUN_TABLE}` cannot be read: {error}"))
    })?;
    Ok(Some((row.try_get_by_index(0)?, before)))
}
