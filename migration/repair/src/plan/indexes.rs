//! Names of new indexes, and the statements that drop indexes and keys.

use crate::inspect::{TableKey, TableState};
use crate::sql::{Dialect, TableName, same};

/// Returns the statement that drops an index of a table.
pub(super) fn drop_index(dialect: Dialect, table: &TableName, name: &str) -> String {
    if dialect.is_postgres() {
        let index = TableName { schema: table.schema.clone(), name: name.to_owned() };
        return format!("DROP INDEX CONCURRENTLY {}", dialect.table(&index));
    }
    format!("DROP INDEX {}", dialect.quote(name))
}

/// Returns the statement that drops a key, with the constraint that it belongs to.
pub(crate) fn drop_key(state: &TableState, key: &TableKey) -> String {
    let dialect = state.dialect();
    match &key.constraint {
        Some(constraint) => {
            format!(
                "ALTER TABLE {} DROP CONSTRAINT {}",
                dialect.table(&state.table),
                dialect.quote(constraint)
            )
        }
        None => drop_index(dialect, &state.table, &key.name),
    }
}

/// Returns `wanted`, with a number from 2 behind it if that name is taken. The names of the keys in `dropped` are free.
pub(super) fn free_name(state: &TableState, wanted: &str, dropped: &[&TableKey]) -> String {
    let taken = |name: &str| {
        state.taken_names.iter().any(|have| same(have, name))
            && !dropped.iter().any(|key| same(&key.name, name))
    };
    let others = (2..).map(|number| format!("{wanted}_{number}"));
    std::iter::once(wanted.to_owned()).chain(others).find(|name| !taken(name)).unwrap_or_default()
}
