//! The structure of the table of cards, and of the tables that refer to it.

use sea_orm::DbBackend;

use super::spelling::StatusSpelling;
use super::table::{CardForeignKey, CardReference, SqliteDefinition, TableColumn, TableKey};
use crate::names::{
    ABANDONED_STATUS, CHANGE_TABLE, DERIVED_CARD_COLUMNS, MERGED_CARD_TABLE, OLD_KEY_COLUMNS, SURVIVOR_TABLE,
};
use crate::sql::{Dialect, TableName, same, same_set};

/// The structure of the table of cards, and of the tables that refer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableState {
    /// The kind of database.
    pub backend: DbBackend,
    /// The name of the table of cards.
    pub table: TableName,
    /// The columns of the table of cards, in order.
    pub columns: Vec<TableColumn>,
    /// The indexes of the table of cards, with those of constraints.
    pub keys: Vec<TableKey>,
    /// The foreign keys of the table of cards.
    pub foreign_keys: Vec<CardForeignKey>,
    /// The foreign keys of other tables that refer to cards, and the references that only a column's name shows.
    pub references: Vec<CardReference>,
    /// The columns of `mock_test_attempts_merged`, the log of cards that repairs merged into another card. `None` if
    /// the table does not exist.
    pub merged_card_columns: Option<Vec<String>>,
    /// The existing tables in which repairs log their runs, with their columns. The log of merged cards is not among
    /// them.
    pub run_log_tables: Vec<(String, Vec<String>)>,
    /// Names that a new index of the table of cards cannot have.
    pub taken_names: Vec<String>,
    /// The storage engine of the table of cards. Only on MariaDB and MySQL.
    pub engine: Option<String>,
    /// The definition of the table of cards. Only on SQLite.
    pub definition: Option<SqliteDefinition>,
    /// The spelling of the statuses of cards.
    pub card_spelling: StatusSpelling,
    /// The spelling of the statuses of sittings.
    pub sitting_spelling: StatusSpelling,
    /// Whether the new schema's table of entitlements exists.
    pub has_entitlements: bool,
}

impl TableState {
    /// Returns a status as the table of cards spells it. `None` if the type of the column does not have the word.
    pub(crate) fn card_status(&self, word: &str) -> Option<String> {
        self.card_spelling.of(word)
    }

    /// Returns the status `abandoned` as the table of sittings spells it. `None` if the type of the column does not
    /// have the word.
    pub(crate) fn abandoned_status(&self) -> Option<String> {
        self.sitting_spelling.of(ABANDONED_STATUS)
    }

    /// Returns the SQL dialect of the database.
    pub(crate) fn dialect(&self) -> Dialect {
        Dialect(self.backend)
    }

    /// Returns the name of a table in the same schema as the table of cards.
    pub(crate) fn sibling_table(&self, name: &str) -> TableName {
        TableName { schema: self.table.schema.clone(), name: name.to_owned() }
    }

    /// Returns the name of the table of merged cards.
    #[must_use]
    pub fn merged_card_table(&self) -> TableName {
        self.sibling_table(MERGED_CARD_TABLE)
    }

    /// Returns the columns of a table in which a repair logs a run. `None` if the table does not exist.
    pub(crate) fn run_log_table(&self, name: &str) -> Option<&[String]> {
        self.run_log_tables.iter().find(|(known, _)| same(known, name)).map(|(_, columns)| columns.as_slice())
    }

    /// Returns whether all tables in which a repair logs changed rows exist.
    pub(crate) fn has_row_log(&self) -> bool {
        self.merged_card_columns.is_some()
            && self.run_log_table(SURVIVOR_TABLE).is_some()
            && self.run_log_table(CHANGE_TABLE).is_some()
    }

    /// Returns the unique keys on (purchase_id, test_number), which the repair removes.
    pub fn old_keys(&self) -> impl Iterator<Item = &TableKey> {
        self.keys.iter().filter(|key| key.is_old())
    }

    /// Returns the new key if it exists and works.
    #[must_use]
    pub fn new_key(&self) -> Option<&TableKey> {
        self.keys.iter().find(|key| key.is_new() && key.valid)
    }

    /// Returns whether the table of cards has this column.
    #[must_use]
    pub fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|have| same(&have.name, column))
    }

    /// Returns a column of the table of cards as SQL, with an alias. Returns `NULL` if the column does not exist.
    pub(crate) fn card_column(&self, alias: &str, name: &str) -> String {
        if self.has(name) { format!("{alias}.{}", self.dialect().quote(name)) } else { "NULL".to_owned() }
    }

    /// Returns the existing columns of a card that can be computed from its sittings and questions.
    pub(crate) fn derived_columns(&self) -> Vec<&'static str> {
        DERIVED_CARD_COLUMNS.into_iter().filter(|name| self.has(name)).collect()
    }

    /// Returns the name of a table in the form that the log of changes uses.
    pub(crate) fn label(&self, table: &TableName) -> String {
        match &table.schema {
            Some(schema) if table.schema != self.table.schema => format!("{schema}.{}", table.name),
            _ => table.name.clone(),
        }
    }

    /// Returns the references to exactly the columns of an old key. The references need the old key, because a
    /// foreign key refers to a unique key.
    pub fn references_to_old_key(&self) -> impl Iterator<Item = &CardReference> {
        self.references.iter().filter(|reference| {
            let cards: Vec<String> = reference.columns.iter().map(|(_, card)| card.clone()).collect();
            same_set(&cards, &OLD_KEY_COLUMNS)
        })
    }

    /// Returns the foreign keys of the table of cards that can use no other index than an old key. Returns nothing on
    /// PostgreSQL and SQLite, which require no index on the columns of a foreign key.
    #[must_use]
    pub fn leaning_on_old_key(&self) -> Vec<&CardForeignKey> {
        if self.backend != DbBackend::MySql {
            return Vec::new();
        }
        let leans = |foreign: &&CardForeignKey| {
            self.old_keys().any(|key| key.leads_with(&foreign.columns))
                && !self.keys.iter().any(|key| !key.is_old() && key.leads_with(&foreign.columns))
        };
        self.foreign_keys.iter().filter(leans).collect()
    }
}
