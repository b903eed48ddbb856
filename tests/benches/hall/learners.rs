//! The learners who sit the test of this bench all at once, and the requests that they send.

use std::path::Path;
use std::sync::{Arc, Mutex};

use jishu_entity::{MockTestAttemptId, PaperId, SubjectId, UserId};
use jishu_service::session;
use jishu_tests::bench_data::{
    add_course, add_learners, add_subjects, first_card, gather_statistics, learner_token,
    purchase_subject_for_all,
};
use jishu_tests::bench_server::bench_services;
use jishu_tests::load::graphql_post;
use jishu_tests::{fill_bank, global_id};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend};
use serde_json::{Value, json};

use crate::QUESTIONS;

const START: &str = "mutation ($card: ID!) { startTestSession(input: { mockTestAttemptId: $card }) { resumed userErrors { code } \
    session { id status startedAt expiresAt serverTime answerSequence questions { id slot kind textFormat stem \
    options { id text } answer { optionIds numericValue text } flagged timeSpentSeconds } } } }";
const SUBMIT: &str = "mutation ($input: SubmitTestSessionInput!) { submitTestSession(input: $input) { userErrors { code } \
    session { status result { score maxScore percentage } } } }";

/// On PostgreSQL, the id of a card, and the id of a sitting that pgbench starts, is this number plus the id of the
/// learner. So pgbench can compute these ids.
pub(crate) const FIRST_NUMBER: i64 = 10_000_000;

/// A learner with a card.
#[derive(Clone)]
pub(crate) struct Learner {
    pub(crate) id: UserId,
    pub(crate) card: MockTestAttemptId,
    token: String,
}

/// The learners, and the SQL statements that start and submit a sitting.
pub(crate) struct Hall {
    pub(crate) learners: Vec<Learner>,
    pub(crate) start: Vec<String>,
    pub(crate) submit: Vec<String>,
    pub(crate) subject: SubjectId,
    pub(crate) paper: PaperId,
}

impl Hall {
    /// Creates a test of 180 questions, and `count` learners who have bought it. Two more learners sit the test before.
    /// The first start creates the paper, and the statements of the second learner are recorded.
    pub(crate) async fn open(url: &str, folder: &Path, count: usize) -> Self {
        let texts = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&texts);
        let observer = Arc::new(move |sql: &str| log.lock().expect("never poisoned").push(sql.to_owned()));
        let services = bench_services(url, folder, observer).await;
        let course = add_course(&services).await;
        let subject = add_subjects(&services, course, 1, 1).await[0];
        let connection = services.database.writer();
        fill_bank(connection, subject, QUESTIONS, services.clock.now()).await;
        lengthen_texts(connection).await;
        services.catalog.reload().await.expect("the catalogue can be read");
        // Two more learners sit the test first: one makes the server create the paper, and the statements of the other
        // learner are recorded.
        let ids = add_learners(&services, count + 2).await;
        purchase_subject_for_all(&services, &ids, course, subject).await;
        if connection.get_database_backend() == DbBackend::Postgres {
            let numbered = format!("UPDATE mock_test_attempts SET id = {FIRST_NUMBER} + user_id");
            connection.execute_unprepared(&numbered).await.expect("new ids");
        }
        let mut learners = Vec::new();
        for id in ids {
            let card = first_card(&services, id).await;
            learners.push(Learner { id, card, token: learner_token(&services, id) });
        }
        gather_statistics(&services).await;
        let take = || std::mem::take(&mut *texts.lock().expect("never poisoned"));
        let (mut start, mut submit, mut paper) = (Vec::new(), Vec::new(), PaperId(0));
        for learner in learners.drain(..2) {
            take();
            let started = session::start(&services, learner.id, learner.card).await.expect("a sitting");
            start = take();
            paper = started.session.paper_id;
            let answers = (1..=5).map(|slot| session::GivenAnswer {
                slot,
                options: Some(Vec::new()),
                ..session::GivenAnswer::default()
            });
            let last = session::AnswerBatch { sequence: 1, answers: answers.collect() };
            take();
            session::submit(&services, learner.id, started.session.id, Some(last)).await.expect("a result");
            submit = take();
        }
        services.database.close().await.expect("it closes");
        Self { learners, start, submit, subject, paper }
    }
}

/// Makes the texts of questions and options as long as real ones, so that the response to a start has some 130 KB.
async fn lengthen_texts(connection: &DatabaseConnection) {
    for (table, column, part, count) in [
        ("question_versions", "stem", " A body moves along a line.", 11),
        ("question_options", "text", " metres", 5),
    ] {
        let more = part.repeat(count);
        let longer = match connection.get_database_backend() {
            DbBackend::MySql => format!("CONCAT({column}, '{more}')"),
            _ => format!("{column} || '{more}'"),
        };
        let update = format!("UPDATE {table} SET {column} = {longer}");
        connection.execute_unprepared(&update).await.expect("longer texts");
    }
}

/// Returns the requests that start a sitting of each learner.
pub(crate) fn starts(learners: &[Learner]) -> Vec<Vec<u8>> {
    let start = |learner: &Learner| {
        let card = global_id("MockTestAttempt", learner.card.0);
        request(&learner.token, START, &json!({ "card": card }))
    };
    learners.iter().map(start).collect()
}

/// Returns the requests that submit the sittings in the responses to [`starts`], each with a batch of five answers.
/// Leaves out learners whose start was refused.
pub(crate) fn submissions(learners: &[Learner], responses: &[Option<Vec<u8>>]) -> Vec<Vec<u8>> {
    let submission = |(learner, body): (&Learner, &Option<Vec<u8>>)| {
        let body: Value = serde_json::from_slice(body.as_deref()?).expect("JSON");
        let session = &body["data"]["startTestSession"]["session"];
        let answers: Vec<Value> = session["questions"]
            .as_array()
            .expect("questions")
            .iter()
            .filter(|question| question["options"].as_array().is_some_and(|options| !options.is_empty()))
            .take(5)
            .map(|question| json!({ "slot": question["slot"], "optionIds": [question["options"][0]["id"]] }))
            .collect();
        let input = json!({ "sessionId": session["id"], "sequence": 1, "answers": answers });
        Some(request(&learner.token, SUBMIT, &json!({ "input": input })))
    };
    learners.iter().zip(responses).filter_map(submission).collect()
}

fn request(token: &str, query: &str, variables: &Value) -> Vec<u8> {
    graphql_post(token, &json!({ "query": query, "variables": variables }).to_string())
}
