//! Sitting a test: start, autosave, submit.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, SimpleObject};
use jishu_entity::{MockTestAttemptId, TestSessionId};

use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::node::GlobalKey;
use crate::graphql::types::{
    AnswersError, AttemptsExhaustedError, ErrorCode, TestSession, UserError, option_place,
};
use jishu_service::paper::PaperError;
use jishu_service::session::{self, AnswerError, Batch, GivenAnswer, SaveError, StartError, SubmitError};

const SESSION: &[&str] = &["input", "sessionId"];
const ANSWERS: &[&str] = &["input", "answers"];

/// Which test to sit.
#[derive(InputObject)]
pub(super) struct StartTestSessionInput {
    /// The test card.
    mock_test_attempt_id: ID,
}

/// A batch of answers.
#[derive(InputObject)]
pub(super) struct SaveAnswersInput {
    /// The sitting.
    session_id: ID,
    /// The number of the batch, 1 to 1000000, greater than that of any before it: `session.answerSequence` and one
    /// more. In each slot the answer of the batch with the greatest number stays, whatever order batches arrive in.
    sequence: i32,
    /// 1 to 200 answers. Of two for the same slot the later one counts.
    answers: Vec<AnswerInput>,
}

/// The whole state of a slot, in place of what was said of it before. One of `optionIds` and `numericValue` must be there,
/// also where only the flag changes.
#[derive(InputObject)]
pub(super) struct AnswerInput {
    /// The question's place in the paper, from 1.
    slot: i32,
    /// The chosen options, from `options.id` of this slot; empty or null for no answer.
    option_ids: MaybeUndefined<Vec<ID>>,
    /// The number, as the learner typed it: "9.81", "-0.5", "6.022e23"; null or an empty text for no answer.
    numeric_value: MaybeUndefined<String>,
    /// Marked for another look.
    flagged: Option<bool>,
    /// How long the question was shown so far, in seconds.
    time_spent_seconds: Option<i32>,
}

/// Which sitting to end, and the answers that were not saved yet.
#[derive(InputObject)]
pub(super) struct SubmitTestSessionInput {
    /// The sitting.
    session_id: ID,
    /// The number of the last batch; needed with `answers`.
    sequence: Option<i32>,
    /// The last batch, saved before the sitting is scored.
    answers: Option<Vec<AnswerInput>>,
}

/// The response to what is done with a sitting.
#[derive(Default, SimpleObject)]
pub(super) struct TestSessionPayload {
    /// The sitting; null where there is none.
    session: Option<TestSession>,
    /// Whether `startTestSession` returned a sitting that was open before.
    resumed: bool,
    /// The slots that keep another answer than this batch gives, because a batch with a greater number, or another one
    /// with the same, has set them. Where it was not this client that sent that batch, but another tab or device, take
    /// `session.answerSequence` and one more, and send the batch again.
    superseded: Vec<i32>,
    /// Why it was refused.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub(super) struct TestSessionMutation;

#[Object]
impl TestSessionMutation {
    /// Starts a sitting at a test card, or returns the one that is open: however often and however concurrently it is
    /// called, one sitting is open. It counts as an attempt from its start.
    async fn start_test_session(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which test.")] input: StartTestSessionInput,
    ) -> ApiResult<TestSessionPayload> {
        let viewer = ctx.require_viewer()?;
        let Some(card) = MockTestAttemptId::parse(&input.mock_test_attempt_id) else {
            return Ok(refused(start_error(StartError::NotFound)?));
        };
        match session::start(ctx.services()?, viewer.user_id, card).await {
            Ok(started) => Ok(TestSessionPayload {
                session: Some(started.session.into()),
                resumed: started.resumed,
                ..TestSessionPayload::default()
            }),
            Err(error) => Ok(refused(start_error(error)?)),
        }
    }

    /// Autosave: keeps answers of an open sitting. Sending a batch again changes nothing, and one of which something stands
    /// is accepted again also when the sitting has ended since. A few seconds after the deadline nothing new is taken.
    async fn save_answers(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The answers.")] input: SaveAnswersInput,
    ) -> ApiResult<TestSessionPayload> {
        let viewer = ctx.require_viewer()?;
        let Some(id) = TestSessionId::parse(&input.session_id) else {
            return Ok(refused(save_error(SaveError::NotFound, &[])?));
        };
        let slots: Vec<i32> = input.answers.iter().map(|answer| answer.slot).collect();
        let batch = batch(id, input.sequence, input.answers);
        let session = Some(TestSession::lazy(viewer.user_id, id));
        match session::save(ctx.services()?, viewer.user_id, id, batch).await {
            Ok(saved) => Ok(TestSessionPayload {
                session,
                superseded: saved.superseded,
                ..TestSessionPayload::default()
            }),
            Err(SaveError::NotFound) => Ok(refused(save_error(SaveError::NotFound, &[])?)),
            Err(error) => Ok(TestSessionPayload { session, ..refused(save_error(error, &slots)?) }),
        }
    }

