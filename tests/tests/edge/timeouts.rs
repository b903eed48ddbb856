//! Checks that requests that wait too long for a lock or for a database connection end in time, and free their
//! connections.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jishu_tests::{Backend, Client, GraphqlResponse, TestApp};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, TransactionTrait};
use serde_json::Value;

const FLAGS: &[&str] = &["--request-seconds=2", "--database-connections=3"];

async fn on(backend: Backend, test: impl AsyncFnOnce(Arc<TestApp>)) {
    TestApp::run_with(backend, FLAGS, test).await;
}

/// Locks a table against all other connections, on a new connection. Closing the connection unlocks the table.
async fn lock(app: &TestApp, table: &str) -> DatabaseConnection {
    let mut options = sea_orm::ConnectOptions::new(&app.database_url);
    options.max_connections(1).min_connections(1);
    let connection = Database::connect(options).await.unwrap();
    let statements = match app.backend {
        Backend::MariaDb => format!("LOCK TABLES {table} WRITE"),
        _ => format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"),
    };
    connection.execute_unprepared(&statements).await.unwrap();
    connection
}

async fn timed(client: &Client, query: &str) -> (GraphqlResponse, Duration) {
    let started = Instant::now();
    let answer = client.send(query, Value::Null).await;
    (answer, started.elapsed())
}

/// Ten requests read a locked table, and the server has two connections for reading. Each request fails in time. Then
/// other requests succeed although the table is still locked.
async fn a_request_that_waits_for_a_lock_frees_its_connection(app: Arc<TestApp>) {
    let learner = app.learner("Asha").await;
    app.course(&["Physics"]).create(&app).await;
    let lock = lock(&app, "mock_test_attempts").await;
    let page = "{ viewer { mockTestAttempts { edges { node { id } } } } }";
    let answers = join_all((0..10).map(|_| timed(&learner, page))).await;
    for (answer, took) in &answers {
        let code = &answer.body["errors"][0]["extensions"]["code"];
        assert!(code == "TIMEOUT" || code == "OVERLOADED", "{:#}", answer.body);
        assert!(*took < Duration::from_millis(3_000), "took {took:?}");
    }
    let (answer, took) = timed(&learner, "{ viewer { name } }").await;
    assert_eq!(answer.text("/viewer/name"), "Asha");
    // The database ends an abandoned statement after half of a request's time limit, so a connection is free by then.
    assert!(took < Duration::from_millis(1_500), "took {took:?}");
    lock.close().await.unwrap();
    assert_eq!(learner.run(page).await.list("/viewer/mockTestAttempts/edges").len(), 0);
}

/// A purchase runs in a task of its own. If it waits for a lock, the task gives up in time and frees its connection.
async fn a_write_that_waits_gives_up_too(app: Arc<TestApp>) {
    let learner = app.learner("Asha").await;
    let course = app.course(&["Physics"]).create(&app).await;
    let lock = lock(&app, "users").await;
    let before = Instant::now();
    let purchase = format!(
        r#"mutation {{ purchase(input: {{ courseId: "{}", purchaseType: SINGLE_SUBJECT, subjectIds: ["{}"] }}) {{ outcome }} }}"#,
        course.id, course.subjects[0]
    );
    for (answer, took) in join_all((0..6).map(|_| timed(&learner, &purchase))).await {
        let code = &answer.body["errors"][0]["extensions"]["code"];
        assert!(code == "TIMEOUT" || code == "OVERLOADED", "{:#}", answer.body);
        assert!(took < Duration::from_millis(3_000), "took {took:?}");
    }
    // The connection for writing is free again.
    app.connection().begin().await.unwrap().rollback().await.unwrap();
    assert!(before.elapsed() < Duration::from_millis(5_000), "took {:?}", before.elapsed());
    lock.close().await.unwrap();
    assert_eq!(learner.run(&purchase).await.text("/purchase/outcome"), "CREATED");
}

/// If no connection is free, a request waits no longer than its time limit.
async fn a_request_without_a_connection_is_given_up(app: Arc<TestApp>) {
    let learner = app.learner("Asha").await;
    let readers = app.services.database.reader().pool();
    // On a database server, one of the three connections is for writing, so two are for reading.
    let count = if app.backend == Backend::Sqlite { 3 } else { 2 };
    let taken = join_all((0..count).map(|_| readers.begin())).await;
    let started = Instant::now();
    let response = app
        .http()
        .post(app.url("/graphql"))
        .bearer_auth(learner.token())
        .json(&serde_json::json!({ "query": "{ viewer { name } }" }))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 504);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["errors"][0]["extensions"]["code"], "TIMEOUT");
    assert!((1_900..3_000).contains(&started.elapsed().as_millis()), "took {:?}", started.elapsed());
    for transaction in taken {
        // PostgreSQL may have ended the transaction, because it was idle for longer than a statement may take. So an
        // error is ignored.
        let _ = transaction.unwrap().rollback().await;
    }
    assert_eq!(learner.run("{ viewer { name } }").await.text("/viewer/name"), "Asha");
}

macro_rules! on_servers {
    ($($name:ident),+) => {
        mod postgres { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::on(super::Backend::Postgres, super::$name).await; })+ }
        mod mariadb { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::on(super::Backend::MariaDb, super::$name).await; })+ }
    };
}

on_servers!(
    a_request_that_waits_for_a_lock_frees_its_connection,
    a_write_that_waits_gives_up_too,
    a_request_without_a_connection_is_given_up
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_a_request_without_a_connection_is_given_up() {
    on(Backend::Sqlite, a_request_without_a_connection_is_given_up).await;
}
