//! Sittings.

use async_graphql::Enum;
use jishu_entity::test_session::SessionStatus;

/// How far a sitting is.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "SessionStatus")]
pub(in crate::graphql) enum TestSessionStatus {
    /// Answers are saved until the deadline.
    InProgress,
    /// The learner ended it.
    Submitted,
    /// Its deadline passed, and the server scored what was saved.
    AutoSubmitted,
    /// Its deadline passed, and nothing had been answered.
    Abandoned,
}
