//! The mutations `startTestSession`, `saveAnswers` and `submitTestSession`.

use jishu_entity::question_version::QuestionKind;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{UserError, only_error};
use crate::Client;
use crate::bank::{is_correct, kind};

/// The fields that `startTestSession`, `saveAnswers` and `submitTestSession` select.
pub const SESSION: &str = "session { id status attemptNumber startedAt expiresAt submittedAt answerSequence
    questions { slot kind stem options { id text } answer { optionIds numericValue text } flagged
                correctOptionIds correctValue tolerance correctTexts caseSensitive explanation marks }
    result { score maxScore percentage correct wrong unanswered timeTakenSeconds } }
  resumed superseded userErrors { __typename code message path ... on AnswersError { slots }
                                  ... on AttemptsExhaustedError { maxAttempts } }";

/// The payload of `startTestSession`, `saveAnswers` and `submitTestSession`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SittingPayload {
    /// The sitting. `None` if the server did not find it.
    pub session: Option<Session>,
    /// Whether `startTestSession` found an open sitting and resumed it.
    pub resumed: bool,
    /// The slots of the batch that keep the answer of a batch with a greater sequence, or of another batch with the
    /// same sequence.
    pub superseded: Vec<i64>,
    /// The user errors. If there are any, the request was refused.
    pub user_errors: Vec<UserError>,
}

/// A sitting.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// The global id of the sitting.
    pub id: String,
    /// The status, such as `IN_PROGRESS`.
    pub status: String,
    /// The number of the attempt on its card, from 1.
    pub attempt_number: i64,
    /// The time when the sitting began.
    pub started_at: String,
    /// The deadline of the sitting.
    pub expires_at: String,
    /// The time when the sitting ended. `None` while it is open.
    pub submitted_at: Option<String>,
    /// The greatest sequence of a saved batch.
    pub answer_sequence: i64,
    /// The questions of the sitting, in the order of their slots.
    pub questions: Vec<Question>,
    /// The result of the sitting. `None` while it is open.
    pub result: Option<SessionResult>,
}

/// A question of a sitting.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// The slot, from 1.
    pub slot: i64,
    /// The kind, such as `NUMERIC`.
    pub kind: String,
    /// The text of the question.
    pub stem: String,
    /// The options in the order that the learner sees.
    pub options: Vec<Choice>,
    /// The saved answer. `None` if no answer is saved.
    pub answer: Option<GivenAnswer>,
    /// Whether the learner flagged the question.
    pub flagged: bool,
    /// The global ids of the correct options. `None` for a question without options, or if the learner may not see the
    /// key.
    pub correct_option_ids: Option<Vec<String>>,
    /// The correct number. `None` unless the question is numeric and the learner may see the key.
    pub correct_value: Option<String>,
    /// The tolerance of the correct number. `None` unless the question is numeric and the learner may see the key.
    pub tolerance: Option<String>,
    /// The accepted texts. `None` unless the question is a short answer and the learner may see the key.
    pub correct_texts: Option<Vec<String>>,
    /// Whether case counts in the accepted texts. `None` unless the question is a short answer and the learner may see
    /// the key.
    pub case_sensitive: Option<bool>,
    /// The explanation of the key. `None` if the learner may not see the explanation.
    pub explanation: Option<String>,
    /// The marks for the answer. `None` if the learner may not see the marks.
    pub marks: Option<String>,
}

/// An option of a question.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Choice {
    /// The global id of the option.
    pub id: String,
    /// The text of the option.
    pub text: String,
}

/// An answer that was saved.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GivenAnswer {
    /// The options that were chosen.
    pub option_ids: Vec<String>,
    /// The number that was entered.
    pub numeric_value: Option<String>,
    /// The text that was typed.
    pub text: Option<String>,
}

/// The result of a sitting.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionResult {
    /// The sum of the marks.
    pub score: String,
    /// The sum of the marks if all answers are correct.
    pub max_score: String,
    /// The score as a percentage of the maximum score.
    pub percentage: String,
    /// The number of correct answers.
    pub correct: i64,
    /// The number of wrong answers.
    pub wrong: i64,
    /// The number of questions without an answer.
    pub unanswered: i64,
    /// The time from the start to the end of the sitting, in seconds.
    pub time_taken_seconds: i64,
}

