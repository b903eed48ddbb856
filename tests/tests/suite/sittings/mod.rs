//! Sitting tests: start, autosave, submit, the deadline, and what is shown when.

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
use jishu_tests::{Client, TestApp, TestCourse, Tries, answer};
use serde_json::{Value, json};

/// A learner with a card of a subject whose tests have so many questions.
pub(crate) struct World {
    pub(crate) course: TestCourse,
    pub(crate) learner: Client,
    pub(crate) card: String,
}

impl World {
    pub(crate) async fn new(app: &TestApp, questions: i64) -> Self {
        let course = app.course(&["Physics"]).cards(3).create(app).await;
        app.bank(course.subject_rows[0], questions).await;
        // Whose token works longer than any test moves the clock.
        let learner = app.staff("Asha", Role::Learner).await;
        let card = app.cards(&learner, &course).await.remove(0);
        Self { course, learner, card }
    }

    /// Changes a column of the subject, past all rules.
    pub(crate) async fn set(&self, app: &TestApp, column: &str, value: &str) {
        let subject = self.course.subject_rows[0];
        app.execute(&format!("UPDATE subjects SET {column} = {value} WHERE id = {subject}")).await;
        app.services.catalog.reload().await.unwrap();
    }

    /// What the card shows of itself.
    pub(crate) async fn card(&self) -> Value {
        let document = "query ($id: ID!) { node(id: $id) { ... on MockTestAttempt { status attemptsUsed remainingAttempts
            latestScore latestPercentage firstScore bestScore grade openSession { id attemptNumber }
            sessions { totalCount edges { node { attemptNumber status } } } } } }";
        self.learner.run_with(document, json!({ "id": self.card })).await.at("/node").clone()
    }
}

pub(crate) fn id(payload: &Value) -> String {
    payload["session"]["id"].as_str().unwrap_or_else(|| panic!("{payload:#}")).to_owned()
}

pub(crate) fn questions(payload: &Value) -> &[Value] {
    payload["session"]["questions"].as_array().unwrap_or_else(|| panic!("{payload:#}"))
}

/// Answers to the first questions, the first so many of them right.
pub(crate) fn answers(payload: &Value, right: usize, wrong: usize) -> Value {
    let tries = std::iter::repeat_n(Tries::Right, right).chain(std::iter::repeat_n(Tries::Wrong, wrong));
    questions(payload).iter().zip(tries).map(|(question, tries)| answer(question, tries)).collect()
}

/// The code of the one user error.
pub(crate) fn refusal(payload: &Value) -> &str {
    let errors = payload["userErrors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{payload:#}");
    errors[0]["code"].as_str().unwrap()
}

pub(crate) fn accepted(payload: &Value) {
    assert_eq!(payload["userErrors"], json!([]), "{payload:#}");
}
