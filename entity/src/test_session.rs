//! Sittings: one learner at one card, once.

use sea_orm::entity::prelude::*;

use crate::{MockTestAttemptId, PaperId, SubjectId, TestSessionId, UserId};

/// How far a sitting is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum SessionStatus {
    /// Answers are saved until the deadline.
    #[sea_orm(string_value = "in_progress")]
    InProgress,
    /// The learner ended it.
    #[sea_orm(string_value = "submitted")]
    Submitted,
    /// Its deadline passed, and what was saved was scored.
    #[sea_orm(string_value = "auto_submitted")]
    AutoSubmitted,
    /// Its deadline passed, and nothing had been answered. Scored like the others.
    #[sea_orm(string_value = "abandoned")]
    Abandoned,
}

/// A row of `test_sessions`.
///
/// UNIQUE (mock_test_attempt_id, attempt_number); UNIQUE (mock_test_attempt_id, open_marker): the database refuses a
/// second open sitting of a card; UNIQUE (paper_id, user_id, ranked). Scores are in hundredths of a mark, percentages
/// in hundredths of a per cent; both are null until it is over.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "test_sessions")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: TestSessionId,
    /// The card.
    pub mock_test_attempt_id: MockTestAttemptId,
    /// Who sits.
    pub user_id: UserId,
    /// The subject of the card.
    pub subject_id: SubjectId,
    /// What is asked.
    pub paper_id: PaperId,
    /// The revision of the paper. It decides the key, from the start of the sitting on.
    pub paper_revision: i32,
    /// Which sitting of the card, from 1.
    pub attempt_number: i32,
    /// Decides the order in which the options are shown.
    pub seed: i64,
    /// How far it is.
    pub status: SessionStatus,
    /// 1 while it is open, null after.
    pub open_marker: Option<i32>,
    /// 1 where it stands for the learner among those who sat the paper: their first scored sitting of it. Else null.
    pub ranked: Option<i32>,
    /// When it began.
    pub started_at: DateTimeUtc,
    /// Its deadline.
    pub expires_at: DateTimeUtc,
    /// When it ended: never after the deadline. Null while it is open.
    pub submitted_at: Option<DateTimeUtc>,
    /// The marks.
    pub score: Option<i32>,
    /// The most marks that could be had.
    pub max_score: Option<i32>,
    /// The marks in per cent of the most; negative where the marks are.
    pub percentage: Option<i32>,
    /// How many questions were answered correctly.
    pub correct: Option<i32>,
    /// How many were answered wrongly.
    pub wrong: Option<i32>,
    /// How many were not answered.
    pub unanswered: Option<i32>,
    /// From its start to its end, in seconds.
    pub time_taken_seconds: Option<i32>,
    /// How many batches were saved through a cluster of several nodes: there a save writes this row, so that the end of
    /// the sitting on another node and a save that it has not seen refuse each other. 0 elsewhere.
    pub saves: i32,
}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// The sittings of this user.
    #[must_use]
    pub fn of(owner: UserId) -> Select<Self> {
        Self::find().filter(Column::UserId.eq(owner))
    }
}
