//! Makes questions for the tests of this repository. The stem contains the number of the question, and the key follows
//! from the number.

use chrono::{DateTime, Utc};
use jishu_entity::question_version::{Difficulty, QuestionKind, TextFormat};
use jishu_entity::{SubjectId, TopicId, accepted_text, question, question_option, question_version, topic};
use jishu_service::clock::Clock;
use sea_orm::ActiveValue::Set;
use sea_orm::{ActiveModelTrait, ConnectionTrait, DatabaseConnection, EntityTrait};

use crate::{Client, PurchaseInput, TestApp};

/// The names of the topics. Question n has the topic with the index n modulo 3.
pub const TOPICS: [&str; 3] = ["Mechanics", "Optics", "Waves"];

/// Returns the kind of question `number`. The kinds repeat every eight questions.
#[must_use]
pub fn kind(number: i64) -> QuestionKind {
    match number % 8 {
        0 | 4 => QuestionKind::Numeric,
        3 | 7 => QuestionKind::MultipleChoice,
        5 => QuestionKind::ShortAnswer,
        _ => QuestionKind::SingleChoice,
    }
}

pub(crate) fn is_correct(number: i64, position: i64) -> bool {
    match kind(number) {
        QuestionKind::SingleChoice => position == number % 4,
        QuestionKind::MultipleChoice => position % 2 == 0,
        QuestionKind::Numeric | QuestionKind::ShortAnswer => false,
    }
}

/// Returns whether an answer to question `number` is correct, or `None` if the question is not answered. `chosen` has a
/// bit for each chosen option, by the author's positions. `value` is the answer to a numeric question, `text` to a
/// question with a short answer. The result does not depend on the server's scoring. A short answer is correct only if
/// it is the accepted text that has no wildcard.
///
/// # Panics
/// Panics if the question is numeric and `value` is not a number.
#[must_use]
pub fn judged(number: i64, chosen: i64, value: Option<&str>, text: Option<&str>) -> Option<bool> {
    if kind(number) == QuestionKind::ShortAnswer {
        let words: Vec<String> = text?.split_whitespace().map(str::to_lowercase).collect();
        return Some(words == [TEXT.to_lowercase(), number.to_string()]);
    }
    if kind(number) == QuestionKind::Numeric {
        let value: f64 = value?.parse().expect("a number");
        let key: f64 = format!("{number}{NUMBER}").parse().expect("a number");
        let tolerance: f64 = TOLERANCE.parse().expect("a number");
        return Some((value - key).abs() <= tolerance);
    }
    let key = (0..4).filter(|position| is_correct(number, *position)).fold(0, |key, bit| key | 1 << bit);
    (chosen != 0).then_some(chosen == key)
}

/// The beginning of every explanation. A learner must not see an explanation before the sitting has ended.
pub const EXPLANATION: &str = "Because of secret";

/// The end of every numeric key. This text occurs nowhere else, so a response that contains it reveals a key.
pub const NUMBER: &str = ".4142135";
/// The tolerance of every numeric key. This text occurs nowhere else, so a response that contains it reveals a
/// tolerance.
pub const TOLERANCE: &str = "0.2718281";

/// The beginning of every accepted text. This word occurs nowhere else, so a response that contains it reveals a key.
pub const TEXT: &str = "Zeugma";

/// Gives a subject a bank of `questions` questions, and sets its tests to ask all of them. By the defaults of a
/// subject, a sitting takes an hour. A correct answer gives 4 marks, a wrong one -1, and no answer 0.
///
/// # Panics
/// Panics if the database fails.
pub async fn fill_bank(
    connection: &DatabaseConnection,
    subject: SubjectId,
    questions: i64,
    now: DateTime<Utc>,
) {
    let mut topics = Vec::new();
    for name in TOPICS {
        let row =
            topic::ActiveModel { subject_id: Set(subject), name: Set(name.to_owned()), ..Default::default() };
        topics.push(row.insert(connection).await.expect("a topic").id);
    }
    for number in 1..=questions {
        let topic = topics[usize::try_from(number % 3).expect("0 to 2")];
        add_question(connection, subject, topic, number, now).await;
    }
    let settings = format!("UPDATE subjects SET questions_per_test = {questions} WHERE id = {subject}");
    connection.execute_unprepared(&settings).await.expect("the settings");
}

async fn add_question(
    connection: &DatabaseConnection,
    subject: SubjectId,
    topic: TopicId,
    number: i64,
    now: DateTime<Utc>,
) {
    let row = question::ActiveModel {
        subject_id: Set(subject),
        external_id: Set(format!("q{number}")),
        current_version: Set(1),
        created_at: Set(now),
        ..Default::default()
    };
    let id = row.insert(connection).await.expect("a question").id;
    let is_number = kind(number) == QuestionKind::Numeric;
    let version = question_version::ActiveModel {
        question_id: Set(id),
        version: Set(1),
        topic_id: Set(topic),
        difficulty: Set(Difficulty::Medium),
        kind: Set(kind(number)),
        text_format: Set(TextFormat::Plain),
        stem: Set(format!("Question {number}")),
        explanation: Set(Some(format!("{EXPLANATION} {number}"))),
        numeric_value: Set(is_number.then(|| format!("{number}{NUMBER}"))),
        numeric_tolerance: Set(is_number.then(|| TOLERANCE.to_owned())),
        content_hash: Set("0".repeat(64)),
        created_at: Set(now),
        ..Default::default()
    };
    let version = version.insert(connection).await.expect("a version").id;
    match kind(number) {
        QuestionKind::Numeric => return,
        QuestionKind::ShortAnswer => {
            let texts = [format!("{TEXT} {number}"), format!("{TEXT}*of question {number}")];
            let texts = texts.into_iter().zip(0..).map(|(text, position)| accepted_text::ActiveModel {
                version_id: Set(version),
                position: Set(position),
                text: Set(text),
            });
            accepted_text::Entity::insert_many(texts)
                .exec_without_returning(connection)
                .await
                .expect("accepted texts");
            return;
        }
        QuestionKind::SingleChoice | QuestionKind::MultipleChoice => {}
    }
    let options = (0_i32..4).map(|position| question_option::ActiveModel {
        version_id: Set(version),
        position: Set(position),
        text: Set(format!("Option {position} of {number}")),
        correct: Set(is_correct(number, position.into())),
    });
    question_option::Entity::insert_many(options).exec_without_returning(connection).await.expect("options");
}

impl TestApp {
    /// Fills the bank of a subject with [`fill_bank`], then reloads the catalogue.
    pub async fn bank(&self, subject: SubjectId, questions: i64) {
        fill_bank(self.connection(), subject, questions, self.clock.now()).await;
        self.services.catalog.reload().await.expect("the catalogue can be read");
    }

    /// Buys each subject of the course for this learner in a purchase of its own. Returns the global id of the first
    /// card of each subject.
    pub async fn cards(&self, learner: &Client, course: &crate::TestCourse) -> Vec<String> {
        let mut cards = Vec::new();
        for subject in &course.subjects {
            let input = PurchaseInput::new(&course.id, "SINGLE_SUBJECT", &[subject]);
            let bought = learner.buy(input).await;
            cards.push(bought.cards().edges[0].node.id.clone());
        }
        cards
    }
}
