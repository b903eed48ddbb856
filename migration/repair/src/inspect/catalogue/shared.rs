//! Helpers that all three catalogues need.

use crate::inspect::table::{CardReference, TableColumn, TableKey};
use crate::names::CARD_ID_COLUMN;
use crate::sql::{TableName, same};

/// Makes a reference for a table that has no foreign key to the cards. `None` if the table lacks the column `id`, or
/// the column whose name shows that it refers to a card.
pub(super) fn reference_by_name(
    table: TableName,
    table_columns: Vec<TableColumn>,
    table_keys: Vec<TableKey>,
) -> Option<CardReference> {
    let has = |wanted: &str| table_columns.iter().any(|column| same(&column.name, wanted));
    if !has("id") || !has(CARD_ID_COLUMN) {
        return None;
    }
    Some(CardReference {
        table,
        constraint: String::new(),
        columns: vec![(CARD_ID_COLUMN.to_owned(), "id".to_owned())],
        table_columns,
        table_keys,
    })
}

/// Returns the names of columns.
pub(super) fn column_names(columns: Vec<TableColumn>) -> Vec<String> {
    columns.into_iter().map(|column| column.name).collect()
}

/// Returns whether a table named `entitlements` belongs to the new schema: whether `columns` include three columns of
/// that schema's table.
pub(super) fn are_entitlements(columns: &[TableColumn]) -> bool {
    ["purchase_id", "subject_id", "test_cards"]
        .iter()
        .all(|wanted| columns.iter().any(|column| same(&column.name, wanted)))
}

/// Collects keys from rows of a catalogue. Each row has one column of a key, and the rows of a key are adjacent.
#[derive(Default)]
pub(super) struct KeyCollector {
    keys: Vec<TableKey>,
}

impl KeyCollector {
    /// Adds a column to a key. A `column` of `None` stands for an expression, and gets an empty name.
    pub(super) fn add(&mut self, key: TableKey, column: Option<String>) {
        let column = column.unwrap_or_default();
        match self.keys.last_mut() {
            Some(last) if last.name == key.name => {
                last.partial |= key.partial;
                last.columns.push(column);
            }
            _ => self.keys.push(TableKey { columns: vec![column], ..key }),
        }
    }

    /// Returns the collected keys.
    pub(super) fn into_keys(self) -> Vec<TableKey> {
        self.keys
    }
}
