//! The buyers, the subjects and the requests of the measurement.

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
use jishu_tests::load::{graphql_post, json_post};
use jishu_tests::{global_id, wait_until};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use crate::{CONNECTIONS, RIVALS, TURNS};

/// A kind of purchase that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    /// Each buyer purchases a subject of 50 cards.
    Single,
    /// One buyer makes all purchases, on all connections. Each purchase is of another subject of 50 cards.
    HotBuyer,
    /// Each buyer purchases a bundle of three subjects with 50 cards each.
    Bundle,
}

/// The buyer of all purchases of [`Workload::HotBuyer`].
pub(crate) const HOT_BUYER: i64 = 1;
/// The course whose subjects are sold one by one.
pub(crate) const COURSE: i64 = 1;
/// The course that is sold as a bundle.
pub(crate) const BUNDLE: i64 = 2;
pub(crate) const BUNDLE_SUBJECTS: [i64; 3] = [1, 2, 3];
/// The subject of [`Workload::Single`].
pub(crate) const SUBJECT: i64 = 4;

impl Workload {
    /// Returns the number of purchases in a turn.
    pub(crate) const fn purchases(self) -> usize {
        let each = match self {
            Self::Single => 150,
            Self::HotBuyer => 60,
            Self::Bundle => 60,
        };
        each * CONNECTIONS
    }

    /// Returns the numbers of the purchases in a turn. No two turns of a workload share a number.
    pub(crate) fn numbers(self, turn: usize) -> Range<i64> {
        let purchases = i64::try_from(self.purchases()).expect("few");
        let first = i64::try_from(turn).expect("few") * purchases;
        first..first + purchases
    }

    /// Returns the number of purchases in all turns of jishu, pgbench and the handler for comparison.
    fn all(self) -> i64 {
        self.numbers(RIVALS * (TURNS + 1)).start
    }

    /// Returns the id of the buyer of purchase number 0.
    pub(crate) fn first_buyer(self) -> i64 {
        match self {
            // Smaller ids are taken: buyer 1 is the hot buyer, and the purchases of the buyers 2 and 3 show the SQL
            // statements.
            Self::Single => 10,
            Self::HotBuyer => HOT_BUYER,
            Self::Bundle => Self::Single.first_buyer() + Self::Single.all(),
        }
    }

    /// Returns the id of the subject in purchase number 0 of the hot buyer.
    pub(crate) const fn first_subject() -> i64 {
        SUBJECT + 1
    }
}

/// The services, a buyer's token, and the SQL statements of a purchase.
pub(crate) struct Shop {
    services: Services,
    /// The access token of the buyer of [`Workload::HotBuyer`].
    hot_token: String,
    /// The SQL statements of a purchase of one subject, and those of a purchase of a bundle.
    pub(crate) statements: [Vec<String>; 2],
}

impl Shop {
    pub(crate) async fn open(url: &str, folder: &Path) -> Self {
        let texts = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&texts);
        let observer = Arc::new(move |sql: &str| log.lock().expect("never poisoned").push(sql.to_owned()));
        let services = bench_services(url, folder, observer).await;
        let buyers = Workload::Bundle.first_buyer() + Workload::Bundle.all();
        let rows = format!(
            "INSERT INTO users (name, email, password_hash, role, status, created_at) \
             SELECT 'Buyer', n || '@example.com', 'none', 'learner', 'active', now() FROM generate_series(1, {buyers}) n; \
             INSERT INTO courses (name, currency, bundle_price, created_at) \
             VALUES ('Subjects', 'INR', NULL, now()), ('Bundle', 'INR', 20000, now()); \
             INSERT INTO subjects (course_id, name, list_price, total_mock_tests, max_attempts, created_at) \
             SELECT CASE WHEN n <= 3 THEN {BUNDLE} ELSE {COURSE} END, 'Subject ' || n, 10000, 50, 3, now() \
             FROM generate_series(1, {SUBJECT}) n"
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

    /// Inserts the subjects that the buyer of [`Workload::HotBuyer`] purchases.
    pub(crate) async fn add_subjects_of_hot_buyer(&self) {
        let (first, last) = (Workload::first_subject(), Workload::first_subject() + Workload::HotBuyer.all());
        let rows = format!(
            "INSERT INTO subjects (course_id, name, list_price, total_mock_tests, max_attempts, created_at) \
             SELECT {COURSE}, 'Subject ' || n, 10000, 50, 3, now() FROM generate_series({first}, {last}) n"
        );
        let writer = self.services.database.writer();
        writer.execute_unprepared(&rows).await.expect("the rows");
        // Autovacuum may hold a lock of the table for some seconds.
        wait_until("new statistics", async || writer.execute_unprepared("ANALYZE subjects").await.is_ok())
            .await;
    }

    /// Returns the bytes of a request to the handler for comparison: the purchase number `number` of one subject.
    pub(crate) fn rest_request(&self, number: i64) -> Vec<u8> {
        let token = token(&self.services, Workload::Single.first_buyer() + number);
        let body = serde_json::json!({
            "courseId": COURSE,
            "subjectId": SUBJECT,
            "idempotencyKey": Uuid::new_v4().to_string(),
        });
        json_post("/purchases", &token, &body.to_string())
    }

    /// Returns the bytes of two requests of the same buyer: a query for `__typename`, and the purchase. The query comes
    /// first, because usually the server has verified a buyer's token before the purchase.
    pub(crate) fn requests(&self, workload: Workload, number: i64) -> (Vec<u8>, Vec<u8>) {
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
        (graphql_post(&token, look), graphql_post(&token, &body.to_string()))
    }
}

/// Returns an access token for a buyer.
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
