//! What a learner has answered, slot by slot.

use sea_orm::entity::prelude::*;

use crate::TestSessionId;

/// A row of `test_answers`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "test_answers")]
pub struct Model {
    /// The sitting.
    #[sea_orm(primary_key, auto_increment = false)]
    pub session_id: TestSessionId,
    /// The question's place in the paper, from 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub slot: i32,
    /// The chosen options as bits: bit n is the option at the author's position n. 0 for none.
    pub chosen: i64,
    /// The number that was given, an exact decimal number.
    pub numeric_value: Option<String>,
    /// Marked for another look.
    pub flagged: bool,
    /// How long the question was shown, as the client says.
    pub time_spent_seconds: Option<i32>,
    /// The number of the batch that set it.
    pub sequence: i32,
    /// When it was saved.
    pub saved_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
