//! Finds the old system's tables of sittings and questions.

use super::child::ChildTable;
use super::state::TableState;
use super::table::{CardReference, TableColumn, TableKey};
use crate::names::{QUESTION_TABLE, SITTING_TABLE, SITTING_TIME_COLUMNS};
use crate::sql::{Dialect, same};

/// The table of sittings. Its columns are not the same in every old system.
#[derive(Clone, Debug)]
pub(crate) struct SittingTable {
    /// The table, its column that refers to the card, and its key.
    pub(crate) child: ChildTable,
    /// The name of the integer column that identifies a sitting.
    pub(crate) id: String,
    /// The column with the time of a sitting. `None` if the table has no time column.
    pub(crate) time: Option<String>,
    /// All columns of the table.
    columns: Vec<TableColumn>,
    /// The names of the unique keys that include the card and the attempt number.
    pub(crate) number_keys: Vec<String>,
}

impl SittingTable {
    /// Returns whether the table has this column.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    pub(super) fn find(&self, name: &str) -> Option<&TableColumn> {
        self.columns.iter().find(|have| same(&have.name, name))
    }

    /// Returns a column as SQL, with the alias of the table. Returns `NULL` if the column does not exist.
    pub(crate) fn column(&self, dialect: Dialect, alias: &str, name: &str) -> String {
        if self.has(name) { format!("{alias}.{}", dialect.quote(name)) } else { "NULL".to_owned() }
    }

    /// Returns whether `child` is this table, and refers to the card by the same column.
    pub(crate) fn is(&self, child: &ChildTable) -> bool {
        self.child.table == child.table && self.child.column == child.column
    }
}

impl TableState {
    /// Finds the old system's table of sittings, or else another table that refers to cards and has attempt numbers.
    /// `None` in the new schema, or if the table does not exist or has no integer key.
    pub(crate) fn sittings(&self) -> Option<SittingTable> {
        if self.has_entitlements {
            return None;
        }
        let references = self.id_references();
        let named = references.iter().find(|(reference, _)| self.is_named(reference, SITTING_TABLE));
        let numbered = || {
            references.iter().find(|(reference, _)| {
                reference.table_columns.iter().any(|column| same(&column.name, "attempt_number"))
            })
        };
        let (reference, column) = named.or_else(numbered)?;
        let child = ChildTable::of(self.dialect(), reference, column);
        let key = child.key.clone().filter(|key| key.is_integer)?;
        let find = |wanted: &str| reference.table_columns.iter().find(|have| same(&have.name, wanted));
        let time = SITTING_TIME_COLUMNS.iter().filter_map(|name| find(name)).find(|column| column.temporal);
        let includes = |key: &&TableKey, name: &str| key.columns.iter().any(|have| same(have, name));
        let number_keys = reference
            .table_keys
            .iter()
            .filter(|key| key.unique && includes(key, column) && includes(key, "attempt_number"))
            .map(|key| key.name.clone())
            .collect();
        Some(SittingTable {
            id: key.column,
            time: time.map(|column| column.name.clone()),
            columns: reference.table_columns.clone(),
            number_keys,
            child,
        })
    }

    /// Finds the old system's table of questions. `None` in the new schema, or if the table does not exist.
    pub(crate) fn questions(&self) -> Option<ChildTable> {
        if self.has_entitlements {
            return None;
        }
        let references = self.id_references();
        let (reference, column) =
            references.iter().find(|(reference, _)| self.is_named(reference, QUESTION_TABLE))?;
        Some(ChildTable::of(self.dialect(), reference, column))
    }

    /// Returns the child tables except the table of sittings. A merge changes only the reference to the card in their
    /// rows.
    pub(crate) fn followers(&self) -> Vec<ChildTable> {
        let sittings = self.sittings();
        let mut children = self.child_tables();
        children.retain(|child| sittings.as_ref().is_none_or(|sittings| !sittings.is(child)));
        children
    }

    fn is_named(&self, reference: &CardReference, name: &str) -> bool {
        reference.table.schema == self.table.schema && same(&reference.table.name, name)
    }
}
