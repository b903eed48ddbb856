//! Sittings: start, autosave, submission, deadline, and which fields are shown at which time.

mod autosave;
mod before;
mod concurrency;
mod entitled;
mod held;
mod journey;
mod leaks;
mod overdue;
mod papers;
mod refusals;
mod replays;
mod settings;

use jishu_entity::user::Role;
use jishu_tests::{Client, Question, SittingPayload, TestApp, TestCourse, Tries, answer};
use serde_json::{Value, json};

/// A learner with the first card of a subject whose bank has questions.
pub(crate) struct World {
    pub(crate) course: TestCourse,
    pub(crate) learner: Client,
    pub(crate) card: String,
}

impl World {
    pub(crate) async fn new(app: &TestApp, questions: i64) -> Self {
        let course = app.course(&["Physics"]).cards(3).create(app).await;
        app.bank(course.subject_rows[0], questions).await;
        // The token of this learner is valid for longer than any test moves the clock.
        let learner = app.staff("Asha", Role::Learner).await;
        let card = app.cards(&learner, &course).await.remove(0);
        Self { course, learner, card }
    }

    /// Changes a column of the subject directly, without the server's rules.
    pub(crate) async fn set(&self, app: &TestApp, column: &str, value: &str) {
        let subject = self.course.subject_rows[0];
        app.execute(&format!("UPDATE subjects SET {column} = {value} WHERE id = {subject}")).await;
        app.services.catalog.reload().await.unwrap();
    }

    /// Reads the card as its learner.
    pub(crate) async fn card(&self) -> Value {
        let document = "query ($id: ID!) { node(id: $id) { ... on MockTestAttempt { status attemptsUsed remainingAttempts
            latestScore latestPercentage firstScore bestScore grade openSession { id attemptNumber }
            sessions { totalCount edges { node { attemptNumber status } } } } } }";
        self.learner.run_with(document, json!({ "id": self.card })).await.at("/node").clone()
    }
}

pub(crate) fn id(payload: &SittingPayload) -> String {
    payload.id().to_owned()
}

pub(crate) fn questions(payload: &SittingPayload) -> &[Question] {
    payload.questions()
}

/// Returns answers to the first questions: `right` correct ones, then `wrong` wrong ones.
pub(crate) fn answers(payload: &SittingPayload, right: usize, wrong: usize) -> Value {
    let tries = std::iter::repeat_n(Tries::Right, right).chain(std::iter::repeat_n(Tries::Wrong, wrong));
    questions(payload).iter().zip(tries).map(|(question, tries)| answer(question, tries)).collect()
}

/// Returns the code of the only user error.
pub(crate) fn refusal(payload: &SittingPayload) -> &str {
    &payload.error().code
}

/// Asserts that a request was not refused.
pub(crate) fn accepted(payload: &SittingPayload) {
    assert_eq!(payload.user_errors, [], "{payload:#?}");
}

/// The value of `superseded` in the response to a batch of which no answer was superseded.
const NO_SLOTS: [i64; 0] = [];