impl SittingPayload {
    /// Returns the sitting.
    ///
    /// # Panics
    /// Panics if the payload has no sitting.
    #[must_use]
    pub fn session(&self) -> &Session {
        self.session.as_ref().unwrap_or_else(|| panic!("no sitting: {self:#?}"))
    }

    /// Returns the global id of the sitting.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.session().id
    }

    /// Returns the questions of the sitting.
    #[must_use]
    pub fn questions(&self) -> &[Question] {
        &self.session().questions
    }

    /// Returns the result of the sitting.
    ///
    /// # Panics
    /// Panics if the payload has no sitting, or the sitting has no result.
    #[must_use]
    pub fn result(&self) -> &SessionResult {
        self.session().result.as_ref().unwrap_or_else(|| panic!("no result: {self:#?}"))
    }

    /// Returns the only user error.
    #[must_use]
    pub fn error(&self) -> &UserError {
        only_error(&self.user_errors)
    }
}

impl Client {
    /// Starts or resumes a sitting.
    pub async fn start_session(&self, card: &str) -> SittingPayload {
        let document = format!(
            "mutation ($input: StartTestSessionInput!) {{ startTestSession(input: $input) {{ {SESSION} }} }}"
        );
        self.mutate(&document, "startTestSession", &json!({ "mockTestAttemptId": card })).await
    }

    /// Saves a batch of answers.
    pub async fn save_answers(&self, session: &str, sequence: i64, answers: Value) -> SittingPayload {
        let document =
            format!("mutation ($input: SaveAnswersInput!) {{ saveAnswers(input: $input) {{ {SESSION} }} }}");
        let input = json!({ "sessionId": session, "sequence": sequence, "answers": answers });
        self.mutate(&document, "saveAnswers", &input).await
    }

    /// Submits a sitting. `last` is the sequence and the answers of a last batch, if there is one.
    pub async fn submit_session(&self, session: &str, last: Option<(i64, Value)>) -> SittingPayload {
        let document = format!(
            "mutation ($input: SubmitTestSessionInput!) {{ submitTestSession(input: $input) {{ {SESSION} }} }}"
        );
        let input = match last {
            None => json!({ "sessionId": session }),
            Some((sequence, answers)) => {
                json!({ "sessionId": session, "sequence": sequence, "answers": answers })
            }
        };
        self.mutate(&document, "submitTestSession", &input).await
    }
}

/// Whether a test gives a right or a wrong answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tries {
    /// A correct answer.
    Right,
    /// A wrong answer.
    Wrong,
}

/// Returns an answer to a question of [`TestApp::bank`](crate::TestApp::bank), as JSON of `AnswerInput`.
///
/// # Panics
/// Panics if the question is not from such a bank.
#[must_use]
pub fn answer(question: &Question, tries: Tries) -> Value {
    let number: i64 =
        question.stem.trim_start_matches("Question ").parse().expect("a question of `TestApp::bank`");
    let slot = question.slot;
    if kind(number) == QuestionKind::Numeric {
        let value = if tries == Tries::Right { format!("{number}.5") } else { format!("-{number}") };
        return json!({ "slot": slot, "numericValue": value });
    }
    if kind(number) == QuestionKind::ShortAnswer {
        // The unusual case and spaces let a test tell the learner's answer from the key in a response.
        let word = if tries == Tries::Right { " zEUGMA " } else { "zEUGM" };
        return json!({ "slot": slot, "text": format!("{word} {number}") });
    }
    let position = |option: &Choice| {
        option
            .text
            .split(' ')
            .nth(1)
            .and_then(|position| position.parse().ok())
            .expect("an option of `TestApp::bank`")
    };
    let chosen = question
        .options
        .iter()
        .filter(|option| is_correct(number, position(option)) == (tries == Tries::Right));
    let ids: Vec<&String> = chosen.map(|option| &option.id).collect();
    // An answer to a single choice has one option. A wrong answer to a multiple choice has all incorrect options.
    let most = if kind(number) == QuestionKind::SingleChoice { 1 } else { ids.len() };
    json!({ "slot": slot, "optionIds": ids[..most] })
}
