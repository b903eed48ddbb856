//! The buyers, the subjects and the requests.

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};

use jishu_entity::purchase::PurchaseType;
use jishu_entity::user::Role;
use jishu_entity::{CourseId, SubjectId, UserId};
use jishu_service::Services;
use jishu_service::auth::Viewer;
use jishu_service::purchase::{self, PurchaseRequest, Selection};
use jishu_tests::bench_server::bench_services;
use jishu_tests::global_id;
use jishu_tests::load::graphql_post;
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use crate::{CONNECTIONS, TURNS};

/// Purchases that are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    /// Each buyer purchases a subject of 50 cards.
    Single,
    /// One buyer purchases another subject of 50 cards each time, on all connections.
    HotBuyer,
    /// Each buyer purchases a bundle of three subjects, of 150 cards.
    Bundle,
}

/// The buyer of all purchases of [`Workload::HotBuyer`].
pub(crate) const HOT_BUYER: i64 = 1;
/// The course whose subjects are sold one by one.
pub(crate) const COURSE: i64 = 1;
/// The course that is sold as a bundle, and its subjects.
pub(crate) const BUNDLE: i64 = 2;
pub(crate) const BUNDLE_SUBJECTS: [i64; 3] = [1, 2, 3];
/// The subject of [`Workload::Single`].
pub(crate) const SUBJECT: i64 = 4;

impl Workload {
    /// Number of purchases in a turn.
    pub(crate) const fn purchases(self) -> usize {
        let each = match self {
            Self::Single => 150,
            Self::HotBuyer => 60,
            Self::Bundle => 60,
        };
        each * CONNECTIONS
    }

    /// Returns the numbers of the purchases of a turn. Each purchase has another number.
    pub(crate) fn numbers(self, turn: usize) -> Range<i64> {
        let purchases = i64::try_from(self.purchases()).expect("few");
        let first = i64::try_from(turn).expect("few") * purchases;
        first..first + purchases
    }

    /// The number of purchases in all turns.
    fn all(self) -> i64 {
        self.numbers(2 * (TURNS + 1)).start
    }

    /// Returns the buyer of the purchase with the number 0.
    pub(crate) fn first_buyer(self) -> i64 {
        match self {
            // The buyers 2 and 3 show the statements.
            Self::Single => 10,
            Self::HotBuyer => HOT_BUYER,
            Self::Bundle => Self::Single.first_buyer() + Self::Single.all(),
        }
    }

    /// Returns the subject that the hot buyer purchases with the number 0.
    pub(crate) const fn first_subject() -> i64 {
        SUBJECT + 1
    }
}

/// A catalogue, the buyers, and the statements of a purchase.
pub(crate) struct Shop {
    services: Services,
    /// The access token of the buyer of [`Workload::HotBuyer`].
    hot_token: String,
    /// The statements of a purchase of a subject, and of a bundle.
    pub(crate) statements: [Vec<String>; 2],
}

impl Shop {
    pub(crate) async fn open(url: &str, folder: &Path) -> Self {
        let texts = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&texts);
        let observer = Arc::new(move |sql: &str| log.lock().expect("never poisoned").push(sql.to_owned()));
        let services = bench_services(url, folder, observer).await;
        let buyers = Workload::Bundle.first_buyer() + Workload::Bundle.all();
        let subjects = SUBJECT + 1 + Workload::HotBuyer.all();
        let rows = format!(
            "INSERT INTO users (name, email, password_hash, role, status, created_at) \
             SELECT 'Buyer', n || '@example.com', 'none', 'learner', 'active', now() FROM generate_series(1, {buyers}) n; \
             INSERT INTO courses (name, currency, bundle_price, created_at) \
             VALUES ('Subjects', 'INR', NULL, now()), ('Bundle', 'INR', 20000, now()); \
             INSERT INTO subjects (course_id, name, list_price, total_mock_tests, max_attempts, created_at) \
             SELECT CASE WHEN n <= 3 THEN {BUNDLE} ELSE {COURSE} END, 'Subject ' || n, 10000, 50, 3, now() \
             FROM generate_series(1, {subjects}) n"
        );
        let writer = services.database.writer();
        writer.execute_unprepared(&rows).await.expect("the rows");
        writer.execute_unprepared("VACUUM ANALYZE").await.expect("the statistics");
        let mut shown = Vec::new();
        for (buyer, workload) in [(2, Workload::Single), (3, Workload::Bundle)] {
            texts.lock().expect("never poisoned").clear();
            let request =
                PurchaseRequest { selection: selection(workload, 0), cost: None, idempotency_key: None };
            purchase::purchase(&services, UserId(buyer), request).await.expect("a purchase");
            shown.push(texts.lock().expect("never poisoned").clone());
        }
        let bundle = shown.pop().expect("two");
        let single = shown.pop().expect("two");
        let hot_token = token(&services, HOT_BUYER);
        Self { services, hot_token, statements: [single, bundle] }
    }

    /// Returns the bytes of two requests: one with which the buyer looks at the shop, and the purchase.
    pub(crate) fn requests(&self, workload: Workload, number: i64) -> [Vec<u8>; 2] {
        let token = match workload {
            Workload::HotBuyer => self.hot_token.clone(),
            _ => token(&self.services, workload.first_buyer() + number),
        };
        let selection = selection(workload, number);
        let subjects: Vec<String> =
            selection.subject_ids.iter().map(|id| global_id("Subject", id.0)).collect();
        let kind = if workload == Workload::Bundle { "FULL_BUNDLE" } else { "SINGLE_SUBJECT" };
        let body = serde_json::json!({
            "query": "mutation ($input: PurchaseInput!) { purchase(input: $input) { outcome testCardsCreated userErrors { code } } }",
            "variables": { "input": {
                "courseId": global_id("Course", selection.course_id.0),
                "purchaseType": kind,
                "subjectIds": subjects,
                "idempotencyKey": Uuid::new_v4().to_string(),
            } }
        });
        let look = r#"{"query":"{ __typename }"}"#;
        [graphql_post(&token, look), graphql_post(&token, &body.to_string())]
    }
}

/// Returns an access token of a buyer.
fn token(services: &Services, buyer: i64) -> String {
    let viewer = Viewer { user_id: UserId(buyer), role: Role::Learner, session_id: Uuid::new_v4() };
    services.tokens.issue(viewer, services.clock.now()).expect("a token").token
}

fn selection(workload: Workload, number: i64) -> Selection {
    let (course, purchase_type, subjects) = match workload {
        Workload::Single => (COURSE, PurchaseType::SingleSubject, vec![SUBJECT]),
        Workload::HotBuyer => (COURSE, PurchaseType::SingleSubject, vec![Workload::first_subject() + number]),
        Workload::Bundle => (BUNDLE, PurchaseType::FullBundle, Vec::new()),
    };
    let subject_ids = subjects.into_iter().map(SubjectId).collect();
    Selection { course_id: CourseId(course), purchase_type, subject_ids }
}
