//! The tables whose rows refer to cards.

use super::state::TableState;
use super::table::{CardReference, TableColumn, TableKey, self_setting};
use crate::sql::{Dialect, TableName, same};

/// A table whose rows move to the survivor of a merge.
#[derive(Clone, Debug)]
pub(crate) struct ChildTable {
    /// The name of the table.
    pub(crate) table: TableName,
    /// The column that refers to the card.
    pub(crate) column: String,
    /// The column that identifies a row. `None` if no single column does.
    pub(crate) key: Option<RowKey>,
    /// The columns that MariaDB or MySQL sets automatically when a row changes.
    pub(crate) self_setting: Vec<String>,
    /// Whether the column that refers to the card may be null.
    pub(crate) nullable: bool,
}

/// The column that identifies a row of a child table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowKey {
    /// The name of the column.
    pub(crate) column: String,
    /// Whether the column holds integers.
    pub(crate) is_integer: bool,
}

impl ChildTable {
    /// Describes the table of a reference. `column` is the column that refers to the card.
    pub(super) fn of(dialect: Dialect, reference: &CardReference, column: &str) -> Self {
        let find = |wanted: &str| reference.table_columns.iter().find(|have| same(&have.name, wanted));
        let is_integer = |column: &TableColumn| column.definition.to_ascii_lowercase().contains("int");
        let alone = |key: &&TableKey| {
            key.unique && !key.partial && key.columns.len() == 1 && !same(&key.columns[0], column)
        };
        let single = reference
            .table_keys
            .iter()
            .filter(alone)
            .max_by_key(|key| key.primary)
            .and_then(|key| find(&key.columns[0]));
        let has_primary = reference.table_keys.iter().any(|key| key.primary);
        let key = match single {
            Some(column) => Some(RowKey { column: column.name.clone(), is_integer: is_integer(column) }),
            None if dialect.is_sqlite() && !has_primary && find("rowid").is_none() => {
                Some(RowKey { column: "rowid".to_owned(), is_integer: true })
            }
            None => None,
        };
        Self {
            table: reference.table.clone(),
            column: column.to_owned(),
            key,
            self_setting: self_setting(&reference.table_columns),
            nullable: find(column).is_some_and(|column| column.nullable),
        }
    }

    /// Returns `, column = column` for each column that the database would otherwise change automatically in an update.
    pub(crate) fn keep_self_setting(&self, dialect: Dialect) -> String {
        keep(dialect, &self.self_setting)
    }
}

/// Returns `, column = column` for each of these columns. At the end of a SET clause, this text leaves the columns
/// unchanged.
pub(crate) fn keep(dialect: Dialect, columns: &[String]) -> String {
    columns.iter().map(|name| format!(", {name} = {name}", name = dialect.quote(name))).collect()
}

impl TableState {
    /// Returns the references to the `id` of cards, each with the column that refers to it. A pair of table and
    /// column appears only once, even if two foreign keys use this pair.
    #[must_use]
    pub fn id_references(&self) -> Vec<(&CardReference, &str)> {
        let mut found: Vec<(&CardReference, &str)> = Vec::new();
        for reference in &self.references {
            let Some((column, _)) = reference.columns.iter().find(|(_, card)| same(card, "id")) else {
                continue;
            };
            if !found.iter().any(|(known, name)| known.table == reference.table && *name == column) {
                found.push((reference, column));
            }
        }
        found
    }

    /// Returns all tables that refer to a card's id. A table that refers to it with two columns appears twice.
    pub(crate) fn child_tables(&self) -> Vec<ChildTable> {
        self.id_references()
            .into_iter()
            .map(|(reference, column)| ChildTable::of(self.dialect(), reference, column))
            .collect()
    }

    /// Returns the type of a column of a child table. It is `bigint` if the column is unknown.
    pub(crate) fn definition_of(&self, child: &ChildTable, column: &str) -> &str {
        self.references
            .iter()
            .filter(|reference| reference.table == child.table)
            .flat_map(|reference| &reference.table_columns)
            .find(|have| same(&have.name, column))
            .map_or("bigint", |have| &have.definition)
    }
}
