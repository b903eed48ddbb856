//! The metrics of the server.

use std::sync::Arc;

use chrono::TimeDelta;
use futures_util::future::join_all;
use jishu_entity::outbox_message::{self, OutboxChannel, OutboxState};
use jishu_entity::user::Role;
use jishu_service::metrics::{ExpositionFormat, StatementVerb, name_of_statement};
use jishu_service::outbox;
use jishu_tests::{Backend, Client, RefundInput, TestApp, Tries, answer, on_each_database, rows, wait_until};
use sea_orm::{ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, TransactionTrait};
use serde_json::{Value, json};

use super::DemoServer;

on_each_database!(a_table_without_a_name_would_be_found,);

/// Makes a test of each function on each database. The server of each test counts metrics.
macro_rules! with_metrics {
    ($($name:ident),+ $(,)?) => {
        with_metrics!(@ sqlite_with_metrics, Sqlite, $($name),+);
        with_metrics!(@ postgres_with_metrics, Postgres, $($name),+);
        with_metrics!(@ mariadb_with_metrics, MariaDb, $($name),+);
    };
    (@ $module:ident, $backend:ident, $($name:ident),+) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    // The flag makes the services count metrics. The test does not open this address.
                    let flags = ["--metrics-listen=127.0.0.1:9464"];
                    jishu_tests::TestApp::run_with(jishu_tests::Backend::$backend, &flags, super::$name).await;
                }
            )+
        }
    };
}

with_metrics!(
    the_life_of_a_learner_is_counted,
    statements_and_transactions_are_counted_by_name,
    the_outbox_counts_what_can_still_be_delivered,
    queries_that_wait_for_a_permit_are_counted,
);

fn text(app: &TestApp) -> String {
    app.services.metrics.encode(ExpositionFormat::PrometheusText).unwrap()
}

/// Returns the value of the only sample with this name and all of these labels, or `None` if there is no such sample.
fn sample(text: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let mut found = text.lines().filter(|line| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| {
            rest.starts_with(['{', ' ']) && labels.iter().all(|label| rest.contains(label))
        })
    });
    let line = found.next()?;
    assert_eq!(found.next(), None, "several samples of {name} have {labels:?}");
    line.rsplit_once(' ').unwrap().1.parse().ok()
}

async fn the_life_of_a_learner_is_counted(app: Arc<TestApp>) {
    let course = app.course(&["Physics"]).create(&app).await;
    app.bank(course.subject_rows[0], 60).await;
    let learner = app.learner("Asha").await;
    let cards = app.cards(&learner, &course).await;
    // The learner has already bought the only subject of the course, so this purchase has the outcome `EXISTING`.
    learner.buy(course.whole()).await;
    let started = learner.start_session(&cards[0]).await;
    assert!(learner.start_session(&cards[0]).await.resumed);
    let answers: Vec<Value> =
        started.questions().iter().take(3).map(|question| answer(question, Tries::Right)).collect();
    learner.save_answers(started.id(), 1, json!(answers)).await;
    learner.submit_session(started.id(), None).await;
    let support = app.staff("Support", Role::Support).await;
    let purchase = app.global("Purchase", 1);
    support.refund(RefundInput::whole(&purchase)).await;
    app.anonymous().login("asha@example.com", "wrong password").await;

    let text = text(&app);
    let is = |name, labels: &[&str]| {
        sample(&text, name, labels).unwrap_or_else(|| panic!("{name} {labels:?}: {text}"))
    };
    assert_eq!(is("jishu_purchases_total", &["result=\"created\""]), 1.0);
    assert_eq!(is("jishu_purchases_total", &["result=\"existing\""]), 1.0);
    assert_eq!(is("jishu_purchases_total", &["result=\"refused\""]), 0.0);
    assert_eq!(is("jishu_cards_granted_total", &[]), 50.0);
    assert_eq!(is("jishu_sitting_starts_total", &["result=\"started\""]), 1.0);
    assert_eq!(is("jishu_sitting_starts_total", &["result=\"resumed\""]), 1.0);
    assert_eq!(is("jishu_answer_batches_saved_total", &[]), 1.0);
    assert_eq!(is("jishu_answers_saved_total", &[]), 3.0);
    assert_eq!(is("jishu_sitting_ends_total", &["by=\"learner\""]), 1.0);
    assert_eq!(is("jishu_refunds_total", &[]), 1.0);
    assert_eq!(is("jishu_sign_ins_total", &["result=\"failed\""]), 1.0);
    // The documents are not trusted, so the mutations are counted by their root field and under the operation `other`.
    for field in ["purchase", "startTestSession", "saveAnswers", "submitTestSession", "refundPurchase"] {
        let labels = ["kind=\"mutation\"", &format!("field=\"{field}\"")];
        assert!(is("jishu_root_field_seconds_count", &labels) >= 1.0);
    }
    assert!(
        is("jishu_operation_seconds_count", &["operation=\"other\"", "kind=\"mutation\"", "outcome=\"ok\""])
            >= 8.0
    );
    assert!(is("jishu_operation_cost_total", &["result=\"charged\""]) > 50.0);
    assert!(is("jishu_operations_total", &["transport=\"post\"", "outcome=\"ok\""]) >= 8.0);
    assert!(is("jishu_http_request_seconds_count", &["route=\"graphql\"", "status=\"2xx\""]) >= 8.0);
    assert!(is("jishu_connections_open", &[]) >= 1.0);
    assert_eq!(is("jishu_operations_running", &["transport=\"post\""]), 0.0);
}

