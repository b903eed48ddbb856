//! Creates the rows of the measurement: one learner with 501,000 cards.

use std::path::Path;
use std::sync::Arc;

use jishu_entity::{SubjectId, mock_test_attempt};
use jishu_tests::Client;
use jishu_tests::bench_data::{
    add_course, add_learners, add_subjects, gather_statistics, learner_token, page_request, purchase_subject,
};
use jishu_tests::bench_server::bench_services;
use sea_orm::{ColumnTrait, QueryFilter};
use serde_json::json;

use crate::CARDS_PER_PAGE;

const CARDS_PER_SUBJECT: usize = 1_000;

/// The learner, and the values that requests for the learner's cards contain.
pub(crate) struct World {
    /// An access token of the learner.
    pub(crate) token: String,
    owner: i64,
    /// The subjects, in the order of their ids.
    subjects: Vec<SubjectId>,
    /// The id of the last card before page 10,000.
    card_before: i64,
}

impl World {
    /// The number of cards before page 10,000.
    pub(crate) const DEPTH: usize = 9_999 * CARDS_PER_PAGE;
    /// The number of subjects of 1,000 cards that page 10,000 requires.
    pub(crate) const SUBJECTS: usize = Self::DEPTH / CARDS_PER_SUBJECT + 2;

    /// Creates a course with this number of subjects, and a learner who buys all of them.
    pub(crate) async fn create(url: &str, folder: &Path, subject_count: usize) -> Self {
        let services = bench_services(url, folder, Arc::new(|_: &str| {})).await;
        let course = add_course(&services).await;
        let tests = i32::try_from(CARDS_PER_SUBJECT).expect("few");
        let subjects = add_subjects(&services, course, subject_count, tests).await;
        let owner = add_learners(&services, 1).await[0];
        for subject in &subjects {
            purchase_subject(&services, owner, course, *subject).await;
        }
        gather_statistics(&services).await;
        let (subject, number) = Self::key_before(&subjects);
        let card = mock_test_attempt::Entity::of(owner)
            .filter(mock_test_attempt::Column::SubjectId.eq(subject))
            .filter(mock_test_attempt::Column::TestNumber.eq(number))
            .one(services.database.reader());
        let card_before = card.await.expect("the query runs").expect("a card").id.0;
        let token = learner_token(&services, owner);
        services.database.close().await.expect("it closes");
        Self { token, owner: owner.0, subjects, card_before }
    }

    /// Returns the subject and the test number of the last card before page 10,000. If there are fewer cards, returns
    /// the subject and the test number of the last card of all.
    fn key_before(subjects: &[SubjectId]) -> (SubjectId, i32) {
        let index = (Self::DEPTH - 1).min(subjects.len() * CARDS_PER_SUBJECT - 1);
        let number = i32::try_from(index % CARDS_PER_SUBJECT + 1).expect("few");
        (subjects[index / CARDS_PER_SUBJECT], number)
    }

    /// Returns a request to the REST handler: for the first page if `depth` is 0, otherwise for page 10,000.
    pub(crate) fn rest(&self, depth: usize) -> Vec<u8> {
        let (subject, number) = Self::key_before(&self.subjects);
        let after = match depth {
            0 => String::new(),
            _ => format!("&after={}-{number}-{}", subject.0, self.card_before),
        };
        let (owner, token) = (self.owner, &self.token);
        format!(
            "GET /cards?user={owner}&first={CARDS_PER_PAGE}{after} HTTP/1.1\r\nhost: localhost\r\n\
             accept: application/json\r\nauthorization: Bearer {token}\r\n\r\n"
        )
        .into_bytes()
    }

    /// Returns a request to Mercurius for the first page.
    pub(crate) fn mercurius(&self) -> Vec<u8> {
        // The handler of Mercurius takes the learner from the header `x-user`, and ignores the token.
        let user = format!("none\r\nx-user: {}", self.owner);
        page_request(&user, CARDS_PER_PAGE, None, None)
    }

    /// Reads the cursor of the last card before page 10,000 from jishu.
    pub(crate) async fn cursor_at_depth(&self, port: u16) -> String {
        let url = format!("http://127.0.0.1:{port}/graphql");
        let client = Client::new(reqwest::Client::new(), url, Some(self.token.clone()));
        let (subject, number) = Self::key_before(&self.subjects);
        // Reads all cards of the subject, 100 at a time, up to the last card before page 10,000.
        let document = "query ($subject: ID!, $after: String) { viewer { mockTestAttempts(first: 100, after: $after,
            filter: { subjectId: $subject }) { edges { cursor node { testNumber } } pageInfo { endCursor } } } }";
        let mut after = json!(null);
        loop {
            let subject = jishu_tests::global_id("Subject", subject.0);
            let page = client.run_with(document, json!({ "subject": subject, "after": after })).await;
            let edges = page.at("/viewer/mockTestAttempts/edges").as_array().expect("edges").clone();
            assert!(!edges.is_empty(), "the card is missing");
            if let Some(edge) = edges.iter().find(|edge| edge["node"]["testNumber"] == json!(number)) {
                return edge["cursor"].as_str().expect("a cursor").to_owned();
            }
            after = page.at("/viewer/mockTestAttempts/pageInfo/endCursor").clone();
        }
    }
}
