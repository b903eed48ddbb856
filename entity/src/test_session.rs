//! Sittings: each row is one time that a learner takes the test of a card.

use sea_orm::entity::prelude::*;

use crate::entitlement::EntitlementEnd;
use crate::{MockTestAttemptId, PaperId, SubjectId, TestSessionId, UserId};

/// The status of a sitting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum SessionStatus {
    /// The sitting is open. Answers can be saved until the deadline and the grace time are over.
    #[sea_orm(string_value = "in_progress")]
    InProgress,
    /// The learner submitted the sitting.
    #[sea_orm(string_value = "submitted")]
    Submitted,
    /// The server closed the sitting, because the deadline passed, the entitlement ended or the account was deleted.
    /// The learner had saved answers, which are scored.
    #[sea_orm(string_value = "auto_submitted")]
    AutoSubmitted,
    /// The server closed the sitting for one of the same reasons, and the learner had saved no answer. The sitting is
    /// scored, too.
    #[sea_orm(string_value = "abandoned")]
    Abandoned,
}

/// A row of `test_sessions`, which is a sitting.
///
/// UNIQUE (mock_test_attempt_id, attempt_number). UNIQUE (mock_test_attempt_id, open_marker) refuses a second open
/// sitting of a card. UNIQUE (paper_id, user_id, ranked) refuses a second ranked sitting of a learner for a paper.
/// Scores are in hundredths of a mark, and percentages in hundredths of a per cent. The columns of the result are null
/// while the sitting is open.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "test_sessions")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: TestSessionId,
    /// The card of the test.
    pub mock_test_attempt_id: MockTestAttemptId,
    /// The learner who takes the test.
    pub user_id: UserId,
    /// The subject of the card.
    pub subject_id: SubjectId,
    /// The paper whose questions the sitting asks.
    pub paper_id: PaperId,
    /// The revision of the paper when the sitting started. It decides which key scores the sitting.
    pub paper_revision: i32,
    /// The number of the sitting among the sittings of its card, from 1.
    pub attempt_number: i32,
    /// The seed of the random order in which the sitting shows options.
    pub seed: i64,
    /// The status of the sitting.
    pub status: SessionStatus,
    /// 1 while the sitting is open, and null afterwards.
    pub open_marker: Option<i32>,
    /// 1 if this sitting counts for the ranking of the paper, because it is the learner's first scored sitting of the
    /// paper. Otherwise null.
    pub ranked: Option<i32>,
    /// The time when the sitting started.
    pub started_at: DateTimeUtc,
    /// The deadline of the sitting.
    pub expires_at: DateTimeUtc,
    /// The time when the sitting ended, never after the deadline. Null while the sitting is open.
    pub submitted_at: Option<DateTimeUtc>,
    /// The reason why the entitlement ended, if this end closed the sitting or set the deadline at which the sitting
    /// was closed. Null in all other cases, and while the sitting is open.
    pub end_reason: Option<EntitlementEnd>,
    /// The marks of the sitting.
    pub score: Option<i32>,
    /// The maximum marks of the paper.
    pub max_score: Option<i32>,
    /// The marks as a percentage of the maximum. Negative if the marks are negative.
    pub percentage: Option<i32>,
    /// The number of correct answers.
    pub correct: Option<i32>,
    /// The number of wrong answers.
    pub wrong: Option<i32>,
    /// The number of questions without an answer.
    pub unanswered: Option<i32>,
    /// The time from the start to the end of the sitting, in seconds.
    pub time_taken_seconds: Option<i32>,
    /// The number of saved batches, counted only if the database is a cluster of several nodes. There each save changes
    /// this row, so that it conflicts with the end of the sitting on another cluster node. 0 for any other database.
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
