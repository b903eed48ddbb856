//! Reads the structure of the tables from the catalogue of each database.

mod mysql;
mod postgres;
mod shared;
mod sqlite;
mod status_words;

use sea_orm::{ConnectionTrait, DbBackend};

use super::state::TableState;
use super::table::TableKey;
use crate::error::RepairError;
use crate::names::CARD_TABLE;
use crate::sql::{dialect, same_set};

/// The columns without which the table of cards cannot be inspected.
const REQUIRED_CARD_COLUMNS: [&str; 4] = ["id", "purchase_id", "subject_id", "test_number"];

/// Reads the structure of the tables, and the spelling of their statuses.
pub(super) async fn read_state_with_spelling(
    connection: &impl ConnectionTrait,
) -> Result<TableState, RepairError> {
    let mut state = read_state(connection).await?;
    status_words::read(connection, &mut state).await?;
    Ok(state)
}

/// Reads the structure of the table of cards and of the tables that refer to it. Does not read how the database spells
/// the words of its statuses: the spellings stay at their defaults. Fails if the table of cards lacks a required
/// column, or if its `id` is not unique.
pub(crate) async fn read_state(connection: &impl ConnectionTrait) -> Result<TableState, RepairError> {
    let state = match dialect(connection).0 {
        DbBackend::MySql => mysql::read(connection).await?,
        DbBackend::Postgres => postgres::read(connection).await?,
        _ => sqlite::read(connection).await?,
    };
    let missing: Vec<_> =
        REQUIRED_CARD_COLUMNS.iter().filter(|name| !state.has(name)).map(|name| (*name).to_owned()).collect();
    if !missing.is_empty() {
        return Err(RepairError::MissingColumns(missing));
    }
    let id_is_unique = |key: &TableKey| key.unique && !key.partial && same_set(&key.columns, &["id"]);
    if !state.keys.iter().any(id_is_unique) {
        return Err(RepairError::Unsupported(format!(
            "`{CARD_TABLE}`.`id` is not the primary key of its table. Make it the primary key"
        )));
    }
    Ok(state)
}
