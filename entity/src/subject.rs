//! Subjects: what learners buy, with the rules of their tests.

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
    /// The average of all sittings is the grade.
    #[sea_orm(string_value = "average")]
    Average,
}

/// The rule that says when a learner can see the key, the explanations and the marks of each question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(24))")]
pub enum ReviewPolicy {
    /// The learner sees the key, the explanations and the marks after the sitting.
    #[sea_orm(string_value = "after_sitting")]
    AfterSitting,
    /// The learner sees the key, the explanations and the marks when no card of the learner for this test has an open
    /// sitting or can still be sat.
    #[sea_orm(string_value = "after_last_attempt")]
    AfterLastAttempt,
    /// The learner never sees the key, the explanations or the marks of each question.
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
    /// A stable name of the subject for imports and exports. Unique in the course if set.
    pub code: Option<String>,
    /// The title of the subject.
    pub name: String,
    /// The price without an offer, in minor units of the course's currency.
    pub list_price: i64,
    /// The price under an offer, in minor units of the course's currency. Null if there is no offer.
    pub offer_price: Option<i64>,
    /// The time when the offer starts. Null if the offer has no start, and if there is no offer.
    pub offer_starts_at: Option<DateTimeUtc>,
    /// The time when the offer ends. Null if the offer has no end, and if there is no offer.
    pub offer_ends_at: Option<DateTimeUtc>,
    /// The number of test cards that a purchase creates, from 1 to 1000.
    pub total_mock_tests: i32,
    /// The number of attempts allowed for each card.
    pub max_attempts: i32,
    /// Marks for a correct answer, in hundredths. A change of the marks or of the duration affects only new papers.
    pub marks_correct: i32,
    /// Marks for a wrong answer, in hundredths. Usually negative.
    pub marks_wrong: i32,
    /// Marks for no answer, in hundredths.
    pub marks_unanswered: i32,
    /// The number of questions of a test. If the subject has a blueprint, its parts have this number of questions
    /// together.
    pub questions_per_test: i32,
    /// The duration of a sitting, in seconds.
    pub time_limit_seconds: i32,
    /// The rule that makes one grade from the sittings of a card.
    pub grading_method: GradingMethod,
    /// The rule that says when a learner can see the key, the explanations and the marks.
    pub review_policy: ReviewPolicy,
    /// The number of the row's present state. Each change of the row adds 1.
    pub version: i32,
    /// The time when the subject was archived. Null if it is not archived.
    pub archived_at: Option<DateTimeUtc>,
    /// The time when the subject was created.
    pub created_at: DateTimeUtc,
    /// The course of `course_id`, as a relation.
    #[sea_orm(belongs_to, from = "course_id", to = "id")]
    pub course: BelongsTo<super::course::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
