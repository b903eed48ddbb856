//! Reading a database's own catalogue, and counting what is in the table.

pub(crate) mod children;
mod figures;
pub(crate) mod groups;
mod mysql;
mod postgres;
mod scores;
mod sittings;
mod spelling;
mod sqlite;

use sea_orm::{ConnectionTrait, DbBackend};
use serde::{Deserialize, Serialize};

pub use figures::{Figures, Finding};
pub(crate) use groups::Group;
pub use sittings::SittingFigures;
pub use spelling::Spelling;

use super::error::RepairError;
use super::sql::{Dialect, TableName, dialect, same, same_set};
use super::{CARDS, CHANGES, CLOSED, LOG, NEW_KEY_COLUMNS, OLD_KEY_COLUMNS, SURVIVORS};

/// A column, as the catalogue describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as a column definition writes it.
    pub definition: String,
    /// Whether the database computes it.
    pub generated: bool,
    /// Whether it holds a date, a time, or a point in time.
    pub temporal: bool,
    /// Whether it may be null.
    pub nullable: bool,
    /// Whether MySQL sets it by itself when a row changes.
    pub self_setting: bool,
}

/// An index, or the index behind a constraint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Its name.
    pub name: String,
    /// The constraint it belongs to. On SQLite the constraint has no name of its own.
    pub constraint: Option<String>,
    /// Its columns in order; an expression is an empty name.
    pub columns: Vec<String>,
    /// Whether it refuses duplicates.
    pub unique: bool,
    /// Whether it is the primary key.
    pub primary: bool,
    /// Whether it covers a part of the rows, or of a column's value.
    pub partial: bool,
    /// False for what an interrupted concurrent build of PostgreSQL left behind.
    pub valid: bool,
}

impl Key {
    /// Whether it is over exactly the columns that refuse the second subject's cards.
    #[must_use]
    pub fn is_old(&self) -> bool {
        self.unique && same_set(&self.columns, &OLD_KEY_COLUMNS)
    }

    /// Whether it is over exactly the right columns, working or not.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.unique && !self.partial && same_set(&self.columns, &NEW_KEY_COLUMNS)
    }

    /// Whether a lookup by these columns can use it.
    #[must_use]
    pub fn leads_with(&self, columns: &[String]) -> bool {
        self.valid
            && !self.partial
            && self.columns.len() >= columns.len()
            && self.columns.iter().zip(columns).all(|(mine, theirs)| same(mine, theirs))
    }
}

/// A foreign key of the table of cards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    /// Its name; a number on SQLite.
    pub name: String,
    /// The columns that refer.
    pub columns: Vec<String>,
}

/// A foreign key of some table that refers to the table of cards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The table that refers.
    pub table: TableName,
    /// The foreign key's name; a number on SQLite.
    pub constraint: String,
    /// Pairs of its column and the card's column.
    pub columns: Vec<(String, String)>,
    /// All columns of the table that refers.
    pub table_columns: Vec<Column>,
    /// All indexes of the table that refers.
    pub table_keys: Vec<Key>,
}

/// What SQLite keeps of a table, to make it anew.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The CREATE TABLE.
    pub table: String,
    /// Names and texts of its indexes, those of constraints left out.
    pub indexes: Vec<(String, String)>,
    /// The texts of its triggers.
    pub triggers: Vec<String>,
    /// Whether a row of `sqlite_sequence` numbers it.
    pub numbered: bool,
}

/// The structure of the table of cards and of what refers to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableState {
    /// Which database.
    pub backend: DbBackend,
    /// The table of cards.
    pub table: TableName,
    /// Its columns in order.
    pub columns: Vec<Column>,
    /// Its indexes.
    pub keys: Vec<Key>,
    /// Its foreign keys.
    pub foreign_keys: Vec<ForeignKey>,
    /// What refers to it.
    pub references: Vec<Reference>,
    /// The columns of the log of merged cards, if there is one.
    pub log: Option<Vec<String>>,
    /// The other tables of the repair that exist, with their columns.
    pub own: Vec<(String, Vec<String>)>,
    /// Names that a new index of the table of cards cannot take.
    pub taken: Vec<String>,
    /// MySQL's and MariaDB's storage engine.
    pub engine: Option<String>,
    /// On SQLite.
    pub source: Option<Source>,
    /// How the status of cards and the status of sittings spell their words.
    pub spelling: [Spelling; 2],
    /// Whether the new schema's table of entitlements is there.
    pub has_entitlements: bool,
}

impl TableState {
    /// A card's status as the table of cards spells it. None where its type does not admit the word.
    pub(crate) fn card_status(&self, word: &str) -> Option<String> {
        self.spelling[0].of(word)
    }

    /// The status of a sitting that is closed because another one is open, as their table spells it.
    pub(crate) fn closed(&self) -> Option<String> {
        self.spelling[1].of(CLOSED)
    }

    pub(crate) fn dialect(&self) -> Dialect {
        Dialect(self.backend)
    }

