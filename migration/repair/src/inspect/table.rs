//! The parts of a table: columns, keys and foreign keys.

use serde::{Deserialize, Serialize};

use crate::names::{NEW_KEY_COLUMNS, OLD_KEY_COLUMNS};
use crate::sql::{TableName, same, same_set};

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableColumn {
    /// The name of the column.
    pub name: String,
    /// The type, as a column definition writes it.
    pub definition: String,
    /// Whether the database computes the value.
    pub generated: bool,
    /// Whether the column holds a date, a time, or both.
    pub temporal: bool,
    /// Whether the column may be null.
    pub nullable: bool,
    /// Whether MariaDB or MySQL sets the column automatically when a row changes.
    pub self_setting: bool,
}

/// An index of a table, or the index behind a constraint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableKey {
    /// The name of the index. Empty for a primary key on SQLite.
    pub name: String,
    /// The name of the constraint that the index belongs to. `None` if there is no constraint. On SQLite this is the
    /// name of the index, because the catalogue has no name of the constraint.
    pub constraint: Option<String>,
    /// The columns in order. An expression has an empty name.
    pub columns: Vec<String>,
    /// Whether the key refuses duplicates.
    pub unique: bool,
    /// Whether the key is the primary key.
    pub primary: bool,
    /// Whether the key covers only some of the rows, or only the beginning of a value.
    pub partial: bool,
    /// Whether the index works. On PostgreSQL, an interrupted concurrent build leaves an index that does not work.
    pub valid: bool,
}

impl TableKey {
    /// Returns whether this is an old key, which refuses the cards of a purchase's second subject.
    #[must_use]
    pub fn is_old(&self) -> bool {
        self.unique && same_set(&self.columns, &OLD_KEY_COLUMNS)
    }

    /// Returns whether this key has exactly the columns of the new key, even if its index does not work.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.unique && !self.partial && same_set(&self.columns, &NEW_KEY_COLUMNS)
    }

    /// Returns whether the key works, covers all rows, and begins with these columns in this order.
    #[must_use]
    pub fn leads_with(&self, columns: &[String]) -> bool {
        self.valid
            && !self.partial
            && self.columns.len() >= columns.len()
            && self.columns.iter().zip(columns).all(|(mine, theirs)| same(mine, theirs))
    }
}

/// A foreign key that the table of cards has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardForeignKey {
    /// The name of the foreign key. On SQLite it is a number.
    pub name: String,
    /// The columns of the table of cards that refer to another table.
    pub columns: Vec<String>,
}

/// A foreign key of another table that refers to the table of cards, or a reference that only the name of a column
/// shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardReference {
    /// The table that refers to the cards.
    pub table: TableName,
    /// The name of the foreign key. On SQLite it is a number. It is empty if only the columns' names show the
    /// reference.
    pub constraint: String,
    /// Pairs of a column of the referring table and the column of the cards that it refers to.
    pub columns: Vec<(String, String)>,
    /// All columns of the table that refers to the cards.
    pub table_columns: Vec<TableColumn>,
    /// All indexes of the table that refers to the cards.
    pub table_keys: Vec<TableKey>,
}

/// The definition of a table as SQLite stores it. The table can be rebuilt from this definition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqliteDefinition {
    /// The CREATE TABLE statement.
    pub table: String,
    /// The names and the CREATE INDEX statements of the indexes, except those of constraints.
    pub indexes: Vec<(String, String)>,
    /// The CREATE TRIGGER statements.
    pub triggers: Vec<String>,
    /// Whether `sqlite_sequence` has a row for the table, because its ids are `AUTOINCREMENT`.
    pub numbered: bool,
}

/// Returns the columns that MariaDB or MySQL sets automatically when a row changes.
pub(crate) fn self_setting(columns: &[TableColumn]) -> Vec<String> {
    columns.iter().filter(|column| column.self_setting).map(|column| column.name.clone()).collect()
}
