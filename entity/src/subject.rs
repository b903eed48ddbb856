//! Subjects: what is bought, and how many test cards it gives.

use sea_orm::entity::prelude::*;

use crate::{CourseId, SubjectId};

/// Which sitting of a test card counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum GradingMethod {
    /// The latest.
    #[sea_orm(string_value = "latest")]
    Latest,
    /// The one with the most marks.
    #[sea_orm(string_value = "highest")]
    Highest,
    /// The first.
    #[sea_orm(string_value = "first")]
    First,
    /// The average of all.
    #[sea_orm(string_value = "average")]
    Average,
}

/// When a learner is shown the key, the explanations and the marks of single questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(24))")]
pub enum ReviewPolicy {
    /// As soon as the sitting is over.
    #[sea_orm(string_value = "after_sitting")]
    AfterSitting,
    /// Once every attempt of the card is used and over.
    #[sea_orm(string_value = "after_last_attempt")]
    AfterLastAttempt,
    /// Never.
    #[sea_orm(string_value = "never")]
    Never,
}

/// A row of `subjects`. Archived, never deleted.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "subjects")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: SubjectId,
    /// The course it belongs to.
    pub course_id: CourseId,
    /// A stable name for imports; unique in the course where set.
    pub code: Option<String>,
    /// The title.
    pub name: String,
    /// The price without an offer, in minor units of the course's currency.
    pub list_price: i64,
    /// The price under an offer, in minor units.
    pub offer_price: Option<i64>,
    /// When the offer ends; null while it has no end.
    pub offer_ends_at: Option<DateTimeUtc>,
    /// How many test cards a purchase creates: 1 to 1000.
    pub total_mock_tests: i32,
    /// How often each card may be sat.
    pub max_attempts: i32,
    /// Hundredths of a mark for a correct answer: of tests whose paper is still to be made.
    pub marks_correct: i32,
    /// Hundredths of a mark for a wrong answer; mostly negative.
    pub marks_wrong: i32,
    /// Hundredths of a mark for no answer.
    pub marks_unanswered: i32,
    /// How many questions a test has, where the subject has no blueprint.
    pub questions_per_test: i32,
    /// How long a sitting takes.
    pub time_limit_seconds: i32,
    /// Which sitting of a card counts.
    pub grading_method: GradingMethod,
    /// When the key is shown.
    pub review_policy: ReviewPolicy,
    /// When it left the catalogue.
    pub archived_at: Option<DateTimeUtc>,
    /// When it was created.
    pub created_at: DateTimeUtc,
    /// The course it belongs to.
    #[sea_orm(belongs_to, from = "course_id", to = "id")]
    pub course: BelongsTo<super::course::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
