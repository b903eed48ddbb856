//! Allowances: extra time and attempts for all cards of a learner, a subject or a course, or of a learner in one of
//! them.
//!
//! An allowance is one row. New sittings and new cards read it. Cards and open sittings that exist already are brought
//! in line learner by learner, each in a transaction of its own ([`apply`]). So a grant for a subject locks no learner
//! for long, and a grant that was interrupted goes on when it is repeated.

mod apply;
mod grant;
mod read;

use jishu_entity::{CourseId, SubjectId, UserId, allowance};

use super::card_limits::{MAX_ATTEMPTS_PER_CARD, MAX_EXTRA_SECONDS};
use super::reason::MAX_REASON_CHARS;
use crate::error::Refusal;

pub use grant::grant;
pub use read::{AllowanceFilter, count, page};
pub(crate) use read::{extra_seconds_by_subject, raise_new_cards, share_subject};

/// The cards that an allowance is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AllowanceScope {
    /// The learner. None for all learners.
    pub user: Option<UserId>,
    /// The subject or the course. None for all subjects.
    pub place: Option<AllowancePlace>,
}

/// The subject or the course that an allowance is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AllowancePlace {
    /// One subject.
    Subject(SubjectId),
    /// All subjects of a course.
    Course(CourseId),
}

impl AllowanceScope {
    /// Returns the scope as it is stored. A unique key over this text refuses a second row for a scope.
    fn text(self) -> String {
        let user = self.user.map(|id| format!("user:{id}"));
        let place = self.place.map(|place| match place {
            AllowancePlace::Subject(id) => format!("subject:{id}"),
            AllowancePlace::Course(id) => format!("course:{id}"),
        });
        [user, place].into_iter().flatten().collect::<Vec<_>>().join("/")
    }

    /// Returns the stored texts of all scopes that contain the cards of a user in a subject. [`SCOPES_OF_CARD`] has the
    /// same texts as SQL.
    pub(crate) fn texts_of(user: UserId, subject: SubjectId, course: CourseId) -> [String; 5] {
        let places = [AllowancePlace::Subject(subject), AllowancePlace::Course(course)];
        let [subject, course] = places.map(Some);
        [(Some(user), None), (Some(user), subject), (Some(user), course), (None, subject), (None, course)]
            .map(|(user, place)| Self { user, place }.text())
    }
}

/// The stored texts of all scopes that contain the cards of a user in the subject `s` of the course `c`, as SQL. Each
/// parameter is the user.
pub(crate) const SCOPES_OF_CARD: &str = "'user:' || ?, 'user:' || ? || '/subject:' || s.id, \
    'user:' || ? || '/course:' || c.id, 'subject:' || s.id, 'course:' || c.id";

/// A grant for a scope. It replaces the previous grant of the scope as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowanceRequest {
    /// The cards that the allowance is for.
    pub scope: AllowanceScope,
    /// Extra seconds for each sitting, 0 to [`MAX_EXTRA_SECONDS`]. None and 0 grant none.
    pub extra_seconds: Option<i32>,
    /// Number of attempts of each card, 1 to [`MAX_ATTEMPTS_PER_CARD`]. None leaves the cards as they are.
    pub max_attempts: Option<i32>,
    /// The reason.
    pub reason: Option<String>,
}

/// A reason to refuse an allowance. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum AllowanceRefusal {
    /// The scope is everything.
    #[error("Give at least one of a learner, a subject and a course.")]
    NoScope,
    /// The scope has both a subject and a course.
    #[error("Name a subject or a course, not both.")]
    TwoPlaces,
    /// Neither extra time nor attempts are given.
    #[error("Give extra time, a number of attempts, or both.")]
    NothingGranted,
    /// The seconds are out of range.
    #[error("The extra time of a sitting must be 0 to {MAX_EXTRA_SECONDS} seconds.")]
    SecondsOutOfRange,
    /// The attempts are out of range.
    #[error("The attempts of a card must be 1 to {MAX_ATTEMPTS_PER_CARD}.")]
    AttemptsOutOfRange,
    /// The reason is too long.
    #[error("Give a reason of at most {MAX_REASON_CHARS} visible characters.")]
    Reason,
    /// There is no such account.
    #[error("There is no such account.")]
    UserNotFound,
    /// There is no such subject.
    #[error("There is no such subject.")]
    SubjectNotFound,
    /// There is no such course.
    #[error("There is no such course.")]
    CourseNotFound,
}

impl Refusal for AllowanceRefusal {}

/// An allowance after a grant, and what the grant changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The allowance.
    pub allowance: allowance::Model,
    /// The changes by this call.
    pub changes: AppliedChanges,
}

/// The changes of cards and sittings by one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppliedChanges {
    /// Number of open sittings that got a later deadline.
    pub extended_sittings: u64,
    /// Number of open sittings that kept their deadline, because it has passed.
    pub overdue_sittings: u64,
    /// Number of cards that got more attempts.
    pub raised_cards: u64,
    /// Number of learners whose cards were not looked at yet, because the time of the call was over.
    pub remaining_learners: u64,
}

impl AppliedChanges {
    fn and(self, other: Self) -> Self {
        Self {
            extended_sittings: self.extended_sittings + other.extended_sittings,
            overdue_sittings: self.overdue_sittings + other.overdue_sittings,
            raised_cards: self.raised_cards + other.raised_cards,
            remaining_learners: self.remaining_learners + other.remaining_learners,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_one_text() {
        let scope = |user: Option<i64>, place| AllowanceScope { user: user.map(UserId), place }.text();
        assert_eq!(scope(Some(5), None), "user:5");
        assert_eq!(scope(Some(5), Some(AllowancePlace::Subject(SubjectId(3)))), "user:5/subject:3");
        assert_eq!(scope(None, Some(AllowancePlace::Course(CourseId(2)))), "course:2");
        let all = AllowanceScope::texts_of(UserId(5), SubjectId(3), CourseId(2));
        assert_eq!(all, ["user:5", "user:5/subject:3", "user:5/course:2", "subject:3", "course:2"]);
    }
}
