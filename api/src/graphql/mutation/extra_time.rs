//! The mutation `grantExtraTime`.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use graphql_engine::guarded_fields;
use jishu_entity::MockTestAttemptId;

use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, refused_or};
use crate::graphql::node::GlobalKey;
use crate::graphql::permission::{Permission, requires_role};
use crate::graphql::scalar::DateTime;
use crate::graphql::types::{ErrorCode, MockTestAttemptStatus, UserError, user_errors};
use jishu_service::account::Support;
use jishu_service::extra_time::{self, ExtendedCard, ExtraTimeRefusal, Grant};

/// A grant of extra time or attempts for one test card. `extraSeconds` and `maxAttempts` are totals that replace the
/// earlier totals, so that repeating the request changes nothing. Give `extraSeconds`, `maxAttempts` or both.
#[derive(InputObject)]
struct GrantExtraTimeInput {
    /// The id of the test card. It can belong to any user.
    mock_test_attempt_id: ID,
    /// The extra time for each sitting of the card, in seconds: 0 to 86400. If not given, the extra time stays the
    /// same.
    extra_seconds: Option<i32>,
    /// The total number of attempts that the card allows: 1 to 1000, and not less than the number of attempts that are
    /// used. If not given, the number stays the same.
    max_attempts: Option<i32>,
}

/// The extra time and the attempts of a test card after `grantExtraTime`. No field leads to the learner.
#[derive(SimpleObject)]
struct CardAllowance {
    /// The id of the test card.
    mock_test_attempt_id: ID,
    /// The status of the test card.
    status: MockTestAttemptStatus,
    /// The extra time for each sitting that was granted to this card alone, in seconds. If an allowance gives more,
    /// the extra time of the allowance counts instead.
    extra_seconds: i32,
    /// The total number of attempts that the card allows.
    max_attempts: i32,
    /// The number of attempts that are used. An attempt counts as used from the start of its sitting.
    attempts_used: i32,
    /// The deadline of the open sitting of the card. Null if no sitting is open.
    expires_at: Option<DateTime>,
}

impl From<ExtendedCard> for CardAllowance {
    fn from(extended: ExtendedCard) -> Self {
        Self {
            mock_test_attempt_id: extended.card.id.global(),
            status: extended.card.status.into(),
            extra_seconds: extended.extra_seconds,
            max_attempts: extended.card.max_attempts,
            attempts_used: extended.card.attempts_used,
            expires_at: extended.expires_at.map(DateTime),
        }
    }
}

/// The response to `grantExtraTime`: the extra time and the attempts of the card, or the reason to refuse.
struct GrantExtraTimePayload {
    outcome: Result<ExtendedCard, UserError>,
}

/// The response to `grantExtraTime`.
#[Object]
impl GrantExtraTimePayload {
    /// The extra time and the attempts of the card now. Null if the request was refused.
    async fn allowance(&self) -> Option<CardAllowance> {
        self.outcome.as_ref().ok().map(|extended| extended.clone().into())
    }

    /// The reasons why nothing was granted. Empty on success.
    async fn user_errors(&self) -> Vec<&UserError> {
        user_errors(&self.outcome)
    }
}

#[derive(Default)]
pub(super) struct ExtraTimeMutation;

#[guarded_fields(requires_role)]
#[Object]
impl ExtraTimeMutation {
    /// Grants extra time or more attempts to a test card of any learner. Only for SUPPORT and ADMIN. The deadline of an
    /// open sitting becomes its start plus the time limit plus `extraSeconds`. The deadline never moves to an earlier
    /// time, nor beyond the end of the entitlement. With more attempts, a card whose attempts were all used can be sat
    /// again. `mockTestAttemptChanged` and `testSessionClock` report the change to the learner's devices.
    async fn grant_extra_time(
        &self,
        ctx: &Context<'_>,
        #[guard] support: Support,
        #[graphql(desc = "The test card and the grant.")] input: GrantExtraTimeInput,
    ) -> ApiResult<GrantExtraTimePayload> {
        let grant = Grant { extra_seconds: input.extra_seconds, max_attempts: input.max_attempts };
        let outcome = match MockTestAttemptId::parse(&input.mock_test_attempt_id) {
            Some(card) => refused_or(extra_time::grant(ctx.services()?, support, card, grant).await)?,
            None => Err(ExtraTimeRefusal::CardNotFound),
        };
        Ok(GrantExtraTimePayload { outcome: outcome.map_err(UserError::from) })
    }
}

impl From<ExtraTimeRefusal> for UserError {
    fn from(refusal: ExtraTimeRefusal) -> Self {
        let message = match refusal {
            ExtraTimeRefusal::NothingGranted => "Give `extraSeconds`, `maxAttempts` or both.".to_owned(),
            ExtraTimeRefusal::SecondsOutOfRange => {
                format!("{refusal} Give `extraSeconds` in this range.")
            }
            ExtraTimeRefusal::AttemptsOutOfRange => format!("{refusal} Give `maxAttempts` in this range."),
            ExtraTimeRefusal::FewerThanUsed(used) => {
                format!(
                    "The number of used attempts of the card is {used}. Give `maxAttempts` of at least {used}."
                )
            }
            ExtraTimeRefusal::CardNotFound | ExtraTimeRefusal::SittingOverdue => refusal.to_string(),
        };
        let (code, path): (_, &[&str]) = match refusal {
            ExtraTimeRefusal::NothingGranted => (ErrorCode::NothingToGrant, &["input"]),
            ExtraTimeRefusal::SecondsOutOfRange => {
                (ErrorCode::ExtraSecondsInvalid, &["input", "extraSeconds"])
            }
            ExtraTimeRefusal::AttemptsOutOfRange | ExtraTimeRefusal::FewerThanUsed(_) => {
                (ErrorCode::MaxAttemptsInvalid, &["input", "maxAttempts"])
            }
            ExtraTimeRefusal::CardNotFound => {
                (ErrorCode::MockTestAttemptNotFound, &["input", "mockTestAttemptId"])
            }
            ExtraTimeRefusal::SittingOverdue => (ErrorCode::TestSessionOverdue, &["input", "extraSeconds"]),
        };
        Self::field(code, message, path)
    }
}
