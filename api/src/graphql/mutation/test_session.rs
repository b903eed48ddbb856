//! The mutations of a sitting: `startTestSession`, `saveAnswers` and `submitTestSession`.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object};
use jishu_entity::{MockTestAttemptId, TestSessionId};

use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, refused_or};
use crate::graphql::node::GlobalKey;
use crate::graphql::types::{
    AnswersError, AttemptsExhaustedError, ErrorCode, TestSession, UserError, option_place,
};
use jishu_service::paper::PaperRefusal;
use jishu_service::session::{
    self, AnswerBatch, AnswerRefusal, GivenAnswer, SaveRefusal, StartRefusal, SubmitRefusal,
};

const SESSION: &[&str] = &["input", "sessionId"];
const ANSWERS: &[&str] = &["input", "answers"];

/// The test card to sit.
#[derive(InputObject)]
pub(super) struct StartTestSessionInput {
    /// The id of the test card.
    mock_test_attempt_id: ID,
}

/// A batch of answers, which the client has numbered.
#[derive(InputObject)]
pub(super) struct SaveAnswersInput {
    /// The id of the sitting.
    session_id: ID,
    /// The number of the batch: 1 to 1000000. Use `session.answerSequence` plus 1, so that the number is greater than
    /// the number of every earlier batch. In each slot, the answer of the batch with the greatest number stays, in
    /// whatever order the batches arrive.
    sequence: i32,
    /// The answers of the batch: 1 to 200. If two answers are for the same slot, the later one in this list counts.
    answers: Vec<AnswerInput>,
}

/// The whole state of a slot, which replaces the earlier state of the slot. Give `optionIds`, `numericValue` or `text`,
/// whichever fits the kind of the question, even if only `flagged` changes.
#[derive(InputObject)]
pub(super) struct AnswerInput {
    /// The number of the question in the paper, counted from 1.
    slot: i32,
    /// The ids of the chosen options, from `options.id` of the question in this slot. An empty list or null removes the
    /// answer.
    option_ids: MaybeUndefined<Vec<ID>>,
    /// The number as the learner typed it, such as "9.81", "-0.5" or "6.022e23". Null or a blank text removes the
    /// answer.
    numeric_value: MaybeUndefined<String>,
    /// The text as the learner typed it, for a short answer: at most 500 characters. The server stores the text
    /// unchanged. In the comparison with the key, it ignores differences of spaces and Unicode forms. It also ignores
    /// case, unless the key requires the same capital and small letters. Null or a blank text removes the answer.
    text: MaybeUndefined<String>,
    /// Whether the learner has marked the question to return to it later. If not given, the mark is removed.
    flagged: Option<bool>,
    /// The time for which the question was shown so far, in seconds: 0 to 604800. If not given, the stored time is
    /// removed.
    time_spent_seconds: Option<i32>,
}

/// The sitting to submit, with the answers that are not saved yet.
#[derive(InputObject)]
pub(super) struct SubmitTestSessionInput {
    /// The id of the sitting.
    session_id: ID,
    /// The number of the batch in `answers`: `session.answerSequence` plus 1. Required if `answers` is given and not
    /// empty.
    sequence: Option<i32>,
    /// The answers that are not saved yet. If the sitting still accepts answers, they are saved before it is scored.
    answers: Option<Vec<AnswerInput>>,
}

/// The response to `startTestSession`, `saveAnswers` and `submitTestSession`.
pub(super) enum TestSessionPayload {
    /// `startTestSession` started a sitting or found the open sitting.
    Started { session: TestSession, resumed: bool },
    /// `saveAnswers` applied a batch. `superseded` has the slots that keep the answer of another batch.
    Saved { session: TestSession, superseded: Vec<i32> },
    /// `submitTestSession` ended the sitting, or found that it is over. `error` is set if some answers of the last
    /// batch were not saved, because the sitting was over.
    Submitted { session: TestSession, error: Option<UserError> },
    /// The request was refused. `session` is set if the request named a sitting of the viewer.
    Refused { session: Option<TestSession>, superseded: Vec<i32>, error: UserError },
}

/// The response to `startTestSession`, `saveAnswers` and `submitTestSession`.
#[Object]
impl TestSessionPayload {
    /// The sitting. Null if the request names no sitting of the viewer, or if no sitting could be started.
    async fn session(&self) -> Option<&TestSession> {
        match self {
            Self::Started { session, .. } | Self::Saved { session, .. } | Self::Submitted { session, .. } => {
                Some(session)
            }
            Self::Refused { session, .. } => session.as_ref(),
        }
    }

    /// Whether `startTestSession` returned a sitting that was already open.
    async fn resumed(&self) -> bool {
        matches!(self, Self::Started { resumed: true, .. })
    }

    /// The slots of this batch that keep the answer of another batch, because that batch has a greater number or the
    /// same number. If it came from another tab or device, read `session.answerSequence`, add 1, and send the answers
    /// again. Answers that were not saved for another reason are only in `userErrors`.
    async fn superseded(&self) -> &[i32] {
        match self {
            Self::Saved { superseded, .. } | Self::Refused { superseded, .. } => superseded,
            Self::Started { .. } | Self::Submitted { .. } => &[],
        }
    }

