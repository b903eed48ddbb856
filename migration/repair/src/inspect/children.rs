//! Finds the tables that refer to the cards, and which of them are the old system's sittings and questions.

use super::{Column, Key, Reference, TableState};
use crate::sql::{Dialect, TableName, same};

/// Table of the old system's sittings.
pub(crate) const SITTINGS: &str = "test_attempt_sessions";
/// Table of the old system's questions; a question may be made for one card.
pub(crate) const QUESTIONS: &str = "exam_category_questions";
/// Column of both tables that refers to the card.
pub(crate) const CARD: &str = "mock_test_id";

/// Columns that may have the time of a sitting, the best first.
const TIMES: [&str; 8] = [
    "started_at",
    "start_time",
    "begun_at",
    "attempted_at",
    "created_at",
    "submitted_at",
    "completed_at",
    "updated_at",
];

/// Columns of a card that can be computed from its sittings and questions.
pub(crate) const DERIVED: [&str; 11] = [
    "attempts_used",
    "max_attempts",
    "status",
    "total_questions",
    "questions_generated",
    "latest_score",
    "latest_percentage",
    "latest_time_taken",
    "latest_attempt_date",
    "first_attempt_score",
    "first_attempt_date",
];

/// A table whose rows move to the survivor of a merge.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    /// The table.
    pub(crate) table: TableName,
    /// Its column that refers to the card.
    pub(crate) column: String,
    /// The column that identifies a row. None if no single column does.
    pub(crate) key: Option<ChildKey>,
    /// Columns that MySQL sets by itself when a row changes.
    pub(crate) self_setting: Vec<String>,
    /// Whether the reference may be null.
    pub(crate) nullable: bool,
}

/// The column that identifies a row of a child table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChildKey {
    /// Its name.
    pub(crate) column: String,
    /// Whether it has whole numbers.
    pub(crate) is_integer: bool,
}

/// The table of sittings, and which of the optional columns it has.
#[derive(Clone, Debug)]
pub(crate) struct Sittings {
    /// The table, the reference and the key.
    pub(crate) child: Child,
    /// The name of the key.
    pub(crate) id: String,
    /// The column with the time of a sitting.
    pub(crate) time: Option<String>,
    /// All columns.
    columns: Vec<Column>,
    /// The unique keys that hold the reference and the number.
    pub(crate) number_keys: Vec<String>,
}

impl Sittings {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    pub(super) fn find(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|have| same(&have.name, name))
    }

    /// Returns the column, or a null if it does not exist.
    pub(crate) fn column(&self, dialect: Dialect, alias: &str, name: &str) -> String {
        if self.has(name) { format!("{alias}.{}", dialect.quote(name)) } else { "NULL".to_owned() }
    }
}

