//! Sittings: each row is one attempt of a learner at a card.

use sea_orm::entity::prelude::*;

use crate::entitlement::EntitlementEnd;
use crate::{MockTestAttemptId, PaperId, SubjectId, TestSessionId, UserId};

/// The status of a sitting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum SessionStatus {
    /// The sitting is open. Answers can be saved until the deadline.
    #[sea_orm(string_value = "in_progress")]
    InProgress,
    /// The learner submitted the sitting.
    #[sea_orm(string_value = "submitted")]
    Submitted,
    /// The deadline passed, and the saved answers were scored.
    #[sea_orm(string_value = "auto_submitted")]
    AutoSubmitted,
    /// The deadline passed without an answer. It is scored as well.
    #[sea_orm(string_value = "abandoned")]
    Abandoned,
}

/// A row of `test_sessions`.
///
/// UNIQUE (mock_test_attempt_id, attempt_number). UNIQUE (mock_test_attempt_id, open_marker) refuses a second open
/// sitting of a card. UNIQUE (paper_id, user_id, ranked) refuses a second ranked sitting of a learner. Scores are
/// in hundredths of a mark, and percentages in hundredths of a per cent. Both are null while the sitting is open.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "test_sessions")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: TestSessionId,
    /// The card.
    pub mock_test_attempt_id: MockTestAttemptId,
    /// The learner.
    pub user_id: UserId,
    /// The subject of the card.
    pub subject_id: SubjectId,
    /// The paper.
    pub paper_id: PaperId,
    /// The revision of the paper, fixed at the start of the sitting. It decides the key.
    pub paper_revision: i32,
    /// The attempt number of the sitting on its card, from 1.
    pub attempt_number: i32,
    /// The seed of the order in which options are shown.
    pub seed: i64,
    /// The status of the sitting.
    pub status: SessionStatus,
    /// 1 while the sitting is open, and null afterwards.
    pub open_marker: Option<i32>,
    /// 1 if the ranking of the paper counts this sitting: the learner's first scored sitting of the paper.
    /// Otherwise null.
    pub ranked: Option<i32>,
    /// The start.
    pub started_at: DateTimeUtc,
    /// The deadline.
    pub expires_at: DateTimeUtc,
    /// The end, never after the deadline. Null while the sitting is open.
    pub submitted_at: Option<DateTimeUtc>,
    /// The end of the entitlement that closed the sitting early. Null if the learner or the time limit ended the
    /// sitting, and while it is open.
    pub end_reason: Option<EntitlementEnd>,
    /// The marks scored.
    pub score: Option<i32>,
    /// The maximum marks.
    pub max_score: Option<i32>,
    /// The marks as a percentage of the maximum. Negative if the marks are negative.
    pub percentage: Option<i32>,
    /// The number of correct answers.
    pub correct: Option<i32>,
    /// The number of wrong answers.
    pub wrong: Option<i32>,
    /// The number of questions without an answer.
    pub unanswered: Option<i32>,
    /// The time from the start to the end, in seconds.
    pub time_taken_seconds: Option<i32>,
    /// The number of batches saved in a cluster of several nodes. Each save changes this row, so it conflicts with
    /// the end of the sitting on another node. 0 outside such a cluster.
    pub saves: i32,
}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// Finds the sittings of this user.
    #[must_use]
    pub fn of(owner: UserId) -> Select<Self> {
        Self::find().filter(Column::UserId.eq(owner))
    }
}
