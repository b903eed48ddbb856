//! Inspects a database: reads its structure and counts its problems.

mod catalogue;
mod child;
mod duplicates;
mod figures;
mod finding;
mod load;
mod question_figures;
mod rows;
mod score_queries;
mod sitting_figures;
mod sitting_queries;
mod sitting_table;
mod spelling;
mod state;
mod table;

use std::time::Duration;

use sea_orm::ConnectionTrait;

use crate::error::{ErrorCause, RepairError};
use crate::session::RepairSession;

pub(crate) use catalogue::read_state;
pub(crate) use child::{ChildTable, keep};
pub use figures::Figures;
pub use finding::Finding;
pub(crate) use load::{CardSelection, ids_as_parameters, load, load_statements, with_ids};
pub(crate) use rows::{CardGroup, CardRow, SittingRow, SittingSummary};
pub use sitting_figures::SittingFigures;
pub(crate) use sitting_table::SittingTable;
pub use spelling::StatusSpelling;
pub use state::TableState;
pub(crate) use table::self_setting;
pub use table::{CardForeignKey, CardReference, SqliteDefinition, TableColumn, TableKey};

/// Maximum number of times that an inspection is tried while another session locks the table.
const MAX_INSPECTION_ATTEMPTS: u32 = 31;
/// The pause between two tries of an inspection.
const INSPECTION_RETRY_PAUSE: Duration = Duration::from_millis(500);

/// The result of an inspection.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// The structure of the tables.
    pub state: TableState,
    /// The counts of the problems.
    pub figures: Figures,
}

/// Inspects the database of this connection.
///
/// # Errors
/// Fails if the table of cards does not exist or cannot be repaired, or the database reports an error.
pub async fn inspect(connection: &impl ConnectionTrait) -> Result<Inspection, RepairError> {
    let state = catalogue::read_state_with_spelling(connection).await?;
    let figures = figures::read(connection, &state).await?;
    Ok(Inspection { state, figures })
}

impl RepairSession {
    /// Inspects the database. If another session locks the table, the inspection is tried again for about 15 seconds.
    ///
    /// # Errors
    /// Fails if the table of cards does not exist or cannot be repaired, or the database reports an error.
    pub async fn inspect(&self) -> Result<Inspection, RepairError> {
        for _ in 1..MAX_INSPECTION_ATTEMPTS {
            match inspect(&self.connection).await {
                Err(RepairError::Database(error)) if ErrorCause::of(&error) == ErrorCause::Locked => {
                    tracing::debug!(%error, "the table is locked, inspecting again");
                    tokio::time::sleep(INSPECTION_RETRY_PAUSE).await;
                }
                result => return result,
            }
        }
        inspect(&self.connection).await
    }
}
