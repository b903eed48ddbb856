//! Restores the keys that the table of cards had before a repair.

use crate::error::RepairError;
use crate::inspect::{TableKey, TableState};
use crate::names::CARD_TABLE;
use crate::plan::{drop_key, rebuild_as};
use crate::runs::StateBefore;
use crate::sql::{Dialect, same};

/// Returns the statements that restore the keys from before the repair, and drop the keys that the repair created.
/// Fails if the old definition of a SQLite table is not logged.
pub(super) fn statements(state: &TableState, before: &StateBefore) -> Result<Vec<String>, RepairError> {
    let is_in = |key: &TableKey, keys: &[TableKey]| {
        keys.iter().any(|have| have.name == key.name && have.columns == key.columns)
    };
    let from_repair = |key: &&TableKey| key.is_new() || key.name.starts_with(&format!("idx_{CARD_TABLE}_"));
    let created: Vec<&TableKey> =
        state.keys.iter().filter(|key| !is_in(key, &before.keys)).filter(from_repair).collect();
    let gone: Vec<&TableKey> =
        before.keys.iter().filter(|key| !is_in(key, &state.keys) && key.valid).collect();
    let dialect = state.dialect();
    if created.is_empty() && gone.is_empty() {
        return Ok(Vec::new());
    }
    if dialect.is_mysql() {
        let mut changes = in_order(state, before, &gone);
        changes.extend(created.iter().map(|key| format!("DROP INDEX {}", dialect.quote(&key.name))));
        return Ok(vec![format!("ALTER TABLE {} {}", dialect.table(&state.table), changes.join(", "))]);
    }
    if dialect.is_sqlite() && gone.iter().any(|key| key.constraint.is_some()) {
        return before.definition.as_ref().and_then(|definition| rebuild_as(state, definition)).ok_or_else(
            || {
                RepairError::CannotUndo(vec![
                    "the log does not have the CREATE TABLE statement from before the repair".to_owned(),
                ])
            },
        );
    }
    let mut statements: Vec<_> = created.iter().map(|key| drop_key(state, key)).collect();
    if dialect.is_postgres() {
        statements.extend(gone.iter().map(|key| create_key(state, key)));
    } else if let Some(definition) = &before.definition {
        let texts =
            definition.indexes.iter().filter(|(name, _)| gone.iter().any(|key| same(&key.name, name)));
        statements.extend(texts.map(|(_, text)| text.clone()));
    }
    Ok(statements)
}

/// Returns the parts of an ALTER TABLE statement that add the missing keys. Other parts drop the keys that come after a
/// missing key, and add these keys again, so that all keys have the order from before the repair.
fn in_order(state: &TableState, before: &StateBefore, gone: &[&TableKey]) -> Vec<String> {
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

fn add_index(dialect: Dialect, key: &TableKey) -> String {
    let columns = dialect.quote_all(key.columns.iter().map(String::as_str));
    let kind = if key.unique { "UNIQUE INDEX" } else { "INDEX" };
    format!("ADD {kind} {} ({columns})", dialect.quote(&key.name))
}

fn create_key(state: &TableState, key: &TableKey) -> String {
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
