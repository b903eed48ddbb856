//! The mutation `grantAllowance`.

use async_graphql::{Context, ID, InputObject, Object};
use graphql_engine::guarded_fields;
use jishu_entity::{CourseId, SubjectId, UserId};

use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, refused_or};
use crate::graphql::node::GlobalKey;
use crate::graphql::permission::{Permission, requires_role};
use crate::graphql::types::{ErrorCode, GrantedAllowance, NO_SUCH_SUBJECT, UserError, user_errors};
use jishu_service::account::Support;
use jishu_service::allowance::{
    self, AllowancePlace, AllowanceRefusal, AllowanceRequest, AllowanceScope, AppliedChanges, Granted,
};

/// Extra time or attempts for all test cards of a scope: a user, a subject, a course, or a user in one subject or
/// course. The allowance replaces the previous allowance of the same scope as a whole, so repeating a completed request
/// changes nothing. Give at least one of `extraSeconds` and `maxAttempts`.
#[derive(InputObject)]
struct GrantAllowanceInput {
    /// The id of the user. If not given, the allowance is for all users, and `subjectId` or `courseId` is required.
    user_id: Option<ID>,
    /// The id of the subject. Do not give both `subjectId` and `courseId`. If neither is given, the allowance is for
    /// the cards of the user in all subjects.
    subject_id: Option<ID>,
    /// The id of the course, for all subjects of the course. Do not give both `subjectId` and `courseId`.
    course_id: Option<ID>,
    /// The extra time for each sitting, in seconds: 0 to 86400. A sitting gets the greatest extra time of its card and
    /// of all allowances that apply to it. If not given or 0, this allowance gives no time to later sittings, and open
    /// sittings keep the deadline that they have.
    extra_seconds: Option<i32>,
    /// The number of attempts that each card has at least: 1 to 1000. Cards with fewer attempts get this number, also
    /// cards that are bought later. No card loses attempts. If not given, the attempts of the cards do not change.
    max_attempts: Option<i32>,
    /// The reason for the allowance: at most 1000 characters. Only SUPPORT and ADMIN can query it. If `userId` is
    /// given, the data that this user can download from `/me/export` contains the reason too.
    reason: Option<String>,
}

/// The response to `grantAllowance`: an allowance, or the reason to refuse.
struct AllowancePayload {
    outcome: Result<Granted, UserError>,
}

/// The response to `grantAllowance`. The numbers show what this request changed, and for how many users it must be
/// repeated.
#[Object]
impl AllowancePayload {
    /// The allowance as it is stored now. Null if the request was refused.
    async fn allowance(&self) -> Option<GrantedAllowance> {
        self.outcome.as_ref().ok().map(|granted| granted.allowance.clone().into())
    }

    /// The number of open sittings whose deadline became later.
    async fn sittings_extended(&self) -> u64 {
        self.changes().extended_sittings
    }

    /// The number of open sittings that should get a later deadline, but whose time was over already. This request did
    /// not extend these sittings, and the server closes them soon.
    async fn sittings_overdue(&self) -> u64 {
        self.changes().overdue_sittings
    }

    /// The number of test cards that got more attempts.
    async fn cards_raised(&self) -> u64 {
        self.changes().raised_cards
    }

    /// The number of users whose cards and open sittings were not changed yet, because the request took too long or
    /// the database failed. Unless this number is 0, send the same request again to continue. If the database failed
    /// before the users were counted, the number is 1.
    async fn users_remaining(&self) -> u64 {
        self.changes().remaining_learners
    }

    /// The reasons why nothing was granted. Empty on success.
    async fn user_errors(&self) -> Vec<&UserError> {
        user_errors(&self.outcome)
    }
}

impl AllowancePayload {
    fn changes(&self) -> AppliedChanges {
        self.outcome.as_ref().map(|granted| granted.changes).unwrap_or_default()
    }
}

#[derive(Default)]
pub(super) struct AllowanceMutation;

