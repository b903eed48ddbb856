//! Subjects: the units that are sold, with the rules of their tests.

use sea_orm::entity::prelude::*;

use crate::{CourseId, SubjectId};

/// The rule that makes one grade from the sittings of a test card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum GradingMethod {
    /// The latest sitting counts.
    #[sea_orm(string_value = "latest")]
    Latest,
    /// The sitting with the most marks counts.
    #[sea_orm(string_value = "highest")]
    Highest,
    /// The first sitting counts.
    #[sea_orm(string_value = "first")]
    First,
    /// The average of all sittings counts.
    #[sea_orm(string_value = "average")]
    Average,
}

/// When a learner can see the key, the explanations and the marks of each question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(24))")]
pub enum ReviewPolicy {
    /// After the sitting.
    #[sea_orm(string_value = "after_sitting")]
    AfterSitting,
    /// After the last attempt of the card.
    #[sea_orm(string_value = "after_last_attempt")]
    AfterLastAttempt,
    /// Learners never see the key.
    #[sea_orm(string_value = "never")]
    Never,
}

/// A row of `subjects`. Rows are archived and never deleted.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "subjects")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: SubjectId,
    /// The course of the subject.
    pub course_id: CourseId,
    /// A stable name for imports. Unique in the course if set.
    pub code: Option<String>,
    /// The title.
    pub name: String,
    /// The price without an offer, in minor units of the course's currency.
    pub list_price: i64,
    /// The price under an offer, in minor units.
    pub offer_price: Option<i64>,
    /// The time when the offer starts. Null if the offer has no start.
    pub offer_starts_at: Option<DateTimeUtc>,
    /// The time when the offer ends. Null if the offer has no end.
    pub offer_ends_at: Option<DateTimeUtc>,
    /// The number of test cards that a purchase creates, from 1 to 1000.
    pub total_mock_tests: i32,
    /// The number of attempts allowed for each card.
    pub max_attempts: i32,
    /// Marks for a correct answer, in hundredths. Only new papers use the marks and the duration.
    pub marks_correct: i32,
    /// Marks for a wrong answer, in hundredths. Usually negative.
    pub marks_wrong: i32,
    /// Marks for no answer, in hundredths.
    pub marks_unanswered: i32,
    /// The number of questions of a test, if the subject has no blueprint.
    pub questions_per_test: i32,
    /// The duration of a sitting.
    pub time_limit_seconds: i32,
    /// The method by which the sittings of a card are graded.
    pub grading_method: GradingMethod,
    /// The moment from which learners can see the key.
    pub review_policy: ReviewPolicy,
    /// The number of the row's present state. Each change adds 1.
    pub version: i32,
    /// The time when the subject was archived.
    pub archived_at: Option<DateTimeUtc>,
    /// The time when the subject was created.
    pub created_at: DateTimeUtc,
    /// The course as a relation.
    #[sea_orm(belongs_to, from = "course_id", to = "id")]
    pub course: BelongsTo<super::course::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
