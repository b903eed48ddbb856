//! The mutations `startTestSession`, `saveAnswers` and `submitTestSession`.

use jishu_entity::question_version::QuestionKind;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{UserError, only_error};
use crate::Client;
use crate::bank::{is_correct, kind};

/// The selection of all three mutations.
pub const SESSION: &str = "session { id status attemptNumber startedAt expiresAt submittedAt answerSequence
    questions { slot kind stem options { id text } answer { optionIds numericValue text } flagged
                correctOptionIds correctValue tolerance correctTexts caseSensitive explanation marks }
    result { score maxScore percentage correct wrong unanswered timeTakenSeconds } }
  resumed superseded userErrors { __typename code message path ... on AnswersError { slots }
                                  ... on AttemptsExhaustedError { maxAttempts } }";

/// The payload of the three mutations.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SittingPayload {
    /// The sitting. `None` if it was not found.
    pub session: Option<Session>,
    /// Whether a start found the sitting open.
    pub resumed: bool,
    /// The slots that keep an answer of a later batch.
    pub superseded: Vec<i64>,
    /// The reasons why the request was refused.
    pub user_errors: Vec<UserError>,
}

/// A sitting.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// The global id.
    pub id: String,
    /// The status, such as `IN_PROGRESS`.
    pub status: String,
    /// The number of the attempt on its card, from 1.
    pub attempt_number: i64,
    /// The time when the sitting began.
    pub started_at: String,
    /// Its deadline.
    pub expires_at: String,
    /// The time when the sitting ended.
    pub submitted_at: Option<String>,
    /// The greatest sequence of a saved batch.
    pub answer_sequence: i64,
    /// Its questions, by slot.
    pub questions: Vec<Question>,
    /// Its result, once it is over.
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
    /// The text.
    pub stem: String,
    /// The options in the order that the learner sees.
    pub options: Vec<Choice>,
    /// The saved answer.
    pub answer: Option<GivenAnswer>,
    /// Whether the learner flagged the question.
    pub flagged: bool,
    /// The key, where it may be shown.
    pub correct_option_ids: Option<Vec<String>>,
    /// The key, where it may be shown.
    pub correct_value: Option<String>,
    /// The tolerance of the key, where it may be shown.
    pub tolerance: Option<String>,
    /// The accepted texts, where they may be shown.
    pub correct_texts: Option<Vec<String>>,
    /// Whether case counts in the accepted texts, where they may be shown.
    pub case_sensitive: Option<bool>,
    /// The explanation of the key, where it may be shown.
    pub explanation: Option<String>,
    /// The marks for the answer, where they may be shown.
    pub marks: Option<String>,
}

/// An option of a question.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Choice {
    /// The global id.
    pub id: String,
    /// The text.
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
    /// The marks.
    pub score: String,
    /// The marks for a paper without a mistake.
    pub max_score: String,
    /// The score as a percentage of the greatest score.
    pub percentage: String,
    /// The number of correct answers.
    pub correct: i64,
    /// The number of wrong answers.
    pub wrong: i64,
    /// The number of questions without an answer.
    pub unanswered: i64,
    /// The time from the start to the end.
    pub time_taken_seconds: i64,
}

impl SittingPayload {
    /// The sitting.
    ///
    /// # Panics
    /// Panics if there is none.
    #[must_use]
    pub fn session(&self) -> &Session {
        self.session.as_ref().unwrap_or_else(|| panic!("no sitting: {self:#?}"))
    }

    /// The global id of the sitting.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.session().id
    }

    /// The questions of the sitting.
    #[must_use]
    pub fn questions(&self) -> &[Question] {
        &self.session().questions
    }

    /// The result of the sitting.
    ///
    /// # Panics
    /// Panics if there is none.
    #[must_use]
    pub fn result(&self) -> &SessionResult {
        self.session().result.as_ref().unwrap_or_else(|| panic!("no result: {self:#?}"))
    }

    /// The one error.
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

    /// Submits a sitting, perhaps with a last batch of answers.
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

/// The way in which a test answers a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tries {
    /// With the key.
    Right,
    /// With a wrong answer.
    Wrong,
}

/// Makes an answer to a question of [`TestApp::bank`](crate::TestApp::bank), as `AnswerInput`.
///
/// # Panics
/// Panics if the question is of another bank.
#[must_use]
pub fn answer(question: &Question, tries: Tries) -> Value {
    let number: i64 = question.stem.trim_start_matches("Question ").parse().expect("a question of the bank");
    let slot = question.slot;
    if kind(number) == QuestionKind::Numeric {
        let value = if tries == Tries::Right { format!("{number}.5") } else { format!("-{number}") };
        return json!({ "slot": slot, "numericValue": value });
    }
    if kind(number) == QuestionKind::ShortAnswer {
        // Nobody writes the number in this form, so a test can tell a response with the key from one with the answer.
        let word = if tries == Tries::Right { " zEUGMA " } else { "zEUGM" };
        return json!({ "slot": slot, "text": format!("{word} {number}") });
    }
    let position = |option: &Choice| {
        option
            .text
            .split(' ')
            .nth(1)
            .and_then(|position| position.parse().ok())
            .expect("an option of the bank")
    };
    let chosen = question
        .options
        .iter()
        .filter(|option| is_correct(number, position(option)) == (tries == Tries::Right));
    let ids: Vec<&String> = chosen.map(|option| &option.id).collect();
    // A single choice takes one option. A wrong answer to a multiple choice is all the others.
    let most = if kind(number) == QuestionKind::SingleChoice { 1 } else { ids.len() };
    json!({ "slot": slot, "optionIds": ids[..most] })
}
