//! Query plans that PostgreSQL made for empty tables, and keeps after the tables have grown. Also the plan for a bundle
//! beside a course with thousands of subjects. See `api/docs/decisions/kept-plans.md`.

use std::sync::Arc;

use jishu_entity::purchase::PurchaseType;
use jishu_entity::{UserId, mock_test_attempt};
use jishu_service::Services;
use jishu_service::database::{Database, DatabaseOptions};
use jishu_service::purchase::{self, PurchaseRequest, Selection};
use jishu_service::session::{self, AnswerBatch, GivenAnswer};
use jishu_tests::{Backend, TestApp, TestCourse};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, TransactionTrait};

/// The tables that grow with purchases and sittings.
const HOT_TABLES: [&str; 8] = [
    "purchases",
    "purchase_requests",
    "entitlements",
    "mock_test_attempts",
    "test_sessions",
    "test_answers",
    "cart_items",
    "audit_events",
];
/// Number of purchases that [`restore`] inserts, each with a card and a sitting of ten answers.
const RESTORED: i64 = 5_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_use_their_indexes_although_their_plans_were_made_for_empty_tables() {
    if !Backend::Postgres.is_selected() {
        return;
    }
    for _ in 0..5 {
        if plans_for_empty_tables_are_renewed().await {
            return;
        }
    }
    panic!(
        "in five attempts, no statement read a whole table: other sessions made PostgreSQL forget the plans each time, or \
         plans for empty tables use indexes now; run this test alone"
    );
}

/// Makes plans for empty tables, fills the tables, and checks that renewed statistics lead to plans with indexes.
///
/// Returns false, and checks nothing, if too few rows are read without an index while the tables have old statistics.
/// The usual reason is that the connections have lost their plans. If other tests change many tables at once, PostgreSQL
/// cannot tell a connection which tables have changed, and the connection forgets all its plans.
async fn plans_for_empty_tables_are_renewed() -> bool {
    let mut app = TestApp::start_on(Backend::Postgres).await;
    let course = app.course(&["Physics"]).cards(1).create(&app).await;
    app.bank(course.subject_rows[0], 4).await;
    let learners = ["Asha", "Binod", "Chitra"];
    for name in learners {
        app.learner(name).await;
    }
    // Stops the server, because its tasks would renew the statistics of the tables. The test renews the statistics
    // later.
    app.stop_serving().await;
    let app = Arc::new(app);
    for table in HOT_TABLES {
        app.execute(&format!("ALTER TABLE {table} SET (autovacuum_enabled = false)")).await;
    }
    app.execute("VACUUM ANALYZE").await;

    // One connection writes and one reads, so each statement meets the plan that its connection keeps.
    let options = DatabaseOptions { max_connections: Some(2), ..DatabaseOptions::new(&app.database_url) };
    let database = Database::connect(&options).await.unwrap();
    let services = Services { database, ..app.services.clone() };
    buy_and_sit(&app, &services, &course, "Asha").await;
    restore(&app, &course).await;

    let before = rows_scanned(&app, &services).await;
    buy_and_sit(&app, &services, &course, "Binod").await;
    let has_kept_plans = rows_scanned(&app, &services).await - before > RESTORED;
    if has_kept_plans {
        check_renewal(&app, &services, &course).await;
    }
    services.database.close().await.unwrap();
    Arc::into_inner(app).unwrap().stop().await;
    has_kept_plans
}

/// Checks that statistics are renewed once, and that no row of the hot tables is then read without an index.
async fn check_renewal(app: &TestApp, services: &Services, course: &TestCourse) {
    let grown = services.database.renew_statistics().await.unwrap();
    assert!(grown.renewed.iter().any(|table| table == "mock_test_attempts"), "{grown:?}");
    assert_eq!(grown.foreign, [""; 0]);
    let before = rows_scanned(app, services).await;
    buy_and_sit(app, services, course, "Chitra").await;
    let scanned = rows_scanned(app, services).await - before;
    assert_eq!(scanned, 0, "rows were read without an index");
    assert_eq!(
        services.database.renew_statistics().await.unwrap().renewed,
        [""; 0],
        "statistics were renewed although no table has grown"
    );
    renews_only_what_nobody_else_renews(app, services).await;
}

