//! The progress of an adoption. The progress is stored in the new database, in the same transactions as the adopted
//! rows.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use serde::{Deserialize, Serialize};

use super::old::{CARRIED_TABLES, OldDatabase, OldTable, TableSize};
use crate::database::{Database, sql};
use crate::error::Fault;

/// The table with the state of the adoption: one row with a JSON object.
pub(crate) const STATE_TABLE: &str = "jishu_adoption";
/// The ledger: the table of the old rows that were merged or not carried, and of remarks about carried rows.
pub(super) const ROWS_TABLE: &str = "jishu_adoption_rows";

/// A key that is smaller than the key of any old row.
pub(super) const BEFORE_ALL_IDS: i64 = i64::MIN + 1;

/// A part of the adoption. The parts run in the order of these variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    Users,
    Courses,
    Subjects,
    Questions,
    Purchases,
    OrphanCards,
    OrphanSittings,
    OrphanAnswers,
    TopicTotals,
    Finish,
    Done,
}

/// The outcome for the rows of one old table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableCounts {
    /// The number of old rows that were read.
    pub read: i64,
    /// The number of old rows from which the adoption made a row of jishu.
    pub carried: i64,
    /// The number of old rows that are part of another row of jishu now.
    pub merged: i64,
    /// The number of old rows that were not carried.
    pub not_carried: i64,
    /// The number of new rows that jishu needs and the old system did not have.
    pub made: i64,
}

/// The sums of the costs of old purchases: of all purchases, of the carried purchases, and of the other purchases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MoneyCounts {
    /// The sum of the costs of all old purchases, in major units.
    pub read: Decimal,
    /// The sum of the costs of the carried purchases, in major units.
    pub carried: Decimal,
    /// The sum of the costs of the purchases that were not carried, in major units.
    pub not_carried: Decimal,
}

/// The options that decide what an adoption writes. They must stay the same when the adoption is continued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AdoptOptions {
    /// The currency of all amounts.
    pub(super) currency: String,
    /// Whether admins of the old system become admins.
    pub(super) admins: bool,
}

/// The state of an adoption.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct AdoptState {
    /// The number of transactions so far. Each transaction checks the stored number, to find out whether another
    /// process has stored a batch of the adoption meanwhile.
    pub(super) step: u64,
    pub(super) phase: Phase,
    /// The key of the last old row that the phase has handled.
    pub(super) after: i64,
    pub(super) options: AdoptOptions,
    /// The sizes of the old tables at the start. If the sizes change, the adoption cannot be continued.
    pub(super) sizes: BTreeMap<String, TableSize>,
    pub(super) counts: BTreeMap<String, TableCounts>,
    money: BTreeMap<String, String>,
    started_micros: i64,
    /// The password hash of accounts that have no usable password. Nobody knows a password for it.
    pub(super) unusable_hash: String,
    /// The id of the next card that the adoption makes in addition to the old cards.
    pub(super) next_card: i64,
    /// The number that the next row of the ledger gets.
    pub(super) next_entry: i64,
    /// The differences that the comparison at the end of the adoption found.
    pub(super) problems: Vec<String>,
}

impl AdoptState {
    pub(super) fn new(
        options: AdoptOptions,
        sizes: BTreeMap<String, TableSize>,
        unusable_hash: String,
        now: DateTime<Utc>,
    ) -> Self {
        let next_card = sizes.get("mock_test_attempts").map_or(0, |size| size.max_id) + 1;
        let counts = CARRIED_TABLES.iter().map(|table| (table.name.to_owned(), TableCounts::default()));
        Self {
            step: 0,
            phase: Phase::Users,
            after: BEFORE_ALL_IDS,
            options,
            counts: counts.collect(),
            sizes,
            money: BTreeMap::new(),
            started_micros: now.timestamp_micros(),
            unusable_hash,
            next_card,
            next_entry: 1,
            problems: Vec::new(),
        }
    }