#[guarded_fields(requires_role)]
#[Object]
impl AllowanceMutation {
    /// Grants extra time or more attempts to all test cards of a user, a subject or a course, or of a user in one
    /// subject or course. Only for SUPPORT and ADMIN. Open sittings get the time at once, and no deadline moves to an
    /// earlier time. Cards that are bought later get the attempts too, and their sittings get the time. For one card,
    /// use `grantExtraTime`.
    async fn grant_allowance(
        &self,
        ctx: &Context<'_>,
        #[guard] support: Support,
        #[graphql(desc = "The scope of the allowance, and the extra time or the attempts.")]
        input: GrantAllowanceInput,
    ) -> ApiResult<AllowancePayload> {
        let outcome = match scope(&input) {
            Ok(scope) => {
                let GrantAllowanceInput { extra_seconds, max_attempts, reason, .. } = input;
                let request = AllowanceRequest { scope, extra_seconds, max_attempts, reason };
                refused_or(allowance::grant(ctx.services()?, support, request).await)?
            }
            Err(refusal) => Err(refusal),
        };
        Ok(AllowancePayload { outcome: outcome.map_err(UserError::from) })
    }
}

fn scope(input: &GrantAllowanceInput) -> Result<AllowanceScope, AllowanceRefusal> {
    let user = input.user_id.as_ref().map(|id| UserId::parse(id).ok_or(AllowanceRefusal::UserNotFound));
    let place = match (&input.subject_id, &input.course_id) {
        (None, None) => None,
        (Some(id), None) => {
            let id = SubjectId::parse(id).ok_or(AllowanceRefusal::SubjectNotFound)?;
            Some(AllowancePlace::Subject(id))
        }
        (None, Some(id)) => {
            let id = CourseId::parse(id).ok_or(AllowanceRefusal::CourseNotFound)?;
            Some(AllowancePlace::Course(id))
        }
        (Some(_), Some(_)) => return Err(AllowanceRefusal::TwoPlaces),
    };
    Ok(AllowanceScope { user: user.transpose()?, place })
}

impl From<AllowanceRefusal> for UserError {
    fn from(refusal: AllowanceRefusal) -> Self {
        let message = match refusal {
            AllowanceRefusal::NoScope => {
                "Give at least one of `userId`, `subjectId` and `courseId`.".to_owned()
            }
            AllowanceRefusal::TwoPlaces => {
                "`subjectId` and `courseId` are both given. Leave out one of them.".to_owned()
            }
            AllowanceRefusal::NothingGranted => "Give `extraSeconds`, `maxAttempts` or both.".to_owned(),
            AllowanceRefusal::UserNotFound => format!("{refusal} Take its id from `users`."),
            AllowanceRefusal::SubjectNotFound => NO_SUCH_SUBJECT.to_owned(),
            AllowanceRefusal::CourseNotFound => format!("{refusal} Take its id from `courses`."),
            AllowanceRefusal::SecondsOutOfRange
            | AllowanceRefusal::AttemptsOutOfRange
            | AllowanceRefusal::Reason => refusal.to_string(),
        };
        let (code, path): (_, &[&str]) = match refusal {
            AllowanceRefusal::NoScope | AllowanceRefusal::TwoPlaces => {
                (ErrorCode::AllowanceScopeInvalid, &["input"])
            }
            AllowanceRefusal::NothingGranted => (ErrorCode::NothingToGrant, &["input"]),
            AllowanceRefusal::SecondsOutOfRange => {
                (ErrorCode::ExtraSecondsInvalid, &["input", "extraSeconds"])
            }
            AllowanceRefusal::AttemptsOutOfRange => {
                (ErrorCode::MaxAttemptsInvalid, &["input", "maxAttempts"])
            }
            AllowanceRefusal::Reason => (ErrorCode::ReasonInvalid, &["input", "reason"]),
            AllowanceRefusal::UserNotFound => (ErrorCode::UserNotFound, &["input", "userId"]),
            AllowanceRefusal::SubjectNotFound => (ErrorCode::SubjectNotFound, &["input", "subjectId"]),
            AllowanceRefusal::CourseNotFound => (ErrorCode::CourseNotFound, &["input", "courseId"]),
        };
        Self::field(code, message, path)
    }
}