/// Checks that the statistics of a table are not renewed while another node renews them, and are renewed afterwards.
async fn renews_only_what_nobody_else_renews(app: &TestApp, services: &Services) {
    app.execute("UPDATE pg_class SET relpages = 1 WHERE relname = 'cart_items'").await;
    let other = app.connection().begin().await.unwrap();
    other.execute_unprepared("LOCK TABLE cart_items IN SHARE UPDATE EXCLUSIVE MODE").await.unwrap();
    let skipped = services.database.renew_statistics().await.unwrap();
    assert_eq!(skipped.renewed, [""; 0], "statistics were renewed although another node renews them");
    other.rollback().await.unwrap();
    assert_eq!(services.database.renew_statistics().await.unwrap().renewed, ["cart_items"]);
}

/// Number of subjects of a large course, which raises the number of subjects that PostgreSQL expects in any course.
const SUBJECTS_OF_LARGE_COURSE: i64 = 3_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_beside_a_large_course_reads_its_own_subjects() {
    if !Backend::Postgres.is_selected() {
        return;
    }
    let mut app = TestApp::start_on(Backend::Postgres).await;
    let course = app.course(&["Physics", "Chemistry", "Biology"]).bundle(200_00).create(&app).await;
    let large = app.course(&["Drawing"]).create(&app).await;
    app.learner("Asha").await;
    app.stop_serving().await;
    app.execute(&format!(
        "INSERT INTO subjects (course_id, name, list_price, created_at) \
         SELECT {}, 'Subject ' || n, 100, now() FROM generate_series(1, {SUBJECTS_OF_LARGE_COURSE}) AS n",
        large.row
    ))
    .await;
    app.execute("VACUUM ANALYZE").await;

    let options = DatabaseOptions { max_connections: Some(2), ..DatabaseOptions::new(&app.database_url) };
    let database = Database::connect(&options).await.unwrap();
    let services = Services { database, ..app.services.clone() };
    let before = subjects_read(&app, &services).await;
    let owner = UserId(app.number("SELECT id FROM users WHERE name = 'Asha'").await);
    let selection =
        Selection { course_id: course.row, purchase_type: PurchaseType::FullBundle, subject_ids: Vec::new() };
    let request = PurchaseRequest { selection, cost: None, idempotency_key: None };
    let receipt = purchase::purchase(&services, owner, request).await.unwrap();
    assert_eq!(receipt.subjects.len(), 3);
    let read = subjects_read(&app, &services).await - before;
    assert!((3..50).contains(&read), "a bundle of 3 subjects read {read} rows of subjects");

    services.database.close().await.unwrap();
    app.stop().await;
}

/// Returns how many rows of the table `subjects` PostgreSQL has read so far, with and without an index.
async fn subjects_read(app: &TestApp, services: &Services) -> i64 {
    report_statistics(services.database.writer()).await;
    app.number(
        "SELECT (seq_tup_read + COALESCE(idx_tup_fetch, 0))::bigint FROM pg_stat_user_tables WHERE relname = 'subjects'",
    )
    .await
}

