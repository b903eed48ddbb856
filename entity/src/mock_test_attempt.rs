//! Cards: the numbered mock tests that a purchase grants.

use sea_orm::entity::prelude::*;

use crate::{MockTestAttemptId, PurchaseId, SubjectId, UserId};

/// The status of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum CardStatus {
    /// No sitting of the card was started yet.
    #[sea_orm(string_value = "available")]
    Available,
    /// A sitting of the card is open.
    #[sea_orm(string_value = "in_progress")]
    InProgress,
    /// At least one sitting has ended, and attempts are left.
    #[sea_orm(string_value = "completed")]
    Completed,
    /// All attempts of the card are used, and no sitting is open.
    #[sea_orm(string_value = "exhausted")]
    Exhausted,
}

/// A row of `mock_test_attempts`, which is a card.
///
/// UNIQUE `unique_test_per_purchase_subject` (purchase_id, subject_id, test_number). The pair (purchase_id, subject_id)
/// refers to the entitlement. Scores are in hundredths of a mark, and percentages in hundredths of a per cent.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mock_test_attempts")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: MockTestAttemptId,
    /// The purchase that granted the card.
    pub purchase_id: PurchaseId,
    /// The owner of the card.
    pub user_id: UserId,
    /// The subject of the test.
    pub subject_id: SubjectId,
    /// The number of the test in its subject, from 1 to 1000.
    pub test_number: i32,
    /// The status of the card.
    pub status: CardStatus,
    /// The maximum number of attempts.
    pub max_attempts: i32,
    /// The number of attempts that are used.
    pub attempts_used: i32,
    /// The time when the latest sitting started. Null before the first sitting.
    pub latest_attempt_at: Option<DateTimeUtc>,
    /// The score of the latest scored sitting. Null before a sitting was scored.
    pub latest_score: Option<i32>,
    /// The percentage of the latest scored sitting. Null before a sitting was scored.
    pub latest_percentage: Option<i32>,
    /// The score of the first scored sitting. Null before a sitting was scored.
    pub first_score: Option<i32>,
    /// The highest score of all scored sittings. Null before a sitting was scored.
    pub best_score: Option<i32>,
}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// Finds the cards of this user.
    #[must_use]
    pub fn of(owner: UserId) -> Select<Self> {
        Self::find().filter(Column::UserId.eq(owner))
    }
}
