//! Test cards: the numbered mock tests that a purchase gave.

use sea_orm::entity::prelude::*;

use crate::{MockTestAttemptId, PurchaseId, SubjectId, UserId};

/// What can be done with a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum CardStatus {
    /// Never sat.
    #[sea_orm(string_value = "available")]
    Available,
    /// A sitting is open.
    #[sea_orm(string_value = "in_progress")]
    InProgress,
    /// Sat, and may be sat again.
    #[sea_orm(string_value = "completed")]
    Completed,
    /// Every attempt is used.
    #[sea_orm(string_value = "exhausted")]
    Exhausted,
}

/// A row of `mock_test_attempts`.
///
/// UNIQUE `unique_test_per_purchase_subject` (purchase_id, subject_id, test_number); (purchase_id, subject_id)
/// refers to the entitlement. Scores are in hundredths of a mark, percentages in hundredths of a per cent.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mock_test_attempts")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: MockTestAttemptId,
    /// The purchase that gave it.
    pub purchase_id: PurchaseId,
    /// Whose card.
    pub user_id: UserId,
    /// The subject it tests.
    pub subject_id: SubjectId,
    /// 1 to the subject's `total_mock_tests`.
    pub test_number: i32,
    /// What can be done with it.
    pub status: CardStatus,
    /// How often it may be sat.
    pub max_attempts: i32,
    /// How often it was sat.
    pub attempts_used: i32,
    /// When the latest sitting began.
    pub latest_attempt_at: Option<DateTimeUtc>,
    /// Of the latest scored sitting.
    pub latest_score: Option<i32>,
    /// Of the latest scored sitting.
    pub latest_percentage: Option<i32>,
    /// Of the first scored sitting.
    pub first_score: Option<i32>,
    /// Of the best scored sitting.
    pub best_score: Option<i32>,
}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// The cards of this user.
    #[must_use]
    pub fn of(owner: UserId) -> Select<Self> {
        Self::find().filter(Column::UserId.eq(owner))
    }
}