async fn statements_and_transactions_are_counted_by_name(app: Arc<TestApp>) {
    let course = app.course(&["Physics"]).create(&app).await;
    let learner = app.learner("Asha").await;
    learner.buy(course.subject(0)).await;
    learner.run("{ viewer { purchases { edges { node { id } } } } }").await;
    wait_until("the outbox is counted", async || {
        sample(&text(&app), "jishu_outbox_counted_timestamp_seconds", &[]).is_some_and(|at| at > 0.0)
    })
    .await;
    let text = text(&app);
    let is = |name, labels: &[&str]| {
        sample(&text, name, labels).unwrap_or_else(|| panic!("{name} {labels:?}: {text}"))
    };
    // PostgreSQL inserts a purchase and its cards in one statement, which is counted for the table `purchases`.
    let table = match app.backend {
        Backend::Postgres => "table=\"purchases\"",
        _ => "table=\"mock_test_attempts\"",
    };
    let insert = ["verb=\"insert\"", table, "transaction=\"purchase\""];
    assert_eq!(is("jishu_statement_seconds_count", &insert), 1.0);
    let select = ["verb=\"select\"", "table=\"purchases\"", "transaction=\"none\""];
    assert!(is("jishu_statement_seconds_count", &select) >= 1.0);
    let committed = ["transaction=\"purchase\"", "outcome=\"committed\""];
    assert_eq!(is("jishu_transaction_seconds_count", &committed), 1.0);
    for pool in ["reader", "writer"] {
        let pool = format!("pool=\"{pool}\"");
        assert!(is("jishu_connection_wait_seconds_count", &[&pool]) >= 1.0);
        assert_eq!(is("jishu_pool_waiting", &[&pool]), 0.0);
        assert!(is("jishu_pool_connections", &[&pool, "state=\"max\""]) >= 1.0);
    }
    assert!(is("jishu_turn_wait_seconds_count", &[]) >= 1.0);
    assert_eq!(is("jishu_outbox_messages", &["channel=\"mail\"", "state=\"dead\""]), 0.0);
    assert_eq!(is("jishu_outbox_oldest_seconds", &["channel=\"payment\""]), 0.0);
    for verb in ["insert", "update", "delete"] {
        let unnamed = format!("verb=\"{verb}\",table=\"other\"");
        assert!(!text.contains(&unnamed), "a statement has no name: {text}");
    }
}

