//! Allowances: extra time and attempts for all cards of a learner, of a subject or of a course. An allowance can also
//! be for one learner in one subject or course.
//!
//! An allowance is one row, which new sittings and new cards read. The allowance is applied to existing cards and open
//! sittings learner by learner, each in a transaction of its own ([`apply`]). So a grant for a subject locks no learner
//! for long. A grant that was interrupted continues when it is repeated.

mod apply;
mod grant;
mod read;

use jishu_entity::{CourseId, SubjectId, UserId, allowance};

use super::card_limits::{MAX_ATTEMPTS_PER_CARD, MAX_EXTRA_SECONDS};
use super::reason;
use crate::error::Refusal;

pub use grant::grant;
pub use read::{AllowanceFilter, count, page};
pub(crate) use read::{extra_seconds_by_subject, raise_new_cards, share_subject};

/// The cards that an allowance is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AllowanceScope {
    /// The learner whose cards are in the scope. None for all learners.
    pub user: Option<UserId>,
    /// The subject or the course whose cards are in the scope. None for all subjects.
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
    /// Returns the scope as the text that is stored. A unique key over this text refuses a second allowance of the same
    /// scope.
    fn text(self) -> String {
        let user = self.user.map(|id| format!("user:{id}"));
        let place = self.place.map(|place| match place {
            AllowancePlace::Subject(id) => format!("subject:{id}"),
            AllowancePlace::Course(id) => format!("course:{id}"),
        });
        [user, place].into_iter().flatten().collect::<Vec<_>>().join("/")
    }

    /// Returns the stored texts of the five scopes that contain the cards of a user in a subject. [`SCOPES_OF_CARD`]
    /// has the same texts as SQL.
    pub(crate) fn texts_of(user: UserId, subject: SubjectId, course: CourseId) -> [String; 5] {
        let places = [AllowancePlace::Subject(subject), AllowancePlace::Course(course)];
        let [subject, course] = places.map(Some);
        [(Some(user), None), (Some(user), subject), (Some(user), course), (None, subject), (None, course)]
            .map(|(user, place)| Self { user, place }.text())
    }
}

/// The stored texts of the five scopes that contain the cards of a user in the subject `s` of the course `c`, as SQL.
/// Each parameter is the id of the user.
pub(crate) const SCOPES_OF_CARD: &str = "'user:' || ?, 'user:' || ? || '/subject:' || s.id, \
    'user:' || ? || '/course:' || c.id, 'subject:' || s.id, 'course:' || c.id";

/// A request to grant an allowance. The new allowance replaces the previous one of its scope as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowanceRequest {
    /// The cards that the allowance is for.
    pub scope: AllowanceScope,
    /// Extra seconds for each sitting, 0 to [`MAX_EXTRA_SECONDS`]. None and 0 give no extra time.
    pub extra_seconds: Option<i32>,
    /// Maximum number of attempts of each card, 1 to [`MAX_ATTEMPTS_PER_CARD`]. None leaves the attempts of the cards
    /// as they are.
    pub max_attempts: Option<i32>,
    /// The reason of the grant. None and a blank text store no reason.
    pub reason: Option<String>,
}

/// A reason to refuse an allowance. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum AllowanceRefusal {
    /// The scope names no learner, subject or course.
    #[error("Give at least one of a learner, a subject and a course.")]
    NoScope,
    /// The scope has both a subject and a course.
    #[error("A subject and a course are both given. Leave out one of them.")]
    TwoPlaces,
    /// Neither extra time nor attempts are given.
    #[error("Give extra time, a number of attempts, or both.")]
    NothingGranted,
    /// The extra time is negative or too long.
    #[error("The extra time of a sitting must be 0 to {MAX_EXTRA_SECONDS} seconds.")]
    SecondsOutOfRange,
    /// The number of attempts is less than 1 or too great.
    #[error("The number of attempts of a card must be 1 to {MAX_ATTEMPTS_PER_CARD}.")]
    AttemptsOutOfRange,
    /// The reason is too long, has characters that a reason cannot have, or has only invisible characters. A reason of
    /// only spaces counts as none.
    #[error("Leave out the reason, or give {}.", reason::rule())]
    Reason,
    /// No account has the id of the learner.
    #[error("There is no such account.")]
    UserNotFound,
    /// No subject has the id in the scope.
    #[error("There is no such subject.")]
    SubjectNotFound,
    /// No course has the id in the scope.
    #[error("There is no such course.")]
    CourseNotFound,
}

impl Refusal for AllowanceRefusal {}

/// The result of a grant: the stored allowance, and the changes of cards and sittings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The allowance as it is stored now.
    pub allowance: allowance::Model,
    /// The changes of cards and sittings by this call.
    pub changes: AppliedChanges,
}

/// The numbers of cards and sittings that one call changed, and of sittings and learners that it left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppliedChanges {
    /// Number of open sittings that got a later deadline.
    pub extended_sittings: u64,
    /// Number of open sittings whose deadline was not extended, because it has passed.
    pub overdue_sittings: u64,
    /// Number of cards that got more attempts.
    pub raised_cards: u64,
    /// Number of learners to whom this call did not apply the allowance, because the call had taken too long or the
    /// database failed. A repeated call continues with these learners. 1 if the database failed before the learners
    /// were counted.
    pub remaining_learners: u64,
}

impl AppliedChanges {
    /// Returns whether a card or an open sitting was changed.
    fn is_any(self) -> bool {
        self.extended_sittings + self.raised_cards > 0
    }

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
