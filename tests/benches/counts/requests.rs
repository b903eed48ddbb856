//! The requests whose instructions are counted. The requests are the same in each run, except for the random order of
//! the options in a sitting.

use std::path::Path;
use std::sync::Arc;

use jishu_entity::{CourseId, MockTestAttemptId, SubjectId};
use jishu_tests::bench_data::{
    add_course, add_learners, add_subjects, first_card, gather_statistics, learner_token, page_request,
    purchase_subject_for_all,
};
use jishu_tests::bench_server::bench_services;
use jishu_tests::load::{ServerProcess, graphql_post};
use jishu_tests::{fill_bank, global_id};
use serde_json::{Value, json};
use uuid::Uuid;

const CARDS_PER_SUBJECT: i32 = 50;
const QUESTIONS: i64 = 45;

const PURCHASE: &str =
    "mutation ($input: PurchaseInput!) { purchase(input: $input) { outcome userErrors { code } } }";
const START: &str = "mutation ($card: ID!) { startTestSession(input: { mockTestAttemptId: $card }) { userErrors { code } \
    session { id expiresAt questions { id slot kind stem options { id text } } } } }";
const SAVE: &str =
    "mutation ($input: SaveAnswersInput!) { saveAnswers(input: $input) { superseded userErrors { code } } }";

/// A kind of request whose instructions are counted.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// A page of 50 cards.
    Page,
    /// The purchase of a subject with 50 cards.
    Purchase,
    /// The start of a sitting of 45 questions, with all questions in the response.
    Start,
    /// The save of a batch of five answers.
    Save,
}

/// All kinds, in the order in which they are counted.
pub(crate) const KINDS: [Kind; 4] = [Kind::Page, Kind::Purchase, Kind::Start, Kind::Save];

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Purchase => "purchase",
            Self::Start => "start",
            Self::Save => "save",
        }
    }
}

/// The learners, and the numbers of purchases, starts and saves so far.
pub(crate) struct Requests {
    course: CourseId,
    to_buy: SubjectId,
    learners: Vec<(String, MockTestAttemptId)>,
    purchases: usize,
    starts: usize,
    /// The open sitting of the first learner: its id, and five answers.
    sitting: (Value, Value),
    saves: usize,
}

impl Requests {
    /// Creates learners who own one subject and can buy another, and starts a sitting of the first learner. `each` is
    /// the number of requests of each kind.
    pub(crate) async fn prepare(url: &str, folder: &Path, each: usize) -> Self {
        let services = bench_services(url, folder, Arc::new(|_: &str| {})).await;
        let course = add_course(&services).await;
        let subjects = add_subjects(&services, course, 2, CARDS_PER_SUBJECT).await;
        fill_bank(services.database.writer(), subjects[0], QUESTIONS, services.clock.now()).await;
        services.catalog.reload().await.expect("the catalogue can be read");
        let ids = add_learners(&services, each + 1).await;
        purchase_subject_for_all(&services, &ids, course, subjects[0]).await;
        gather_statistics(&services).await;
        let mut learners = Vec::new();
        for id in ids {
            learners.push((learner_token(&services, id), first_card(&services, id).await));
        }
        services.database.close().await.expect("it closes");
        let mut requests = Self {
            course,
            to_buy: subjects[1],
            learners,
            purchases: 0,
            starts: 0,
            sitting: (Value::Null, Value::Null),
            saves: 0,
        };
        requests.sitting = requests.start_first(url, folder).await;
        requests
    }

    /// Starts the sitting of the first learner on a server. Returns the id of the sitting, and answers to five of its
    /// questions.
    async fn start_first(&mut self, url: &str, folder: &Path) -> (Value, Value) {
        let mut server = ServerProcess::start(crate::ROLE, url, folder);
        let response = server.response(&self.next(Kind::Start)).await;
        server.ask_to_end();
        check(&response);
        let mut response: Value = serde_json::from_slice(&response).expect("JSON");
        let session = response["data"]["startTestSession"]["session"].take();
        let questions = session["questions"].as_array().expect("questions");
        let with_options = questions.iter().filter(|question| question["options"].get(0).is_some());
        let answers: Vec<Value> = with_options
            .take(5)
            .map(|question| json!({ "slot": question["slot"], "optionIds": [question["options"][0]["id"]] }))
            .collect();
        (session["id"].clone(), json!(answers))
    }

    /// Returns the next request of a kind, as bytes.
    pub(crate) fn next(&mut self, kind: Kind) -> Vec<u8> {
        match kind {
            Kind::Page => page_request(&self.learners[0].0, 50, None, None),
            Kind::Purchase => {
                let (token, _) = &self.learners[self.purchases];
                self.purchases += 1;
                let input = json!({
                    "courseId": global_id("Course", self.course.0),
                    "purchaseType": "SINGLE_SUBJECT",
                    "subjectIds": [global_id("Subject", self.to_buy.0)],
                    "idempotencyKey": Uuid::from_u128(self.purchases as u128),
                });
                post(token, PURCHASE, &json!({ "input": input }))
            }
            Kind::Start => {
                let (token, card) = &self.learners[self.starts];
                self.starts += 1;
                post(token, START, &json!({ "card": global_id("MockTestAttempt", card.0) }))
            }
            Kind::Save => {
                self.saves += 1;
                let (session, answers) = &self.sitting;
                let input = json!({ "sessionId": session, "sequence": self.saves, "answers": answers });
                post(&self.learners[0].0, SAVE, &json!({ "input": input }))
            }
        }
    }
}

fn post(token: &str, query: &str, variables: &Value) -> Vec<u8> {
    graphql_post(token, &json!({ "query": query, "variables": variables }).to_string())
}

/// Panics if the response is neither a page of cards nor a payload without user errors.
pub(crate) fn check(response: &[u8]) {
    let text = String::from_utf8_lossy(response);
    let is_page = text.contains("\"mockTestAttempts\":{\"edges\"");
    assert!(is_page || text.contains("\"userErrors\":[]"), "{text}");
}
