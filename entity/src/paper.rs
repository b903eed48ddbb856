//! Papers: each row is the list of questions of one test of a subject. All learners get the same paper.

use sea_orm::entity::prelude::*;

use crate::{PaperId, SubjectId};

/// A row of `papers`. UNIQUE (subject_id, test_number). A paper is created when the first learner starts the test.
/// Afterwards only `revision` changes. `jishu adopt` creates other papers, for sittings of the old system.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "papers")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: PaperId,
    /// The subject of the test.
    pub subject_id: SubjectId,
    /// The number of the test. All cards of the test have this number. A paper for sittings of the old system has a
    /// number from 1,000,000 on, which no card has.
    pub test_number: i32,
    /// The seed of the random choice between equally suitable questions.
    pub seed: i64,
    /// Marks for a correct answer, in hundredths.
    pub marks_correct: i32,
    /// Marks for a wrong answer, in hundredths. Usually negative.
    pub marks_wrong: i32,
    /// Marks for no answer, in hundredths.
    pub marks_unanswered: i32,
    /// The duration of a sitting, in seconds.
    pub time_limit_seconds: i32,
    /// The revision that new sittings use, from 1. Each correction of a key creates the next revision.
    pub revision: i32,
    /// The time when the paper was created.
    pub created_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