    /// Ends a sitting and scores what is saved. Calling it again returns the same result, also of a sitting that ended at
    /// its deadline. Where another tab or device has answered a slot of the last batch since, nothing is saved and the
    /// sitting stays open (ANSWERS_SUPERSEDED).
    async fn submit_test_session(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The sitting.")] input: SubmitTestSessionInput,
    ) -> ApiResult<TestSessionPayload> {
        let viewer = ctx.require_viewer()?;
        let Some(id) = TestSessionId::parse(&input.session_id) else {
            return Ok(refused(save_error(SaveError::NotFound, &[])?));
        };
        let answers = input.answers.unwrap_or_default();
        let slots: Vec<i32> = answers.iter().map(|answer| answer.slot).collect();
        let last = (!answers.is_empty()).then(|| batch(id, input.sequence.unwrap_or_default(), answers));
        match session::submit(ctx.services()?, viewer.user_id, id, last).await {
            Ok(submission) => {
                let mut user_errors = Vec::new();
                if !submission.refused.is_empty() {
                    user_errors.push(save_error(SaveError::Closed, &submission.refused)?);
                }
                let session = Some(submission.session.into());
                Ok(TestSessionPayload { session, user_errors, ..TestSessionPayload::default() })
            }
            Err(SubmitError::NotFound) => Ok(refused(save_error(SaveError::NotFound, &slots)?)),
            Err(SubmitError::Answer(error)) => Ok(TestSessionPayload {
                session: Some(TestSession::lazy(viewer.user_id, id)),
                ..refused(save_error(SaveError::Answer(error), &slots)?)
            }),
            Err(SubmitError::Superseded(superseded)) => {
                let message = SubmitError::Superseded(Vec::new()).to_string();
                let error = AnswersError::new(ErrorCode::AnswersSuperseded, message, ANSWERS, &superseded);
                Ok(TestSessionPayload {
                    session: Some(TestSession::lazy(viewer.user_id, id)),
                    superseded,
                    ..refused(UserError::Answers(error))
                })
            }
            Err(SubmitError::Database(error)) => Err(error.into()),
        }
    }
}

fn batch(session: TestSessionId, sequence: i32, answers: Vec<AnswerInput>) -> Batch {
    let given = |answer: AnswerInput| {
        // An id that is not of this slot becomes a place that no question has.
        let place = |id: &ID| option_place(session, answer.slot, id).unwrap_or(usize::MAX);
        let options = match &answer.option_ids {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(Vec::new()),
            MaybeUndefined::Value(ids) => Some(ids.iter().map(place).collect()),
        };
        let number = match answer.numeric_value {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(None),
            MaybeUndefined::Value(text) => Some(Some(text)),
        };
        GivenAnswer {
            slot: answer.slot,
            options,
            number,
            flagged: answer.flagged.unwrap_or_default(),
            time_spent_seconds: answer.time_spent_seconds,
        }
    };
    Batch { sequence, answers: answers.into_iter().map(given).collect() }
}

fn refused(error: UserError) -> TestSessionPayload {
    TestSessionPayload { user_errors: vec![error], ..TestSessionPayload::default() }
}

fn start_error(error: StartError) -> ApiResult<UserError> {
    const CARD: &[&str] = &["input", "mockTestAttemptId"];
    let message = error.to_string();
    Ok(match error {
        StartError::NotFound => UserError::field(ErrorCode::MockTestAttemptNotFound, message, CARD),
        StartError::LearnerNotActive => UserError::field(ErrorCode::AccountInactive, message, &[]),
        StartError::EntitlementEnded => UserError::field(ErrorCode::EntitlementEnded, message, CARD),
        StartError::Exhausted { max_attempts } => {
            UserError::AttemptsExhausted(AttemptsExhaustedError::new(message, max_attempts))
        }
        StartError::Paper(PaperError::TooFewQuestions { .. }) => {
            UserError::field(ErrorCode::TooFewQuestions, message, CARD)
        }
        StartError::Paper(PaperError::Database(error)) | StartError::Database(error) => {
            return Err(error.into());
        }
    })
}

fn save_error(error: SaveError, slots: &[i32]) -> ApiResult<UserError> {
    let message = error.to_string();
    let answers =
        |code, slots: &[i32]| UserError::Answers(AnswersError::new(code, message.as_str(), ANSWERS, slots));
    Ok(match error {
        SaveError::NotFound => UserError::field(ErrorCode::TestSessionNotFound, message, SESSION),
        SaveError::Answer(AnswerError::Sequence) => {
            UserError::field(ErrorCode::AnswerInvalid, message, &["input", "sequence"])
        }
        SaveError::Answer(error) => answers(ErrorCode::AnswerInvalid, error.slot().as_slice()),
        SaveError::Closed => answers(ErrorCode::TestSessionClosed, slots),
        SaveError::Overdue => answers(ErrorCode::TestSessionOverdue, slots),
        SaveError::Held => return Err(ApiError::TimedOut),
        SaveError::Database(error) => return Err(error.into()),
    })
}
