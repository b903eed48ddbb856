//! Restores the keys as they were before a repair.

use crate::CARDS;
use crate::error::RepairError;
use crate::inspect::{Key, TableState};
use crate::plan::{drop_key, rebuild_as};
use crate::runs::Before;
use crate::sql::{Dialect, same};

/// Returns the statements that restore the earlier keys, and drop those that the repair made.
pub(super) fn statements(state: &TableState, before: &Before) -> Result<Vec<String>, RepairError> {
    let is_in = |key: &Key, keys: &[Key]| {
        keys.iter().any(|have| have.name == key.name && have.columns == key.columns)
    };
    let ours = |key: &&Key| key.is_new() || key.name.starts_with(&format!("idx_{CARDS}_"));
    let made: Vec<&Key> = state.keys.iter().filter(|key| !is_in(key, &before.keys)).filter(ours).collect();
    let gone: Vec<&Key> = before.keys.iter().filter(|key| !is_in(key, &state.keys) && key.valid).collect();
    let dialect = state.dialect();
    if made.is_empty() && gone.is_empty() {
        return Ok(Vec::new());
    }
    if dialect.is_mysql() {
        let mut changes = in_order(state, before, &gone);
        changes.extend(made.iter().map(|key| format!("DROP INDEX {}", dialect.quote(&key.name))));
        return Ok(vec![format!("ALTER TABLE {} {}", dialect.table(&state.table), changes.join(", "))]);
    }
    if dialect.is_sqlite() && gone.iter().any(|key| key.constraint.is_some()) {
        return before.source.as_ref().and_then(|source| rebuild_as(state, source)).ok_or_else(|| {
            RepairError::CannotUndo(vec!["the table's earlier CREATE TABLE is not in the log".to_owned()])
        });
    }
    let mut statements: Vec<_> = made.iter().map(|key| drop_key(state, key)).collect();
    if dialect.is_postgres() {
        statements.extend(gone.iter().map(|key| create_key(state, key)));
    } else if let Some(source) = &before.source {
        let texts = source.indexes.iter().filter(|(name, _)| gone.iter().any(|key| same(&key.name, name)));
        statements.extend(texts.map(|(_, text)| text.clone()));
    }
    Ok(statements)
}

/// Adds the missing keys, and moves later keys behind them, so that the table has its earlier order.
fn in_order(state: &TableState, before: &Before, gone: &[&Key]) -> Vec<String> {
    let dialect = state.dialect();
    let first = before.keys.iter().position(|key| gone.contains(&key)).unwrap_or(before.keys.len());
    let mut changes = Vec::new();
    for key in before.keys[first..].iter().filter(|key| !key.primary) {
        if gone.contains(&key) {
            changes.push(add_index(dialect, key));
        } else if !key.partial && state.keys.iter().any(|have| have == key) {
            changes.push(format!("DROP INDEX {}", dialect.quote(&key.name)));
            changes.push(add_index(dialect, key));
        }
    }
    changes
}

fn add_index(dialect: Dialect, key: &Key) -> String {
    let columns = dialect.quote_all(key.columns.iter().map(String::as_str));
    let kind = if key.unique { "UNIQUE INDEX" } else { "INDEX" };
    format!("ADD {kind} {} ({columns})", dialect.quote(&key.name))
}

fn create_key(state: &TableState, key: &Key) -> String {
    let dialect = state.dialect();
    let (table, columns) =
        (dialect.table(&state.table), dialect.quote_all(key.columns.iter().map(String::as_str)));
    match &key.constraint {
        Some(constraint) => {
            format!("ALTER TABLE {table} ADD CONSTRAINT {} UNIQUE ({columns})", dialect.quote(constraint))
        }
        None => {
            let unique = if key.unique { " UNIQUE" } else { "" };
            format!("CREATE{unique} INDEX CONCURRENTLY {} ON {table} ({columns})", dialect.quote(&key.name))
        }
    }
}