    /// The reasons why the request or some of its answers were refused. Empty on success.
    async fn user_errors(&self) -> Vec<&UserError> {
        match self {
            Self::Submitted { error, .. } => error.iter().collect(),
            Self::Refused { error, .. } => vec![error],
            Self::Started { .. } | Self::Saved { .. } => Vec::new(),
        }
    }
}

impl TestSessionPayload {
    fn refused(session: Option<TestSession>, error: UserError) -> Self {
        Self::Refused { session, superseded: Vec::new(), error }
    }
}

#[derive(Default)]
pub(super) struct TestSessionMutation;

#[Object]
impl TestSessionMutation {
    /// Starts a sitting of a test card, or returns the open sitting. A card never has two open sittings, even if
    /// requests are repeated or arrive at the same time. A new sitting uses an attempt from its start.
    async fn start_test_session(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The test card to sit.")] input: StartTestSessionInput,
    ) -> ApiResult<TestSessionPayload> {
        let viewer = ctx.require_viewer()?;
        let started = match MockTestAttemptId::parse(&input.mock_test_attempt_id) {
            Some(card) => refused_or(session::start(ctx.services()?, viewer.user_id, card).await)?,
            None => Err(StartRefusal::NotFound),
        };
        Ok(match started {
            Ok(started) => {
                // Nobody knew the id of a new sitting before now, so no answer of the sitting can be saved yet.
                let sequence = (!started.resumed).then_some(0);
                let session = TestSession::from(started.session).with_sequence(sequence);
                TestSessionPayload::Started { session, resumed: started.resumed }
            }
            Err(refusal) => TestSessionPayload::refused(None, refusal.into()),
        })
    }

    /// Saves a batch of answers of an open sitting. Repeating a batch changes nothing. A repeated batch also succeeds
    /// after the end of the sitting, if any of its answers is still stored. New answers are accepted until a few
    /// seconds after the deadline.
    async fn save_answers(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The batch of answers.")] input: SaveAnswersInput,
    ) -> ApiResult<TestSessionPayload> {
        let viewer = ctx.require_viewer()?;
        let Some(id) = TestSessionId::parse(&input.session_id) else {
            return Ok(TestSessionPayload::refused(None, save_error(&SaveRefusal::NotFound, &[])));
        };
        let slots: Vec<i32> = input.answers.iter().map(|answer| answer.slot).collect();
        let batch = batch(id, input.sequence, input.answers);
        let wants_sequence = ctx.look_ahead().field("session").field("answerSequence").exists();
        let saved = session::save(ctx.services()?, viewer.user_id, id, batch, wants_sequence).await;
        let session = TestSession::lazy(viewer.user_id, id);
        Ok(match refused_or(saved)? {
            Ok(saved) => {
                let session = session.with_sequence(saved.sequence);
                TestSessionPayload::Saved { session, superseded: saved.superseded }
            }
            Err(refusal) => {
                let session = (!matches!(refusal, SaveRefusal::NotFound)).then_some(session);
                TestSessionPayload::refused(session, save_error(&refusal, &slots))
            }
        })
    }

    /// Saves the last answers, ends a sitting and scores its saved answers. If the sitting is already over, returns its
    /// result again. If the deadline passed more than a few seconds ago, ends the sitting without saving the last
    /// answers. If some answers of the request are not stored in these two cases, the response has the error
    /// TEST_SESSION_CLOSED. If another tab or device has set a slot of the last batch in the meantime, saves nothing,
    /// leaves the sitting open and returns ANSWERS_SUPERSEDED.
    async fn submit_test_session(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The sitting to submit.")] input: SubmitTestSessionInput,
    ) -> ApiResult<TestSessionPayload> {
        let viewer = ctx.require_viewer()?;
        let Some(id) = TestSessionId::parse(&input.session_id) else {
            return Ok(TestSessionPayload::refused(None, save_error(&SaveRefusal::NotFound, &[])));
        };
        let answers = input.answers.unwrap_or_default();
        let slots: Vec<i32> = answers.iter().map(|answer| answer.slot).collect();
        let last = (!answers.is_empty()).then(|| batch(id, input.sequence.unwrap_or_default(), answers));
        let session = Some(TestSession::lazy(viewer.user_id, id));
        Ok(match refused_or(session::submit(ctx.services()?, viewer.user_id, id, last).await)? {
            Ok(submission) => {
                let is_late = !submission.refused.is_empty();
                let error = is_late.then(|| save_error(&SaveRefusal::Closed, &submission.refused));
                TestSessionPayload::Submitted { session: submission.session.into(), error }
            }
            Err(SubmitRefusal::NotFound) => {
                TestSessionPayload::refused(None, save_error(&SaveRefusal::NotFound, &slots))
            }
            Err(SubmitRefusal::Answer(refusal)) => {
                TestSessionPayload::refused(session, save_error(&SaveRefusal::Answer(refusal), &slots))
            }
            Err(SubmitRefusal::Superseded(superseded)) => {
                let message = format!(
                    "{} Read `session.answerSequence`, add 1, and submit again.",
                    SubmitRefusal::Superseded(Vec::new())
                );
                let error = AnswersError::new(ErrorCode::AnswersSuperseded, message, ANSWERS, &superseded);
                TestSessionPayload::Refused { session, superseded, error: UserError::Answers(error) }
            }
        })
    }
}

