//! The mutations of a sitting: start, save answers, submit.

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

/// The test card to sit.
#[derive(InputObject)]
pub(super) struct StartTestSessionInput {
    /// The id of the test card.
    mock_test_attempt_id: ID,
}

/// A batch of answers.
#[derive(InputObject)]
pub(super) struct SaveAnswersInput {
    /// The id of the sitting.
    session_id: ID,
    /// The number of the batch: 1 to 1000000. Use `session.answerSequence` plus 1, so that it is greater than that
    /// of every earlier batch. In each slot, the answer of the batch with the greatest number stays, in whatever
    /// order the batches arrive.
    sequence: i32,
    /// The answers: 1 to 200. If two are for the same slot, the later one counts.
    answers: Vec<AnswerInput>,
}

/// The whole state of a slot, which replaces the earlier one. Give `optionIds` or `numericValue`, even if only the
/// flag changes.
#[derive(InputObject)]
pub(super) struct AnswerInput {
    /// The number of the question in the paper, counted from 1.
    slot: i32,
    /// The chosen options, from `options.id` of this slot. Empty or null removes the answer.
    option_ids: MaybeUndefined<Vec<ID>>,
    /// The number as the learner typed it: "9.81", "-0.5", "6.022e23". Null or an empty text removes the answer.
    numeric_value: MaybeUndefined<String>,
    /// Whether the learner has marked the question to look at it again. If not given, it is false.
    flagged: Option<bool>,
    /// The time for which the question was shown so far, in seconds: 0 to 604800.
    time_spent_seconds: Option<i32>,
}

/// The sitting to submit, with the answers that are not saved yet.
#[derive(InputObject)]
pub(super) struct SubmitTestSessionInput {
    /// The id of the sitting.
    session_id: ID,
    /// The number of the last batch. Required with `answers`.
    sequence: Option<i32>,
    /// The last batch of answers. It is saved before the sitting is scored.
    answers: Option<Vec<AnswerInput>>,
}

/// The response to `startTestSession`, `saveAnswers` and `submitTestSession`.
#[derive(Default, SimpleObject)]
pub(super) struct TestSessionPayload {
    /// The sitting. Null if there is no such sitting, or if none could be started.
    session: Option<TestSession>,
    /// Whether `startTestSession` returned a sitting that was already open.
    resumed: bool,
    /// The slots that keep a different answer from this batch. A batch with a greater number, or another batch with
    /// the same number, has set them. If that batch came from another tab or device, read `session.answerSequence`,
    /// add 1, and send the answers again.
    superseded: Vec<i32>,
    /// The reasons why the request or some of its answers were refused. Empty on success.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub(super) struct TestSessionMutation;

#[Object]
impl TestSessionMutation {
    /// Starts a sitting of a test card, or returns the open one. Repeated and concurrent requests never open a
    /// second sitting of the card. The sitting counts as an attempt from its start.
    async fn start_test_session(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The test card to sit.")] input: StartTestSessionInput,
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

    /// Saves answers of an open sitting. Repeating a batch changes nothing. A repeated batch also succeeds after
    /// the end of the sitting, if any of its answers is still stored. New answers are accepted until a few seconds
    /// after the deadline.
    async fn save_answers(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The batch of answers.")] input: SaveAnswersInput,
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

    /// Submits a sitting and scores the saved answers. If the sitting is already over, returns the same result
    /// again, and reports answers that were not saved with TEST_SESSION_CLOSED. If another tab or device has set a
    /// slot of the last batch in the meantime, saves nothing, leaves the sitting open and returns
    /// ANSWERS_SUPERSEDED.
    async fn submit_test_session(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The sitting to submit.")] input: SubmitTestSessionInput,
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
        // An id that is not of this slot becomes a position that no question has.
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