/// Adds a message to the outbox. `minutes` says when it was made, is due and expires, in minutes from now.
async fn add_message(
    app: &TestApp,
    (state, attempts): (OutboxState, i32),
    payload: Option<&str>,
    minutes: [i64; 3],
) {
    let [created_at, due_at, expires_at] =
        minutes.map(|minutes| app.services.clock.now() + TimeDelta::minutes(minutes));
    let number = app.number("SELECT COUNT(*) FROM outbox").await;
    let message = outbox_message::ActiveModel {
        id: NotSet,
        message_id: Set(format!("00000000-0000-4000-8000-{number:012}")),
        channel: Set(OutboxChannel::Mail),
        kind: Set("verify_email".to_owned()),
        user_id: Set(None),
        payload: Set(payload.map(str::to_owned)),
        state: Set(state),
        attempts: Set(attempts),
        due_at: Set(due_at),
        lease_owner: Set(None),
        last_error: Set(None),
        created_at: Set(created_at),
        expires_at: Set(expires_at),
        sent_at: Set(None),
    };
    message.insert(app.connection()).await.unwrap();
}

async fn the_outbox_counts_what_can_still_be_delivered(app: Arc<TestApp>) {
    // The server counts the outbox every 15 seconds. After the server's first count, the test counts by itself.
    wait_until("the outbox is counted", async || {
        sample(&text(&app), "jishu_outbox_counted_timestamp_seconds", &[]).is_some_and(|at| at > 0.0)
    })
    .await;
    let now = app.services.clock.now();
    let measured = async || {
        let metrics = app.services.metrics.outbox().unwrap();
        outbox::measure_backlog(metrics, &app.services.database, now).await.unwrap();
        let text = text(&app);
        let dead = sample(&text, "jishu_outbox_messages", &["channel=\"mail\"", "state=\"dead\""]);
        let oldest = sample(&text, "jishu_outbox_oldest_seconds", &["channel=\"mail\""]);
        (dead.unwrap(), oldest.unwrap(), outbox::is_stuck(&app.services.database, now).await.unwrap())
    };
    // Expired messages are not counted, whether or not they still have content: nobody can deliver them any more.
    add_message(&app, (OutboxState::Dead, 10), None, [-90, -60, -1]).await;
    add_message(&app, (OutboxState::Dead, 10), Some("content"), [-90, -60, -1]).await;
    add_message(&app, (OutboxState::Leased, 3), Some("content"), [-90, 5, -1]).await;
    // A message that is due in an hour is not counted as waiting yet.
    add_message(&app, (OutboxState::Pending, 0), Some("content"), [-60, 60, 120]).await;
    assert_eq!(measured().await, (0.0, 0.0, false));
    add_message(&app, (OutboxState::Dead, 10), Some("content"), [-90, -60, 60]).await;
    add_message(&app, (OutboxState::Leased, 1), Some("content"), [-14, 5, 60]).await;
    assert_eq!(measured().await, (1.0, 14.0 * 60.0, false));
    add_message(&app, (OutboxState::Leased, 1), Some("content"), [-20, 5, 60]).await;
    assert_eq!(measured().await, (1.0, 20.0 * 60.0, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_without_a_permit_or_without_time_count_as_failures() {
    let flags = [
        "--metrics-listen=127.0.0.1:9464",
        "--max-requests=1",
        "--request-seconds=2",
        "--database-connections=3",
    ];
    TestApp::run_with(Backend::Sqlite, &flags, async |app| {
        let learner = app.learner("Asha").await;
        let count = |name: &str, labels: &[&str]| sample(&text(&app), name, labels);
        // All connections are taken, so the operation waits until its time limit of 2 seconds. Meanwhile it has the
        // only permit for requests.
        let readers = app.services.database.reader().pool();
        let taken = join_all((0..3).map(|_| readers.begin())).await;
        let waiting = tokio::spawn(async move { learner.send("{ viewer { name } }", Value::Null).await });
        wait_until("the operation runs", async || {
            count("jishu_operations_running", &["transport=\"post\""]) == Some(1.0)
        })
        .await;
        let refused = app.anonymous().send("{ __typename }", Value::Null).await;
        assert_eq!(refused.body["errors"][0]["extensions"]["code"], "OVERLOADED", "{:#}", refused.body);
        let failed = ["transport=\"post\"", "outcome=\"server_error\""];
        assert_eq!(count("jishu_operations_total", &failed), Some(1.0));
        assert_eq!(count("jishu_operation_errors_total", &["code=\"OVERLOADED\""]), Some(1.0));

        let given_up = waiting.await.unwrap();
        assert_eq!(given_up.body["errors"][0]["extensions"]["code"], "TIMEOUT", "{:#}", given_up.body);
        assert_eq!(count("jishu_operations_total", &failed), Some(2.0));
        assert_eq!(count("jishu_operation_errors_total", &["code=\"TIMEOUT\""]), Some(1.0));
        let abandoned = ["transport=\"post\"", "outcome=\"abandoned\""];
        assert_eq!(count("jishu_operations_total", &abandoned), None);
        let by_field = ["field=\"viewer\"", "outcome=\"server_error\""];
        assert_eq!(count("jishu_root_field_seconds_count", &by_field), Some(1.0));
        let responses = ["route=\"graphql\"", "status=\"5xx\""];
        assert_eq!(count("jishu_http_request_seconds_count", &responses), Some(2.0));
        for transaction in taken {
            transaction.unwrap().rollback().await.unwrap();
        }
    })
    .await;
}

async fn queries_that_wait_for_a_permit_are_counted(app: Arc<TestApp>) {
    let learner = app.learner("Asha").await;
    let waiting = || sample(&text(&app), "jishu_pool_waiting", &["pool=\"reader\""]);
    // The test has all connections for reading. As many queries as there are permits wait for a connection, and two more
    // wait for a permit. The metric subtracts the connections that the test has, so it shows at least 2.
    let state = ["pool=\"reader\"", "state=\"max\""];
    let max = sample(&text(&app), "jishu_pool_connections", &state).unwrap();
    let max = (0_u32..).take_while(|count| f64::from(*count) < max).count();
    let readers = app.services.database.reader().pool();
    let taken = join_all((0..max).map(|_| readers.begin())).await;
    let requests: Vec<_> = (0..max + 2)
        .map(|_| {
            let learner = learner.clone();
            tokio::spawn(async move { learner.send("{ viewer { name } }", Value::Null).await })
        })
        .collect();
    // The queries of the server's own tasks may wait as well.
    wait_until("two more queries wait than there are connections", async || waiting() >= Some(2.0)).await;
    for transaction in taken {
        transaction.unwrap().rollback().await.unwrap();
    }
    for request in requests {
        let response = request.await.unwrap();
        assert_eq!(response.body["data"]["viewer"]["name"], "Asha", "{:#}", response.body);
    }
    wait_until("no query waits", async || waiting() == Some(0.0)).await;
}

async fn a_table_without_a_name_would_be_found(app: Arc<TestApp>) {
    let tables = match app.backend {
        Backend::Sqlite => "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
        Backend::Postgres => {
            "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
        }
        Backend::MariaDb => {
            "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'"
        }
    };
    let tables = rows(app.connection(), tables).await.concat();
    assert!(tables.len() > 40, "{tables:?}");
    for table in &tables {
        let name = name_of_statement(&format!("SELECT 1 FROM \"{table}\""));
        assert_eq!(
            (name.verb, name.table),
            (StatementVerb::Select, table.as_str()),
            "the metrics have no name for this table; add it to `metrics/statement.rs` of the service crate"
        );
    }
    assert!(!app.services.metrics.is_on(), "metrics are on although no flag asked for them");
}

/// A trusted document. The name of its operation, `ShelfOfCourses`, becomes a label of the metrics.
const TRUSTED: &str = "query ShelfOfCourses { courses(first: 1) { edges { node { id } } } }";

fn manifest(folder: &std::path::Path) -> String {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, TRUSTED.as_bytes());
    let id: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let file = folder.join("trusted.json");
    std::fs::write(&file, json!({ id: TRUSTED }).to_string()).unwrap();
    file.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_text_never_becomes_a_label() {
    let folder = tempfile::tempdir().unwrap();
    let server = DemoServer::start(&["--trusted-documents", &manifest(folder.path())]).await;
    // Two clients that are not signed in choose operation names and aliases that must not become labels.
    for name in ["StrangerOne", "StrangerTwo"] {
        let document = format!("query {name} {{ strangeAlias{name}: courses(first: 1) {{ totalCount }} }}");
        let sent = json!({ "query": document, "operationName": name });
        assert!(server.post(&[("x-request-id", "strange-id")], &sent).await["data"].is_object());
    }
    let refused = json!({ "query": "query StrangerThree { noSuchField }" });
    assert!(server.post(&[], &refused).await["errors"].is_array());
    let unknown =
        reqwest::Client::new().get(format!("{}/stranger/path", server.origin)).send().await.unwrap();
    assert_eq!(unknown.status(), 404);
    server.post(&[], &json!({ "query": TRUSTED })).await;
    // A document with a second operation is not a trusted document, although it contains the text of a trusted
    // document.
    let document = format!("{TRUSTED} query StrangerFour {{ __typename }}");
    server.post(&[], &json!({ "query": document, "operationName": "ShelfOfCourses" })).await;

    let (kind, text) = server.scrape("text/plain").await;
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    assert!(!text.to_lowercase().contains("strange"), "{text}");
    let operations = |name: &str| {
        let labels = [format!("operation=\"{name}\""), "outcome=\"ok\"".to_owned()];
        sample(&text, "jishu_operation_seconds_count", &[&labels[0], &labels[1], "kind=\"query\""])
    };
    assert_eq!(operations("ShelfOfCourses"), Some(1.0), "{text}");
    assert_eq!(operations("other"), Some(3.0), "{text}");
    let courses = ["field=\"courses\"", "kind=\"query\"", "outcome=\"ok\""];
    assert_eq!(sample(&text, "jishu_root_field_seconds_count", &courses), Some(4.0), "{text}");
    let refused = ["code=\"GRAPHQL_VALIDATION_FAILED\""];
    assert_eq!(sample(&text, "jishu_operation_errors_total", &refused), Some(1.0), "{text}");
    assert_eq!(
        sample(&text, "jishu_http_request_seconds_count", &["route=\"other\"", "status=\"4xx\""]),
        Some(1.0),
        "{text}"
    );

    let (kind, text) = server.scrape("application/openmetrics-text;version=1.0.0,text/plain;q=0.5").await;
    assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(text.ends_with("# EOF\n"), "{text}");
    // The listener for clients does not serve metrics, and the listener for metrics does not serve GraphQL.
    let of_clients = reqwest::get(format!("{}/metrics", server.origin)).await.unwrap();
    assert_eq!(of_clients.status(), 404);
    let graphql = reqwest::get(format!("http://{}/graphql", server.metrics)).await.unwrap();
    assert_eq!(graphql.status(), 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_and_transports_are_counted() {
    let server = DemoServer::start(&[]).await;
    let learner: Client = server.learner().await;
    let mut socket = jishu_tests::Socket::open(jishu_tests::Socket::handshake(&format!(
        "{}/graphql",
        server.origin.replace("http", "ws")
    )))
    .await
    .unwrap();
    socket.init(json!({ "authorization": format!("Bearer {}", learner.token()) })).await;
    socket.subscribe("1", "subscription { mockTestAttemptChanged { status } }").await;
    socket.subscribe("2", "{ __typename }").await;
    let is = async |name: &str, labels: &[&str]| sample(&server.scrape("text/plain").await.1, name, labels);
    let field = ["field=\"mockTestAttemptChanged\""];
    wait_until("the subscription is open", async || {
        is("jishu_subscriptions_open", &field).await == Some(1.0)
    })
    .await;
    assert_eq!(is("jishu_websockets_open", &[]).await, Some(1.0));
    super::buy_first_course(&learner).await;
    wait_until("an event is counted", async || {
        is("jishu_subscription_events_total", &field).await.is_some_and(|count| count >= 1.0)
    })
    .await;
    assert!(is("jishu_event_delay_seconds_count", &[]).await.unwrap() >= 1.0);
    let over_socket = ["transport=\"websocket\"", "outcome=\"ok\""];
    wait_until("the query over the WebSocket is counted", async || {
        is("jishu_operations_total", &over_socket).await == Some(1.0)
    })
    .await;
    socket.hang_up();
    wait_until("the subscription has ended", async || {
        is("jishu_subscriptions_open", &field).await == Some(0.0)
            && is("jishu_websockets_open", &[]).await == Some(0.0)
    })
    .await;
}
