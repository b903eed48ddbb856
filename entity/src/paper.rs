//! Papers: the questions of the test of one number of a subject, the same for everybody.

use sea_orm::entity::prelude::*;

use crate::{PaperId, SubjectId};

/// A row of `papers`. UNIQUE (subject_id, test_number). Made at the first start of such a test. Of its columns
/// only `revision` ever changes.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "papers")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: PaperId,
    /// The subject.
    pub subject_id: SubjectId,
    /// The number of its cards.
    pub test_number: i32,
    /// What decided between questions that the blueprint likes as well.
    pub seed: i64,
    /// Hundredths of a mark for a correct answer.
    pub marks_correct: i32,
    /// Hundredths of a mark for a wrong answer; mostly negative.
    pub marks_wrong: i32,
    /// Hundredths of a mark for no answer.
    pub marks_unanswered: i32,
    /// How long a sitting takes.
    pub time_limit_seconds: i32,
    /// The revision that new sittings take, from 1. Each correction of a key makes another one.
    pub revision: i32,
    /// When it was made.
    pub created_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