    /// Returns the time at which the adoption was begun. Rows get this time in place of times that the old system did
    /// not store.
    pub(super) fn started(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.started_micros).unwrap_or_default()
    }

    pub(super) fn counts(&mut self, table: &OldTable) -> &mut TableCounts {
        self.counts.entry(table.name.to_owned()).or_default()
    }

    pub(super) fn size(&self, table: &OldTable) -> TableSize {
        self.sizes.get(table.name).copied().unwrap_or_default()
    }

    pub(super) fn money(&self) -> MoneyCounts {
        let sum = |name: &str| self.money.get(name).and_then(|sum| sum.parse().ok()).unwrap_or_default();
        MoneyCounts { read: sum("read"), carried: sum("carried"), not_carried: sum("notCarried") }
    }

    pub(super) fn set_money(&mut self, money: MoneyCounts) {
        let sums = [("read", money.read), ("carried", money.carried), ("notCarried", money.not_carried)];
        self.money = sums.map(|(name, sum)| (name.to_owned(), sum.to_string())).into();
    }

    pub(super) fn enter(&mut self, phase: Phase) {
        (self.phase, self.after) = (phase, BEFORE_ALL_IDS);
    }

    /// Returns the number of old rows that were handled, and the number of all old rows.
    pub(super) fn progress(&self) -> (i64, i64) {
        let done = self.counts.values().map(|counts| counts.read).sum();
        (done, self.sizes.values().map(|size| size.rows).sum())
    }

    pub(super) fn to_json(&self) -> Result<String, Fault> {
        serde_json::to_string(self).map_err(|error| Fault::Inconsistent(error.to_string()))
    }
}

/// Reads the sizes of the old tables whose rows are carried, by the name of the table.
pub(super) async fn sizes(old: &OldDatabase) -> Result<BTreeMap<String, TableSize>, DbErr> {
    let mut sizes = BTreeMap::new();
    for table in CARRIED_TABLES {
        sizes.insert(table.name.to_owned(), old.size(table).await?);
    }
    Ok(sizes)
}

/// Creates the tables of the adoption, unless they exist.
pub(super) async fn create_tables(database: &Database) -> Result<(), DbErr> {
    let (text, long_text) = match database.backend() {
        DbBackend::MySql => {
            ("text CHARACTER SET utf8mb4 NOT NULL", "longtext CHARACTER SET utf8mb4 NOT NULL")
        }
        _ => ("text NOT NULL", "text NOT NULL"),
    };
    for statement in [
        format!(
            "CREATE TABLE IF NOT EXISTS {STATE_TABLE} (id bigint NOT NULL PRIMARY KEY, step bigint NOT NULL, \
             state {long_text})"
        ),
        format!(
            "CREATE TABLE IF NOT EXISTS {ROWS_TABLE} (old_table varchar(64) NOT NULL, old_id bigint NOT NULL, \
             number bigint NOT NULL, fate varchar(16) NOT NULL, new_id bigint, reason {text}, \
             PRIMARY KEY (old_table, old_id, number))"
        ),
    ] {
        database.writer().execute_unprepared(&statement).await?;
    }
    Ok(())
}

/// Reads the stored state of the adoption. None if no adoption was begun. Fails if this version cannot read the state.
pub(super) async fn read(connection: &impl ConnectionTrait) -> Result<Option<AdoptState>, Fault> {
    if crate::database::columns_of(connection, STATE_TABLE).await?.is_empty() {
        return Ok(None);
    }
    let text = format!("SELECT state FROM {STATE_TABLE} WHERE id = 1");
    let select = sql(connection.get_database_backend(), &text, []);
    let Some(row) = connection.query_one_raw(select).await? else { return Ok(None) };
    let state: String = row.try_get_by_index(0)?;
    let state = serde_json::from_str(&state).map_err(|error| {
        Fault::Inconsistent(format!(
            "the table {STATE_TABLE} has a state of the adoption that this version cannot read: {error}"
        ))
    })?;
    Ok(Some(state))
}