impl Child {
    pub(super) fn of(dialect: Dialect, reference: &Reference, column: &str) -> Self {
        let find = |wanted: &str| reference.table_columns.iter().find(|have| same(&have.name, wanted));
        let is_integer = |column: &Column| column.definition.to_ascii_lowercase().contains("int");
        let alone = |key: &&Key| {
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
            Some(column) => Some(ChildKey { column: column.name.clone(), is_integer: is_integer(column) }),
            None if dialect.is_sqlite() && !has_primary && find("rowid").is_none() => {
                Some(ChildKey { column: "rowid".to_owned(), is_integer: true })
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

    /// Returns `, column = column` for each column that MySQL would set by itself.
    pub(crate) fn keep_self_setting(&self, dialect: Dialect) -> String {
        keep(dialect, &self.self_setting)
    }
}

pub(crate) fn keep(dialect: Dialect, columns: &[String]) -> String {
    columns.iter().map(|name| format!(", {name} = {name}", name = dialect.quote(name))).collect()
}

pub(crate) fn self_setting(columns: &[Column]) -> Vec<String> {
    columns.iter().filter(|column| column.self_setting).map(|column| column.name.clone()).collect()
}

impl TableState {
    /// Returns the references to a card's id, each table and column once.
    #[must_use]
    pub fn children(&self) -> Vec<(&Reference, &str)> {
        let mut children: Vec<(&Reference, &str)> = Vec::new();
        for reference in &self.references {
            let Some((column, _)) = reference.columns.iter().find(|(_, card)| same(card, "id")) else {
                continue;
            };
            if !children.iter().any(|(known, name)| known.table == reference.table && *name == column) {
                children.push((reference, column));
            }
        }
        children
    }

    /// Finds the old system's table of sittings, or a table whose rows are numbered attempts.
    pub(crate) fn sittings(&self) -> Option<Sittings> {
        if self.has_entitlements {
            return None;
        }
        let children = self.children();
        let named = children.iter().find(|(reference, _)| self.is_old(reference, SITTINGS));
        let numbered = || {
            children.iter().find(|(reference, _)| {
                reference.table_columns.iter().any(|column| same(&column.name, "attempt_number"))
            })
        };
        let (reference, column) = named.or_else(numbered)?;
        let child = Child::of(self.dialect(), reference, column);
        let key = child.key.clone().filter(|key| key.is_integer)?;
        let find = |wanted: &str| reference.table_columns.iter().find(|have| same(&have.name, wanted));
        let time = TIMES.iter().filter_map(|name| find(name)).find(|column| column.temporal);
        let holds = |key: &&Key, name: &str| key.columns.iter().any(|have| same(have, name));
        let number_keys = reference
            .table_keys
            .iter()
            .filter(|key| key.unique && holds(key, column) && holds(key, "attempt_number"))
            .map(|key| key.name.clone())
            .collect();
        Some(Sittings {
            id: key.column,
            time: time.map(|column| column.name.clone()),
            columns: reference.table_columns.clone(),
            number_keys,
            child,
        })
    }

    /// Finds the old system's table of questions.
    pub(crate) fn questions(&self) -> Option<Child> {
        if self.has_entitlements {
            return None;
        }
        let children = self.children();
        let (reference, column) = children.iter().find(|(reference, _)| self.is_old(reference, QUESTIONS))?;
        Some(Child::of(self.dialect(), reference, column))
    }

    /// Returns the tables that follow a merged card only by their reference: all but the sittings.
    pub(crate) fn followers(&self) -> Vec<Child> {
        let sittings = self.sittings().map(|sittings| (sittings.child.table, sittings.child.column));
        self.children()
            .into_iter()
            .filter(|(reference, column)| {
                sittings.as_ref().is_none_or(|(table, own)| *table != reference.table || own != column)
            })
            .map(|(reference, column)| Child::of(self.dialect(), reference, column))
            .collect()
    }

    /// Returns all tables that refer to cards.
    pub(crate) fn children_with_keys(&self) -> Vec<Child> {
        self.children()
            .into_iter()
            .map(|(reference, column)| Child::of(self.dialect(), reference, column))
            .collect()
    }

    /// Returns the type of a child's column.
    pub(crate) fn definition_of(&self, child: &Child, column: &str) -> &str {
        self.references
            .iter()
            .filter(|reference| reference.table == child.table)
            .flat_map(|reference| &reference.table_columns)
            .find(|have| same(&have.name, column))
            .map_or("bigint", |have| &have.definition)
    }

    /// Returns the name of a table in the log of changes.
    pub(crate) fn label(&self, table: &TableName) -> String {
        match &table.schema {
            Some(schema) if table.schema != self.table.schema => format!("{schema}.{}", table.name),
            _ => table.name.clone(),
        }
    }

    /// Returns the existing columns of a card that can be computed.
    pub(crate) fn derived(&self) -> Vec<&'static str> {
        DERIVED.into_iter().filter(|name| self.has(name)).collect()
    }

    /// Returns a column of the table of cards, or a null if it does not exist.
    pub(crate) fn card_column(&self, alias: &str, name: &str) -> String {
        if self.has(name) { format!("{alias}.{}", self.dialect().quote(name)) } else { "NULL".to_owned() }
    }

    fn is_old(&self, reference: &Reference, name: &str) -> bool {
        reference.table.schema == self.table.schema && same(&reference.table.name, name)
    }
}

/// Whether a table without a foreign key to the cards refers to them by its columns' names.
pub(super) fn refers_by_name(columns: &[Column]) -> bool {
    ["id", CARD].iter().all(|wanted| columns.iter().any(|column| same(&column.name, wanted)))
}
