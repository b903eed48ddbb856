//! Creates open sittings, each of a learner of its own, and the requests that save answers for them.

use std::path::Path;
use std::sync::{Arc, Mutex};

use jishu_entity::UserId;
use jishu_service::Services;
use jishu_service::session::{self, AnswerBatch, GivenAnswer};
use jishu_tests::bench_data::{
    add_course, add_learners, add_subjects, first_card, learner_token, purchase_subject_for_all,
};
use jishu_tests::bench_server::bench_services;
use jishu_tests::{Client, Tries, answer, fill_bank, global_id};

use crate::{ANSWERS_PER_BATCH, CONNECTIONS, QUESTIONS_PER_SITTING, SITTINGS_PER_CONNECTION};

/// An open sitting.
#[derive(Clone)]
pub(crate) struct Sitting {
    pub(crate) row: i64,
    pub(crate) owner: i64,
    pub(crate) token: String,
    id: String,
    card: String,
    /// A right and a wrong answer for each slot, as JSON.
    answers: Vec<[String; 2]>,
}

const SAVE: &str = "mutation Save($input: SaveAnswersInput!) { saveAnswers(input: $input) { superseded userErrors { code } } }";

impl Sitting {
    /// Returns the body of a request that saves answers to five consecutive slots.
    pub(crate) fn batch(&self, number: i64) -> String {
        let first = rand::random_range(0..QUESTIONS_PER_SITTING / ANSWERS_PER_BATCH) * ANSWERS_PER_BATCH;
        let slots = &self.answers[first..first + ANSWERS_PER_BATCH];
        let answers: Vec<&str> =
            slots.iter().map(|answers| answers[usize::from(rand::random::<bool>())].as_str()).collect();
        format!(
            r#"{{"query":"{SAVE}","variables":{{"input":{{"sessionId":"{}","sequence":{number},"answers":[{}]}}}}}}"#,
            self.id,
            answers.join(",")
        )
    }
}

/// Creates the sittings and saves an empty answer in each slot of each sitting. Also returns the SQL statement that
/// saved the last batch.
pub(crate) async fn prepare(url: &str, folder: &Path) -> (Vec<Sitting>, String) {
    let texts = Arc::new(Mutex::new(String::new()));
    let log = Arc::clone(&texts);
    let observer = Arc::new(move |sql: &str| {
        if sql.contains("INSERT INTO test_answers") {
            sql.clone_into(&mut log.lock().expect("never poisoned"));
        }
    });
    let services = bench_services(url, folder, observer).await;
    let course = add_course(&services).await;
    let subject = add_subjects(&services, course, 1, 1).await[0];
    let questions = i64::try_from(QUESTIONS_PER_SITTING).expect("few");
    fill_bank(services.database.writer(), subject, questions, services.clock.now()).await;
    let learners = add_learners(&services, CONNECTIONS * SITTINGS_PER_CONNECTION).await;
    purchase_subject_for_all(&services, &learners, course, subject).await;
    let mut sittings = Vec::new();
    for learner in learners {
        sittings.push(sitting(&services, learner).await);
    }
    services.database.close().await.expect("it closes");
    let statement = texts.lock().expect("never poisoned").clone();
    assert!(!statement.is_empty(), "no INSERT saved the answers");
    (sittings, statement)
}

async fn sitting(services: &Services, owner: UserId) -> Sitting {
    let card = first_card(services, owner).await;
    let started = session::start(services, owner, card).await.expect("a sitting");
    let row = started.session.id;
    let slots: Vec<i32> = (1..=i32::try_from(QUESTIONS_PER_SITTING).expect("few")).collect();
    for (slots, sequence) in slots.chunks(ANSWERS_PER_BATCH).zip(1..) {
        let no_answer = |slot: &i32| GivenAnswer {
            slot: *slot,
            options: Some(Vec::new()),
            number: None,
            ..GivenAnswer::default()
        };
        let batch = AnswerBatch { sequence, answers: slots.iter().map(no_answer).collect() };
        session::save(services, owner, row, batch, false).await.expect("answers are saved");
    }
    let token = learner_token(services, owner);
    Sitting {
        row: row.0,
        owner: owner.0,
        token,
        id: global_id("TestSession", row.0),
        card: global_id("MockTestAttempt", card.0),
        answers: Vec::new(),
    }
}

/// Reads the questions of each sitting from the server, and prepares the answers to them.
pub(crate) async fn read_all(port: u16, sittings: Vec<Sitting>) -> Vec<Sitting> {
    let http = reqwest::Client::new();
    let mut read = Vec::new();
    for sitting in sittings {
        let url = format!("http://127.0.0.1:{port}/graphql");
        let client = Client::new(http.clone(), url, Some(sitting.token.clone()));
        let started = client.start_session(&sitting.card).await;
        assert_eq!((started.id(), started.resumed), (sitting.id.as_str(), true));
        let questions = started.questions();
        let both = |question| [Tries::Right, Tries::Wrong].map(|tries| answer(question, tries).to_string());
        read.push(Sitting { answers: questions.iter().map(both).collect(), ..sitting });
    }
    read
}
