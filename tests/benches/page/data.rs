//! The rows of the measurement: one learner with 501,000 cards.

use std::path::Path;
use std::sync::Arc;

use jishu_api::server;
use jishu_entity::purchase::PurchaseType;
use jishu_entity::user::{Role, UserStatus};
use jishu_entity::{SubjectId, course, mock_test_attempt, subject, user};
use jishu_service::auth::{KeyRing, Viewer};
use jishu_service::clock::SystemClock;
use jishu_service::database::Database;
use jishu_service::purchase::{self, PurchaseRequest, Selection};
use jishu_tests::Client;
use sea_orm::ActiveModelTrait;
use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter};
use serde_json::json;
use uuid::Uuid;

use crate::{CARDS_PER_PAGE, config};

const CARDS_PER_SUBJECT: usize = 1_000;

/// The learner, and what requests for their cards contain.
pub(crate) struct World {
    /// An access token of the learner.
    pub(crate) token: String,
    owner: i64,
    /// The subjects, in the order of their ids.
    subjects: Vec<SubjectId>,
    /// The id of the last card before the deep page.
    card_before: i64,
}

impl World {
    /// The number of cards before page 10,000.
    pub(crate) const DEPTH: usize = 9_999 * CARDS_PER_PAGE;
    /// The number of subjects that have page 10,000.
    pub(crate) const SUBJECTS: usize = Self::DEPTH / CARDS_PER_SUBJECT + 2;

    /// Creates a course of many subjects, and a learner who buys all of them.
    pub(crate) async fn create(url: &str, folder: &Path, subject_count: usize) -> Self {
        KeyRing::load_or_create(&folder.join("keys.pem")).expect("a key");
        let config = config(url, folder, 0);
        let database = Database::connect(&config.database.options()).await.expect("the database opens");
        database.migrate_up().await.expect("the migrations apply");
        let services =
            server::services(&config, database, Arc::new(SystemClock)).await.expect("the services");
        let (connection, now) = (services.database.writer(), services.clock.now());
        let course = course::ActiveModel {
            name: Set("Engineering entrance".to_owned()),
            currency: Set("INR".to_owned()),
            created_at: Set(now),
            ..Default::default()
        };
        let course = course.insert(connection).await.expect("a course").id;
        let mut subjects = Vec::new();
        for number in 0..subject_count {
            let subject = subject::ActiveModel {
                course_id: Set(course),
                name: Set(format!("Physics {number}")),
                list_price: Set(100_00),
                total_mock_tests: Set(i32::try_from(CARDS_PER_SUBJECT).expect("few")),
                max_attempts: Set(3),
                created_at: Set(now),
                ..Default::default()
            };
            subjects.push(subject.insert(connection).await.expect("a subject").id);
        }
        services.catalog.reload().await.expect("the catalogue can be read");
        let learner = user::ActiveModel {
            name: Set("Asha".to_owned()),
            email: Set("asha@example.com".to_owned()),
            // Nobody signs in with this password.
            password_hash: Set("none".to_owned()),
            role: Set(Role::Learner),
            status: Set(UserStatus::Active),
            created_at: Set(now),
            ..Default::default()
        };
        let owner = learner.insert(connection).await.expect("a learner").id;
        for subject in &subjects {
            let selection = Selection {
                course_id: course,
                purchase_type: PurchaseType::SingleSubject,
                subject_ids: vec![*subject],
            };
            let request = PurchaseRequest { selection, cost: None, idempotency_key: None };
            purchase::purchase(&services, owner, request).await.expect("a purchase");
        }
        let statistics = match connection.get_database_backend() {
            sea_orm::DbBackend::Postgres => "VACUUM ANALYZE",
            sea_orm::DbBackend::MySql => "ANALYZE TABLE mock_test_attempts",
            _ => "ANALYZE",
        };
        connection.execute_unprepared(statistics).await.expect("the statistics are made");
        let (subject, number) = Self::key_before(&subjects);
        let card = mock_test_attempt::Entity::of(owner)
            .filter(mock_test_attempt::Column::SubjectId.eq(subject))
            .filter(mock_test_attempt::Column::TestNumber.eq(number))
            .one(services.database.reader());
        let card_before = card.await.expect("the query runs").expect("a card").id.0;
        let viewer = Viewer { user_id: owner, role: Role::Learner, session_id: Uuid::new_v4() };
        let token = services.tokens.issue(viewer, services.clock.now()).expect("a token").token;
        services.database.close().await.expect("it closes");
        Self { token, owner: owner.0, subjects, card_before }
    }

    /// Returns the subject and the number of the last card before the deep page, or of some card if there are fewer.
    fn key_before(subjects: &[SubjectId]) -> (SubjectId, i32) {
        let index = (Self::DEPTH - 1).min(subjects.len() * CARDS_PER_SUBJECT - 1);
        let number = i32::try_from(index % CARDS_PER_SUBJECT + 1).expect("few");
        (subjects[index / CARDS_PER_SUBJECT], number)
    }

    /// Returns a request to the REST handler for the page at this depth.
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

    /// Asks jishu for the cursor of the card before the deep page.
    pub(crate) async fn cursor_at_depth(&self, port: u16) -> String {
        let url = format!("http://127.0.0.1:{port}/graphql");
        let client = Client::new(reqwest::Client::new(), url, Some(self.token.clone()));
        let (subject, number) = Self::key_before(&self.subjects);
        // All cards of the subject, 100 at a time, up to the one that is sought.
        let document = "query ($subject: ID!, $after: String) { viewer { mockTestAttempts(first: 100, after: $after,
            filter: { subjectId: $subject }) { edges { cursor node { testNumber } } pageInfo { endCursor } } } }";
        let mut after = json!(null);
        loop {
            let subject = jishu_tests::global_id("Subject", subject.0);
            let page = client.run_with(document, json!({ "subject": subject, "after": after })).await;
            let edges = page.at("/viewer/mockTestAttempts/edges").as_array().expect("edges").clone();
            assert!(!edges.is_empty(), "the card exists");
            if let Some(edge) = edges.iter().find(|edge| edge["node"]["testNumber"] == json!(number)) {
                return edge["cursor"].as_str().expect("a cursor").to_owned();
            }
            after = page.at("/viewer/mockTestAttempts/pageInfo/endCursor").clone();
        }
    }
}
