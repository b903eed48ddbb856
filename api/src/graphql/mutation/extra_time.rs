//! Extra time and extra attempts.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use jishu_entity::MockTestAttemptId;

use crate::graphql::context::ContextExt;
use crate::graphql::error::ApiResult;
use crate::graphql::node::GlobalKey;
use crate::graphql::scalar::DateTime;
use crate::graphql::types::{ErrorCode, MockTestAttemptStatus, UserError};
use jishu_service::extra_time::{self, Allowance, ExtraTimeError, Grant};

/// What a test card is granted. Both values are totals, in place of what was granted before: sending the same again
/// changes nothing. At least one is given.
#[derive(InputObject)]
struct GrantExtraTimeInput {
    /// The test card, whosever it is.
    mock_test_attempt_id: ID,
    /// How much longer each sitting of the card takes, in seconds: 0 to 86400. Left as it is when not given.
    extra_seconds: Option<i32>,
    /// How often the card may be sat in all: from what was used, and at least 1, to 1000. Left as it is when not
    /// given.
    max_attempts: Option<i32>,
}

/// What a test card is granted in all. Of the learner and of their answers it shows nothing.
#[derive(SimpleObject)]
struct CardAllowance {
    /// The test card.
    mock_test_attempt_id: ID,
    /// What can be done with it.
    status: MockTestAttemptStatus,
    /// How much longer each of its sittings takes, in seconds.
    extra_seconds: i32,
    /// How often it may be sat in all.
    max_attempts: i32,
    /// How often it was sat.
    attempts_used: i32,
    /// The deadline of the sitting that is open; null where none is.
    expires_at: Option<DateTime>,
}

impl From<Allowance> for CardAllowance {
    fn from(allowance: Allowance) -> Self {
        Self {
            mock_test_attempt_id: allowance.card.id.global(),
            status: allowance.card.status.into(),
            extra_seconds: allowance.extra_seconds,
            max_attempts: allowance.card.max_attempts,
            attempts_used: allowance.card.attempts_used,
            expires_at: allowance.expires_at.map(DateTime),
        }
    }
}

/// The response to `grantExtraTime`.
#[derive(SimpleObject)]
struct GrantExtraTimePayload {
    /// What the card has in all now; null when nothing was granted.
    allowance: Option<CardAllowance>,
    /// Why nothing was granted.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub(super) struct ExtraTimeMutation;

#[Object]
impl ExtraTimeMutation {
    /// Grants a learner's test card more time or more attempts; for SUPPORT and ADMIN. An open sitting gets the time
    /// at once: its deadline becomes its start, the time limit and `extraSeconds`, unless it was later. A card
    /// without attempts left can be sat again. The learner's devices are told by `mockTestAttemptChanged` and
    /// `testSessionClock`.
    async fn grant_extra_time(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "To which card, and what.")] input: GrantExtraTimeInput,
    ) -> ApiResult<GrantExtraTimePayload> {
        let support = ctx.require_support().await?;
        let grant = Grant { extra_seconds: input.extra_seconds, max_attempts: input.max_attempts };
        let granted = match MockTestAttemptId::parse(&input.mock_test_attempt_id) {
            Some(card) => extra_time::grant(ctx.services()?, support, card, grant).await,
            None => Err(ExtraTimeError::CardNotFound),
        };
        match granted {
            Ok(allowance) => {
                Ok(GrantExtraTimePayload { allowance: Some(allowance.into()), user_errors: Vec::new() })
            }
            Err(error) => Ok(GrantExtraTimePayload { allowance: None, user_errors: vec![refusal(error)?] }),
        }
    }
}

fn refusal(error: ExtraTimeError) -> ApiResult<UserError> {
    let message = error.to_string();
    let (code, path): (_, &[&str]) = match error {
        ExtraTimeError::NothingGranted => (ErrorCode::NothingToGrant, &["input"]),
        ExtraTimeError::SecondsOutOfRange => (ErrorCode::ExtraSecondsInvalid, &["input", "extraSeconds"]),
        ExtraTimeError::AttemptsOutOfRange | ExtraTimeError::FewerThanUsed(_) => {
            (ErrorCode::MaxAttemptsInvalid, &["input", "maxAttempts"])
        }
        ExtraTimeError::CardNotFound => (ErrorCode::MockTestAttemptNotFound, &["input", "mockTestAttemptId"]),
        ExtraTimeError::SittingOverdue => (ErrorCode::TestSessionOverdue, &["input", "extraSeconds"]),
        ExtraTimeError::Database(error) => return Err(error.into()),
    };
    Ok(UserError::field(code, message, path))
}
