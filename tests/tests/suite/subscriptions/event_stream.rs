//! Server-sent events by the protocol graphql-sse, in distinct connections mode.

use jishu_tests::{Backend, EventStream, TestApp};
use reqwest::Response;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio::time::Instant;

use super::{CHANGES, buy, short_token};

async fn on_sqlite(test: impl AsyncFnOnce(&TestApp)) {
    TestApp::run(Backend::Sqlite, async |app| test(&app).await).await;
}

async fn post(app: &TestApp, accept: &str, token: Option<&str>, query: &str) -> Response {
    let mut request = app.http().post(app.url("/graphql")).header("accept", accept);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    request.json(&json!({ "query": query })).send().await.unwrap()
}

fn complete() -> Option<(String, Value)> {
    Some(("complete".to_owned(), Value::Null))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_and_refusals_are_events_where_events_are_preferred() {
    on_sqlite(async |app| {
        let mut events = EventStream::of(post(app, "text/event-stream", None, "{ __typename }").await);
        let answer = json!({ "data": { "__typename": "Query" } });
        assert_eq!(events.next().await, Some(("next".to_owned(), answer)));
        assert_eq!(events.next().await, complete());
        assert_eq!(events.next().await, None);

        for (query, code) in [
            ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
            ("{", "GRAPHQL_VALIDATION_FAILED"),
            (CHANGES, "UNAUTHENTICATED"),
        ] {
            let response = post(app, "text/event-stream", None, query).await;
            assert_eq!(response.headers()["x-accel-buffering"], "no");
            let mut events = EventStream::of(response);
            let (name, answer) = events.next().await.unwrap();
            assert_eq!((name.as_str(), &answer["errors"][0]["extensions"]["code"]), ("next", &json!(code)));
            assert_eq!(events.next().await, complete());
            assert_eq!(events.next().await, None);
        }
        // The client library urql sends this header. A query then gets JSON, and a subscription gets an event stream.
        let accept = "application/graphql-response+json, application/json, text/event-stream";
        let plain = post(app, accept, None, "{ __typename }").await;
        assert_eq!(plain.headers()["content-type"], "application/graphql-response+json; charset=utf-8");
        let token = app.learner("Asha").await.token().to_owned();
        let stream = EventStream::of(post(app, accept, Some(&token), CHANGES).await);
        app.watched_by(1).await;
        drop(stream);
        app.watched_by(0).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn get_takes_queries_and_subscriptions() {
    on_sqlite(async |app| {
        let get = |query: &'static str, token: String| {
            let request = app.http().get(app.url("/graphql")).query(&[("query", query)]);
            request.header("accept", "text/event-stream").bearer_auth(token).send()
        };
        let token = app.learner("Asha").await.token().to_owned();
        let mut events = EventStream::of(get("{ __typename }", token.clone()).await.unwrap());
        assert_eq!(events.next().await.unwrap().1["data"]["__typename"], "Query");
        let events = EventStream::of(get(CHANGES, token.clone()).await.unwrap());
        app.watched_by(1).await;
        drop(events);
        let mutation = r#"mutation { removeFromCart(subjectIds: []) { userErrors { message } } }"#;
        assert_eq!(get(mutation, token).await.unwrap().status(), 405);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_over_plain_json_says_how_to_subscribe() {
    on_sqlite(async |app| {
        let token = app.learner("Asha").await.token().to_owned();
        for accept in ["application/json", "application/graphql-response+json", "*/*"] {
            let response = post(app, accept, Some(&token), CHANGES).await;
            assert_eq!(response.status(), 400);
            let body: Value = response.json().await.unwrap();
            let error = &body["errors"][0];
            assert_eq!(error["extensions"]["code"], "BAD_REQUEST");
            let message = error["message"].as_str().unwrap();
            assert!(
                message.contains("text/event-stream") && message.contains("graphql-transport-ws"),
                "{message}"
            );
        }
        let forged = post(app, "text/event-stream", Some("forged"), CHANGES).await;
        assert_eq!(forged.status(), 401);
        assert_eq!(app.services.events.watchers(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_token_ends_the_stream_and_says_so() {
    on_sqlite(async |app| {
        let begun = Instant::now();
        let mut events =
            EventStream::of(post(app, "text/event-stream", Some(&short_token(app)), CHANGES).await);
        let (name, answer) = events.next().await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
        assert_eq!(
            (name.as_str(), &answer["errors"][0]["extensions"]["code"]),
            ("next", &json!("UNAUTHENTICATED"))
        );
        assert!(answer["errors"][0]["message"].as_str().unwrap().contains("expired"));
        assert_eq!(events.next().await, complete());
        assert_eq!(events.next().await, None);
        app.watched_by(0).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_stream_is_kept_alive_and_ends_with_the_server() {
    let mut app = TestApp::start_with(Backend::Sqlite, &["--live-ping-seconds", "1"]).await;
    let token = app.learner("Asha").await.token().to_owned();
    let mut events = EventStream::of(post(&app, "text/event-stream", Some(&token), CHANGES).await);
    app.watched_by(1).await;
    let quiet = tokio::time::timeout(Duration::from_millis(1_500), events.next()).await;
    assert!(quiet.is_err() && events.comments >= 1, "{quiet:?}, {} comments", events.comments);
    let begun = Instant::now();
    app.stop_serving().await;
    // The stream ends without `complete`, so that the client connects again.
    assert_eq!(events.next().await, None);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_not_read_is_given_up() {
    let app = TestApp::start_with(Backend::Sqlite, &["--live-stall-seconds", "1"]).await;
    let course = app.course(&["Physics", "Chemistry", "Biology"]).cards(1_000).create(&app).await;
    let learner = app.learner("Asha").await;
    let tcp = TcpSocket::new_v4().unwrap();
    tcp.set_recv_buffer_size(4 * 1024).unwrap();
    let address = app.url("").replace("http://", "").parse().unwrap();
    let mut stream = tcp.connect(address).await.unwrap();
    // Each of 3000 cards takes about 3 kB, together 9 MB. The operating system does not buffer 9 MB for a client that
    // reads nothing.
    let ids: String = (0..90).map(|number| format!("a{number}: id ")).collect();
    let body =
        json!({ "query": format!("subscription {{ mockTestAttemptChanged {{ {ids} }} }}") }).to_string();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\ncontent-type: application/json\r\n\
         authorization: Bearer {}\r\ncontent-length: {}\r\n\r\n",
        learner.token(),
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await.unwrap();
    app.watched_by(1).await;
    buy(&learner, &course, &[0, 1, 2]).await;
    app.watched_by(0).await;
    drop(stream);
    app.stop().await;
}
