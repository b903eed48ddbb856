//! WebSockets of silent clients and of clients that do not read, limits of operations, and WebSockets while the server
//! stops.

use jishu_tests::{Backend, Socket, TestApp};
use serde_json::json;
use std::time::Duration;
use tokio::net::TcpSocket;
use tokio::time::Instant;

use sea_orm::TransactionTrait;

use super::CHANGES;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_without_init_is_closed() {
    let app = TestApp::start_with(Backend::Sqlite, &["--live-init-seconds", "1"]).await;
    let mut socket = app.socket().await;
    socket.init(json!({})).await;
    // The time limit for the initialisation of this socket ends later than the time limit of the first socket. So the
    // first socket, which is initialised, has outlasted its own time limit.
    let mut silent = app.socket().await;
    assert_eq!(silent.closed().await, (4408, "Connection initialisation timeout".to_owned()));
    socket.subscribe("q", "{ __typename }").await;
    assert_eq!(socket.hear().await["type"], "next");
    socket.hang_up();
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_answers_no_pings_is_dropped() {
    let app = TestApp::start_with(Backend::Sqlite, &["--live-ping-seconds", "1"]).await;
    let token = app.learner("Asha").await.token().to_owned();
    let mut silent = app.socket_of(&token).await;
    silent.subscribe("w", CHANGES).await;
    app.watched_by(1).await;
    let begun = Instant::now();
    silent.is_cut().await;
    assert!((1..8).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    app.watched_by(0).await;
    // A client that reads also answers pings, so its connection stays open.
    let mut lively = app.socket_of(&token).await;
    for _ in 0..3 {
        assert!(matches!(lively.next().await, tokio_tungstenite::tungstenite::Message::Ping(_)));
    }
    lively.hang_up();
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_operation_too_many_is_refused_alone() {
    let app = TestApp::start_with(Backend::Sqlite, &["--live-operations", "3"]).await;
    let token = app.learner("Asha").await.token().to_owned();
    let mut socket = app.socket_of(&token).await;
    for id in ["a", "b", "c", "d"] {
        socket.subscribe(id, CHANGES).await;
    }
    let message = socket.hear().await;
    assert_eq!((&message["type"], &message["id"]), (&json!("error"), &json!("d")));
    let extensions = json!({ "code": "LIMIT_EXCEEDED", "limit": "operations", "maximum": 3 });
    assert_eq!(message["payload"][0]["extensions"], extensions);
    app.watched_by(3).await;
    socket.say(json!({ "type": "complete", "id": "a" })).await;
    socket.subscribe("d", "{ __typename }").await;
    assert_eq!(socket.hear().await["type"], "next");
    socket.hang_up();
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reads_nothing_is_dropped() {
    let app =
        TestApp::start_with(Backend::Sqlite, &["--live-stall-seconds", "1", "--live-operations", "10000"])
            .await;
    let token = app.learner("Asha").await.token().to_owned();
    let tcp = TcpSocket::new_v4().unwrap();
    tcp.set_recv_buffer_size(4 * 1024).unwrap();
    let address = app.url("").replace("http://", "").parse().unwrap();
    let stream = tcp.connect(address).await.unwrap();
    let mut socket = Socket::over(stream, Socket::handshake(&app.url("/graphql"))).await.unwrap();
    socket.init(json!({ "authorization": format!("Bearer {token}") })).await;
    socket.subscribe("w", CHANGES).await;
    app.watched_by(1).await;
    // The responses have about 8 MB together. The operating system does not buffer 8 MB for a client that reads
    // nothing.
    let field = "fields(includeDeprecated: true) { name description args { name description } }";
    let query = format!("{{ __schema {{ types {{ name description {field} }} }} }}");
    let large = app.anonymous().run(&query).await.body.to_string().len();
    let times = 8_000_000 / large;
    assert!(times < 10_000, "{times} answers");
    for id in 0..times {
        let operation = json!({ "id": id.to_string(), "type": "subscribe", "payload": { "query": query } });
        let message = tokio_tungstenite::tungstenite::Message::text(operation.to_string());
        let sent = tokio::time::timeout(Duration::from_millis(500), socket.try_send(message)).await;
        if !matches!(sent, Ok(true)) {
            break;
        }
    }
    app.watched_by(0).await;
    // The server still serves other clients.
    app.anonymous().run("{ __typename }").await;
    socket.hang_up();
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_sends_clients_away() {
    let mut app = TestApp::start_with(Backend::Sqlite, &[]).await;
    let token = app.learner("Asha").await.token().to_owned();
    let mut watching = app.socket_of(&token).await;
    watching.subscribe("w", CHANGES).await;
    let mut idle = app.socket().await;
    let mut deaf = app.socket_of(&token).await;
    deaf.subscribe("w", CHANGES).await;
    app.watched_by(2).await;
    let begun = Instant::now();
    let told = tokio::spawn(async move {
        let told = watching.closed().await;
        (told, idle.closed().await)
    });
    app.stop_serving().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let (watching, idle) = told.await.unwrap();
    assert_eq!((watching.0, idle.0), (1001, 1001), "{watching:?} {idle:?}");
    app.watched_by(0).await;
    deaf.hang_up();
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_lets_what_was_taken_on_finish() {
    let mut app = TestApp::start_with(Backend::Sqlite, &[]).await;
    let token = app.learner("Asha").await.token().to_owned();
    let course = app.course(&["Physics"]).create(&app).await;
    // Takes the only connection for writing, so that the mutation below waits.
    let taken = app.connection().begin().await.unwrap();
    let mut socket = app.socket_of(&token).await;
    socket.subscribe("w", CHANGES).await;
    let subject = &course.subjects[0];
    let mutation =
        format!("mutation {{ addToCart(subjectIds: [\"{subject}\"]) {{ userErrors {{ message }} }} }}");
    socket.subscribe("m", &mutation).await;
    socket.say(json!({ "type": "ping" })).await;
    assert_eq!(socket.hear().await["type"], "pong", "the server did not accept the earlier messages");
    let mut idle = app.socket_of(&token).await;
    let client = tokio::spawn(async move {
        let answer = socket.hear().await;
        assert_eq!((&answer["id"], &answer["type"]), (&json!("m"), &json!("next")), "{answer}");
        assert_eq!(answer["payload"]["data"]["addToCart"]["userErrors"], json!([]));
        assert_eq!(socket.hear().await, json!({ "id": "m", "type": "complete" }));
        socket.closed().await
    });
    let free = tokio::spawn(async move {
        assert_eq!(
            idle.closed().await.0,
            1001,
            "the stopping server did not close the idle connection with code 1001"
        );
        assert!(!client.is_finished(), "the connection did not wait for the mutation");
        taken.rollback().await.unwrap();
        client.await.unwrap()
    });
    app.stop_serving().await;
    assert_eq!(free.await.unwrap(), (1001, "The server is stopping".to_owned()));
    assert_eq!(app.number("SELECT COUNT(*) FROM cart_items").await, 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operations_over_a_websocket_use_the_budgets_and_permits_of_requests() {
    let app = TestApp::start_with(Backend::Sqlite, &["--user-cost-per-minute=200", "--max-requests=1"]).await;
    let token = app.learner("Asha").await.token().to_owned();
    let course = app.course(&["Physics"]).create(&app).await;
    let mut socket = app.socket_of(&token).await;
    // Takes the only connection for writing. So the mutation waits for this connection, and holds the only permit.
    let taken = app.connection().begin().await.unwrap();
    let subject = &course.subjects[0];
    let mutation =
        format!("mutation {{ addToCart(subjectIds: [\"{subject}\"]) {{ userErrors {{ message }} }} }}");
    socket.subscribe("m", &mutation).await;
    let refused = loop {
        socket.subscribe("q", "{ __typename }").await;
        let answer = socket.hear().await;
        assert_eq!(socket.hear().await, json!({ "id": "q", "type": "complete" }));
        // If the mutation has not begun yet, the permit is still free and the query succeeds.
        if answer["payload"]["errors"].is_array() {
            break answer;
        }
    };
    assert_eq!(refused["payload"]["errors"][0]["extensions"]["code"], "OVERLOADED", "{refused}");
    taken.rollback().await.unwrap();
    assert_eq!(socket.hear().await["payload"]["data"]["addToCart"]["userErrors"], json!([]));
    socket.hear().await;

    let refused = loop {
        socket.subscribe("q", "{ viewer { name } }").await;
        let answer = socket.hear().await;
        if answer["type"] == "error" {
            break answer;
        }
        assert_eq!(answer["payload"]["data"]["viewer"]["name"], "Asha");
        socket.hear().await;
    };
    let extensions = &refused["payload"][0]["extensions"];
    assert_eq!(extensions["code"], "RATE_LIMITED", "{refused}");
    assert!(extensions["retryAfterSeconds"].as_u64().unwrap() >= 1, "{refused}");
    socket.hang_up();
    app.stop().await;
}
