//! The limit of subscriptions that one user has at once, over WebSockets and event streams together.

use std::sync::Arc;

use jishu_entity::mock_test_attempt::CardStatus;
use jishu_entity::test_session::SessionStatus;
use jishu_tests::{Backend, Client, EventStream, Socket, TestApp, TestSitting};
use serde_json::{Value, json};

use super::{CHANGES, buy};

const LIMIT_FLAGS: &[&str] = &["--live-subscriptions-per-user=3"];

async fn events(app: &TestApp, client: &Client) -> EventStream {
    let request = app
        .http()
        .post(app.url("/graphql"))
        .header("accept", "text/event-stream")
        .bearer_auth(client.token());
    EventStream::of(request.json(&json!({ "query": CHANGES })).send().await.unwrap())
}

async fn clock(socket: &mut Socket, id: &str, sitting: &TestSitting) {
    let query =
        format!("subscription {{ testSessionClock(sessionId: \"{}\", every: 60) {{ status }} }}", sitting.id);
    socket.subscribe(id, &query).await;
}

fn is_refused(error: &Value) {
    let extensions = json!({ "code": "LIMIT_EXCEEDED", "limit": "subscriptions", "maximum": 3 });
    assert_eq!(error["extensions"], extensions, "{error}");
}

/// Asserts that the server refuses one more subscription of this user over both transports.
async fn has_no_more(app: &TestApp, client: &Client, socket: &mut Socket) {
    socket.subscribe("one more", CHANGES).await;
    let refused = socket.hear().await;
    assert_eq!((&refused["type"], &refused["id"]), (&json!("error"), &json!("one more")), "{refused}");
    is_refused(&refused["payload"][0]);
    let mut stream = events(app, client).await;
    let (name, refused) = stream.next().await.unwrap();
    assert_eq!(name, "next");
    is_refused(&refused["errors"][0]);
    assert_eq!(stream.next().await, Some(("complete".to_owned(), Value::Null)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_subscriptions_of_a_user_are_limited_over_all_connections() {
    TestApp::run_with(Backend::Sqlite, LIMIT_FLAGS, async |app: Arc<TestApp>| {
        let course = app.course(&["Physics"]).cards(2).create(&app).await;
        let asha = app.learner("Asha").await;
        buy(&asha, &course, &[0]).await;
        let sitting = app.begin_sitting().await;

        let mut one = app.socket_of(asha.token()).await;
        let mut other = app.socket_of(asha.token()).await;
        one.subscribe("changes", CHANGES).await;
        clock(&mut other, "clock", &sitting).await;
        assert_eq!(other.hear().await["type"], "next");
        let stream = events(&app, &asha).await;
        app.watched_by(3).await;
        has_no_more(&app, &asha, &mut other).await;

        // A query does not count against the limit, and neither do subscriptions of other users.
        other.subscribe("query", "{ __typename }").await;
        assert_eq!(other.hear().await["type"], "next");
        assert_eq!(other.hear().await["type"], "complete");
        let ben = app.learner("Ben").await;
        let of_ben = events(&app, &ben).await;
        app.watched_by(4).await;
        drop((stream, of_ben));
        one.hang_up();
        other.hang_up();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permit_is_free_again_however_its_subscription_ends() {
    TestApp::run_with(Backend::Sqlite, LIMIT_FLAGS, async |app: Arc<TestApp>| {
        let course = app.course(&["Physics"]).cards(2).create(&app).await;
        let asha = app.learner("Asha").await;
        buy(&asha, &course, &[0]).await;
        let sitting = app.begin_sitting().await;
        let mut socket = app.socket_of(asha.token()).await;

        // A subscription that fails gives its permit back at once.
        for _ in 0..5 {
            socket.subscribe("wrong", "subscription { testSessionClock(sessionId: \"x\") { status } }").await;
            let failed = socket.hear().await;
            assert_eq!(failed["payload"][0]["extensions"]["code"], "BAD_USER_INPUT", "{failed}");
        }
        socket.subscribe("a", CHANGES).await;
        clock(&mut socket, "b", &sitting).await;
        clock(&mut socket, "c", &sitting).await;
        for _ in 0..2 {
            assert_eq!(socket.hear().await["type"], "next");
        }
        has_no_more(&app, &asha, &mut socket).await;

        // When the client completes a subscription, its next subscription finds the permit free.
        for _ in 0..20 {
            socket.say(json!({ "type": "complete", "id": "a" })).await;
            socket.subscribe("a", CHANGES).await;
        }
        has_no_more(&app, &asha, &mut socket).await;

        // Closing the connection frees its permits.
        socket.hang_up();
        app.watched_by(0).await;
        let streams = [events(&app, &asha).await, events(&app, &asha).await, events(&app, &asha).await];
        app.watched_by(3).await;
        let mut socket = app.socket_of(asha.token()).await;
        has_no_more(&app, &asha, &mut socket).await;
        drop(streams);
        app.watched_by(0).await;

        // A subscription that ends by itself frees its permit.
        for id in ["a", "b", "c"] {
            clock(&mut socket, id, &sitting).await;
            assert_eq!(socket.hear().await["type"], "next");
        }
        has_no_more(&app, &asha, &mut socket).await;
        app.end_sitting(&sitting, SessionStatus::Submitted, CardStatus::Completed).await;
        let mut completed = 0;
        while completed < 3 {
            completed += usize::from(socket.hear().await["type"] == "complete");
        }
        for id in ["a", "b", "c"] {
            socket.subscribe(id, CHANGES).await;
        }
        app.watched_by(3).await;
        has_no_more(&app, &asha, &mut socket).await;
        socket.hang_up();
    })
    .await;
}