fn batch(session: TestSessionId, sequence: i32, answers: Vec<AnswerInput>) -> AnswerBatch {
    let given = |answer: AnswerInput| {
        // An id that does not belong to an option of this slot becomes a position that no question has, so the service
        // refuses it.
        let place = |id: &ID| option_place(session, answer.slot, id).unwrap_or(usize::MAX);
        let options = match &answer.option_ids {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(Vec::new()),
            MaybeUndefined::Value(ids) => Some(ids.iter().map(place).collect()),
        };
        let given = |text| match text {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(None),
            MaybeUndefined::Value(text) => Some(Some(text)),
        };
        GivenAnswer {
            slot: answer.slot,
            options,
            number: given(answer.numeric_value),
            text: given(answer.text),
            flagged: answer.flagged.unwrap_or_default(),
            time_spent_seconds: answer.time_spent_seconds,
        }
    };
    AnswerBatch { sequence, answers: answers.into_iter().map(given).collect() }
}

impl From<StartRefusal> for UserError {
    fn from(refusal: StartRefusal) -> Self {
        const CARD: &[&str] = &["input", "mockTestAttemptId"];
        let message = refusal.to_string();
        match refusal {
            StartRefusal::NotFound => {
                let message = format!("{message} Take its id from `viewer.mockTestAttempts`.");
                Self::field(ErrorCode::MockTestAttemptNotFound, message, CARD)
            }
            StartRefusal::LearnerNotActive => Self::field(ErrorCode::AccountInactive, message, &[]),
            StartRefusal::Consent(refusal) => refusal.into(),
            StartRefusal::EntitlementEnded => Self::field(ErrorCode::EntitlementEnded, message, CARD),
            StartRefusal::Exhausted { max_attempts } => {
                Self::AttemptsExhausted(AttemptsExhaustedError::new(message, max_attempts))
            }
            StartRefusal::Paper(PaperRefusal::TooFewQuestions { .. }) => {
                Self::field(ErrorCode::TooFewQuestions, message, CARD)
            }
        }
    }
}

/// Makes the user error for a batch that was not saved. `slots` are the slots whose answers were not saved.
fn save_error(refusal: &SaveRefusal, slots: &[i32]) -> UserError {
    let answers = |code, message: String, slots: &[i32]| {
        UserError::Answers(AnswersError::new(code, message, ANSWERS, slots))
    };
    match refusal {
        SaveRefusal::NotFound => {
            let message = format!("{refusal} Take its id from `startTestSession`.");
            UserError::field(ErrorCode::TestSessionNotFound, message, SESSION)
        }
        SaveRefusal::Answer(AnswerRefusal::Sequence) => {
            let message = format!("{refusal} Send `sequence` as `session.answerSequence` plus 1.");
            UserError::field(ErrorCode::AnswerInvalid, message, &["input", "sequence"])
        }
        SaveRefusal::Answer(answer) => {
            answers(ErrorCode::AnswerInvalid, answer_message(answer), answer.slot().as_slice())
        }
        SaveRefusal::Closed => {
            let message =
                "This sitting is over, so these answers were not saved. Read its result in `session.result`."
                    .to_owned();
            answers(ErrorCode::TestSessionClosed, message, slots)
        }
        SaveRefusal::Overdue => answers(ErrorCode::TestSessionOverdue, refusal.to_string(), slots),
    }
}

/// Makes the message for an answer that was refused. If the client must change an argument, adds a sentence that names
/// the argument.
fn answer_message(refusal: &AnswerRefusal) -> String {
    let advice = match refusal {
        AnswerRefusal::NothingGiven(_) => "Use `optionIds`, `numericValue` or `text`.",
        AnswerRefusal::NoSuchOption(_) => "Take `optionIds` from the options of this slot.",
        AnswerRefusal::WantsNumber(_) => "Give `numericValue`.",
        AnswerRefusal::WantsOptions(_) => "Give `optionIds`.",
        AnswerRefusal::WantsText(_) => "Give `text`.",
        AnswerRefusal::TextTooLong(_) => "Shorten `text`.",
        AnswerRefusal::ControlCharacter(_) => "Correct `text`.",
        AnswerRefusal::NotANumber(_) => "Correct `numericValue`.",
        AnswerRefusal::Time(_) => "Correct `timeSpentSeconds`.",
        AnswerRefusal::WrongCount(_)
        | AnswerRefusal::Sequence
        | AnswerRefusal::NoSuchSlot { .. }
        | AnswerRefusal::OneOption(_) => return refusal.to_string(),
    };
    format!("{refusal} {advice}")
}