    /// The table of merged cards, beside the table of cards.
    #[must_use]
    pub fn log_table(&self) -> TableName {
        self.beside(LOG)
    }

    /// Returns the columns of a table of the repair; None if it does not exist.
    pub(crate) fn own(&self, name: &str) -> Option<&[String]> {
        self.own.iter().find(|(own, _)| same(own, name)).map(|(_, columns)| columns.as_slice())
    }

    /// Whether the tables are there in which a repair logs what it changes in rows.
    pub(crate) fn logs_rows(&self) -> bool {
        self.log.is_some() && self.own(SURVIVORS).is_some() && self.own(CHANGES).is_some()
    }

    /// A table beside the table of cards.
    pub(crate) fn beside(&self, name: &str) -> TableName {
        TableName { schema: self.table.schema.clone(), name: name.to_owned() }
    }

    /// The keys to remove.
    pub fn old_keys(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(|key| key.is_old())
    }

    /// The right key, if it works.
    #[must_use]
    pub fn new_key(&self) -> Option<&Key> {
        self.keys.iter().find(|key| key.is_new() && key.valid)
    }

    /// Whether the table has this column.
    #[must_use]
    pub fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|have| same(&have.name, column))
    }

    /// References that need one of the old keys to stay: those to exactly its columns.
    pub fn references_to_old_key(&self) -> impl Iterator<Item = &Reference> {
        self.references.iter().filter(|reference| {
            let cards: Vec<String> = reference.columns.iter().map(|(_, card)| card.clone()).collect();
            same_set(&cards, &OLD_KEY_COLUMNS)
        })
    }

    /// The foreign keys that have an old key for their index and, without it, no other. Only MySQL and
    /// MariaDB ask for one.
    #[must_use]
    pub fn leaning_on_old_key(&self) -> Vec<&ForeignKey> {
        if self.backend != DbBackend::MySql {
            return Vec::new();
        }
        let leans = |foreign: &&ForeignKey| {
            self.old_keys().any(|key| key.leads_with(&foreign.columns))
                && !self.keys.iter().any(|key| !key.is_old() && key.leads_with(&foreign.columns))
        };
        self.foreign_keys.iter().filter(leans).collect()
    }
}

/// What was found in a database.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// The structure.
    pub state: TableState,
    /// The numbers.
    pub figures: Figures,
}

/// Reads the state of the database that this connection is of.
///
/// # Errors
/// When the table of cards is not there, or the database refuses.
pub async fn inspect(connection: &impl ConnectionTrait) -> Result<Inspection, RepairError> {
    let mut state = read_state(connection).await?;
    state.spelling = spelling::read(connection, &state).await?;
    let figures = figures::read(connection, &state).await?;
    Ok(Inspection { state, figures })
}

pub(crate) async fn read_state(connection: &impl ConnectionTrait) -> Result<TableState, RepairError> {
    let state = match dialect(connection).0 {
        DbBackend::MySql => mysql::read(connection).await?,
        DbBackend::Postgres => postgres::read(connection).await?,
        _ => sqlite::read(connection).await?,
    };
    let needed = ["id", "purchase_id", "subject_id", "test_number"];
    let missing: Vec<_> =
        needed.iter().filter(|name| !state.has(name)).map(|name| (*name).to_owned()).collect();
    if !missing.is_empty() {
        return Err(RepairError::MissingColumns(missing));
    }
    let id_is_unique = |key: &Key| key.unique && !key.partial && same_set(&key.columns, &["id"]);
    if !state.keys.iter().any(id_is_unique) {
        return Err(RepairError::Unsupported(format!("`{CARDS}`.`id` is not the primary key of its table")));
    }
    Ok(state)
}

/// Makes a reference from the names of the columns, if there is no foreign key.
fn by_name(table: TableName, table_columns: Vec<Column>, table_keys: Vec<Key>) -> Option<Reference> {
    children::refers_by_name(&table_columns).then(|| Reference {
        table,
        constraint: String::new(),
        columns: vec![(children::CARD.to_owned(), "id".to_owned())],
        table_columns,
        table_keys,
    })
}

fn names(columns: Vec<Column>) -> Vec<String> {
    columns.into_iter().map(|column| column.name).collect()
}

/// Whether these are the columns of the new schema's table of that name.
fn are_entitlements(columns: &[Column]) -> bool {
    ["purchase_id", "subject_id", "test_cards"]
        .iter()
        .all(|wanted| columns.iter().any(|column| same(&column.name, wanted)))
}

/// Gathers rows of (index, column) into keys.
#[derive(Default)]
struct KeyRows(Vec<Key>);

impl KeyRows {
    fn add(&mut self, key: Key, column: Option<String>) {
        let column = column.unwrap_or_default();
        match self.0.last_mut() {
            Some(last) if last.name == key.name => {
                last.partial |= key.partial;
                last.columns.push(column);
            }
            _ => self.0.push(Key { columns: vec![column], ..key }),
        }
    }
}