/// Buys the first subject of a course, starts a sitting, saves an answer and submits, as the user with this name.
async fn buy_and_sit(app: &TestApp, services: &Services, course: &TestCourse, name: &str) {
    let owner = UserId(app.number(&format!("SELECT id FROM users WHERE name = '{name}'")).await);
    let selection = Selection {
        course_id: course.row,
        purchase_type: PurchaseType::SingleSubject,
        subject_ids: vec![course.subject_rows[0]],
    };
    let request = PurchaseRequest { selection, cost: None, idempotency_key: None };
    purchase::purchase(services, owner, request).await.unwrap();
    let card = mock_test_attempt::Entity::of(owner).one(app.connection()).await.unwrap().unwrap().id;
    let started = session::start(services, owner, card).await.unwrap().session.id;
    let answer = GivenAnswer { slot: 1, options: Some(Vec::new()), ..GivenAnswer::default() };
    let batch = AnswerBatch { sequence: 1, answers: vec![answer] };
    session::save(services, owner, started, batch, true).await.unwrap();
    session::submit(services, owner, started, None).await.unwrap();
}

/// Inserts [`RESTORED`] other learners with their purchases, sittings, answers and carts, as a restored dump would.
async fn restore(app: &TestApp, course: &TestCourse) {
    let (course_row, subject) = (course.row, course.subject_rows[0]);
    let numbers = format!("generate_series(1, {RESTORED}) AS n");
    app.execute(&format!(
        "INSERT INTO users (id, name, email, password_hash, role, status, created_at) \
         SELECT 1000000 + n, 'Other', n || '@example.org', 'none', 'learner', 'active', now() FROM {numbers}; \
         INSERT INTO purchases (id, user_id, course_id, purchase_type, cost, currency, status, created_at) \
         SELECT 1000000 + n, 1000000 + n, {course_row}, 'single_subject', 0, 'INR', 'active', now() FROM {numbers}; \
         INSERT INTO purchase_requests (user_id, idempotency_key, request_hash, outcome, purchase_id, created_at) \
         SELECT 1000000 + n, n, '', 'created', 1000000 + n, now() FROM {numbers}; \
         INSERT INTO entitlements (purchase_id, subject_id, user_id, price_paid, test_cards, granted_at) \
         SELECT 1000000 + n, {subject}, 1000000 + n, 0, 1, now() FROM {numbers}; \
         INSERT INTO mock_test_attempts (id, purchase_id, user_id, subject_id, test_number, status, max_attempts) \
         SELECT 1000000 + n, 1000000 + n, 1000000 + n, {subject}, 1, 'in_progress', 3 FROM {numbers}; \
         INSERT INTO test_sessions (id, mock_test_attempt_id, user_id, subject_id, paper_id, attempt_number, seed, status, \
         open_marker, started_at, expires_at) \
         SELECT 1000000 + n, 1000000 + n, 1000000 + n, {subject}, (SELECT MIN(id) FROM papers), 1, 1, 'in_progress', 1, \
         now(), now() + interval '1 day' FROM {numbers}; \
         INSERT INTO test_answers (session_id, slot, chosen, flagged, sequence, saved_at) \
         SELECT 1000000 + n, slot, 0, false, 1, now() FROM {numbers}, generate_series(1, 10) AS slot; \
         INSERT INTO cart_items (user_id, subject_id, added_at) SELECT 1000000 + n, {subject}, now() FROM {numbers}; \
         INSERT INTO audit_events (at, action, target_type, target_id) \
         SELECT now(), 'purchase.created', 'purchases', 1000000 + n FROM {numbers}"
    ))
    .await;
}

/// Counts the rows of the hot tables that were read without an index so far.
async fn rows_scanned(app: &TestApp, services: &Services) -> i64 {
    // PostgreSQL reports the counts of a connection with a delay, so each connection is asked to report them now.
    for connection in [services.database.writer(), services.database.reader().pool()] {
        report_statistics(connection).await;
    }
    let tables = HOT_TABLES.map(|table| format!("'{table}'")).join(", ");
    app.number(&format!(
        "SELECT SUM(seq_tup_read)::bigint FROM pg_stat_user_tables WHERE relname IN ({tables})"
    ))
    .await
}

async fn report_statistics(connection: &DatabaseConnection) {
    let flush = Statement::from_string(DbBackend::Postgres, "SELECT pg_stat_force_next_flush()");
    connection.query_one_raw(flush).await.unwrap();
}
