//! The runs of a repair, with the data that is needed to undo them.

use std::collections::BTreeMap;

use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};

use super::RUNS;
use crate::error::RepairError;
use crate::inspect::{Inspection, Key, Source, TableState};
use crate::sql::{count, execute, rows};

/// The database as it was when a run began.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Before {
    /// The keys of the table of cards.
    pub(crate) keys: Vec<Key>,
    /// The definition of the table of cards, on SQLite.
    pub(crate) source: Option<Source>,
    /// The highest id of each table whose rows refer to cards.
    pub(crate) last_ids: BTreeMap<String, i64>,
}

/// Records that a run begins, if it has not begun already.
pub(crate) async fn begin(
    connection: &impl ConnectionTrait,
    inspection: &Inspection,
) -> Result<(), RepairError> {
    let Inspection { state, figures } = inspection;
    if figures.open_run.is_some() {
        return Ok(());
    }
    let dialect = state.dialect();
    let runs = dialect.table(&state.beside(RUNS));
    let begun = format!("SELECT COUNT(*) FROM {runs} WHERE repair_run = {}", figures.run());
    if count(connection, begun).await? > 0 {
        return Ok(());
    }
    let mut before = Before { keys: state.keys.clone(), source: state.source.clone(), ..Before::default() };
    for child in state.children_with_keys() {
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

/// Records that a run has ended.
pub(crate) async fn finish(
    connection: &impl ConnectionTrait,
    state: &TableState,
    run: i64,
) -> Result<(), RepairError> {
    let dialect = state.dialect();
    let runs = dialect.table(&state.beside(RUNS));
    let text = format!("UPDATE {runs} SET finished_at = {} WHERE repair_run = {run}", dialect.now());
    execute(connection, text, []).await?;
    Ok(())
}

/// Returns the latest run, with the database as it was before.
pub(crate) async fn latest(
    connection: &impl ConnectionTrait,
    state: &TableState,
) -> Result<Option<(i64, Before)>, RepairError> {
    if state.own(RUNS).is_none() {
        return Ok(None);
    }
    let dialect = state.dialect();
    let text = format!(
        "SELECT {}, state_before FROM {} ORDER BY repair_run DESC LIMIT 1",
        dialect.integer("repair_run"),
        dialect.table(&state.beside(RUNS))
    );
    let answer = rows(connection, text, []).await?;
    let Some(row) = answer.first() else { return Ok(None) };
    let before: String = row.try_get_by_index(1)?;
    let before = serde_json::from_str(&before)
        .map_err(|error| RepairError::Inconsistent(format!("`{RUNS}` cannot be read: {error}")))?;
    Ok(Some((row.try_get_by_index(0)?, before)))
}
