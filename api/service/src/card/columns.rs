//! Selects the columns of a page of cards, and reads the cards from the rows by position.

use jishu_entity::UserId;
use jishu_entity::mock_test_attempt::{Column, Entity, Model};
use sea_orm::{DbErr, QueryResult, QuerySelect, Select};

/// The set of columns that is read for a page of cards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardColumns {
    /// All columns.
    All,
    /// All columns except the results of sittings, which are None in the cards.
    WithoutResults,
}

/// The columns that are always read. The user is not among them, because the caller has the owner's id.
const ALWAYS: [Column; 7] = [
    Column::Id,
    Column::PurchaseId,
    Column::SubjectId,
    Column::TestNumber,
    Column::Status,
    Column::MaxAttempts,
    Column::AttemptsUsed,
];

/// The columns with the results of sittings, in the order in which [`CardColumns::read`] reads them.
const RESULTS: [Column; 5] = [
    Column::LatestAttemptAt,
    Column::LatestScore,
    Column::LatestPercentage,
    Column::FirstScore,
    Column::BestScore,
];

impl CardColumns {
    /// Restricts a query to these columns, in the order in which [`CardColumns::read`] reads them.
    pub(super) fn select(self, cards: Select<Entity>) -> Select<Entity> {
        let cards = cards.select_only().columns(ALWAYS);
        match self {
            Self::All => cards.columns(RESULTS),
            Self::WithoutResults => cards,
        }
    }

    /// Reads a card of `owner` from a row of [`CardColumns::select`]. Columns are read by position, which is faster
    /// than by name.
    pub(super) fn read(self, row: &QueryResult, owner: UserId) -> Result<Model, DbErr> {
        let mut card = Model {
            id: row.try_get_by_index(0)?,
            purchase_id: row.try_get_by_index(1)?,
            user_id: owner,
            subject_id: row.try_get_by_index(2)?,
            test_number: row.try_get_by_index(3)?,
            status: row.try_get_by_index(4)?,
            max_attempts: row.try_get_by_index(5)?,
            attempts_used: row.try_get_by_index(6)?,
            latest_attempt_at: None,
            latest_score: None,
            latest_percentage: None,
            first_score: None,
            best_score: None,
        };
        if self == Self::All {
            card.latest_attempt_at = row.try_get_by_index(7)?;
            card.latest_score = row.try_get_by_index(8)?;
            card.latest_percentage = row.try_get_by_index(9)?;
            card.first_score = row.try_get_by_index(10)?;
            card.best_score = row.try_get_by_index(11)?;
        }
        Ok(card)
    }
}
