//! The answers of learners, one row for each slot of a sitting that a saved batch contained. The row stays if the
//! learner takes the answer back.

use sea_orm::entity::prelude::*;

use crate::TestSessionId;

/// A row of `test_answers`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "test_answers")]
pub struct Model {
    /// The sitting to which the answer belongs.
    #[sea_orm(primary_key, auto_increment = false)]
    pub session_id: TestSessionId,
    /// The position of the question in the paper, from 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub slot: i32,
    /// The chosen options as bits: bit n is the option at the author's position n. 0 if no option is chosen.
    pub chosen: i64,
    /// The answer to a numeric question, as an exact decimal number. Null if there is none.
    pub numeric_value: Option<String>,
    /// The answer to a short-answer question, as the learner typed it. Null if there is none.
    pub text: Option<String>,
    /// Whether the learner marked the question for review.
    pub flagged: bool,
    /// The time for which the question was shown, in seconds, as the client reports it. Null if the client reported
    /// none.
    pub time_spent_seconds: Option<i32>,
    /// The sequence number of the batch that set the answer.
    pub sequence: i32,
    /// The time when the answer was saved.
    pub saved_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
