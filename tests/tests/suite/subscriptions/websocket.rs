//! The protocol graphql-transport-ws: the handshake, the sign-in, each kind of message, and close codes.

use jishu_tests::{Backend, Socket, TestApp};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::{CHANGES, short_token};

async fn on_sqlite(test: impl AsyncFnOnce(&TestApp)) {
    TestApp::run(Backend::Sqlite, async |app| test(&app).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_handshake_wants_the_protocol_the_origin_and_a_good_token() {
    on_sqlite(async |app| {
        let refused = async |header: &'static str, value: &str| {
            let mut request = Socket::handshake(&app.url("/graphql"));
            request.headers_mut().insert(header, value.parse().unwrap());
            Socket::open(request).await.map(|_| ()).map_err(|(status, _)| status)
        };
        assert_eq!(refused("sec-websocket-protocol", "graphql-ws").await, Err(400));
        assert_eq!(refused("sec-websocket-protocol", "graphql-ws, graphql-transport-ws").await, Ok(()));
        assert_eq!(refused("origin", "https://evil.example").await, Err(403));
        assert_eq!(refused("origin", "null").await, Err(403));
        assert_eq!(refused("origin", &app.url("")).await, Ok(()));
        assert_eq!(refused("authorization", "Bearer forged").await, Err(401));
        let plain = app.http().get(app.url("/graphql")).header("upgrade", "websocket").send().await.unwrap();
        assert_eq!(plain.status(), 400);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_and_mutations_get_one_response() {
    on_sqlite(async |app| {
        let learner = app.learner("Asha").await;
        let mut socket = app.socket_of(learner.token()).await;
        socket.subscribe("q", "{ viewer { name } }").await;
        let answer = json!({ "data": { "viewer": { "name": "Asha" } } });
        assert_eq!(socket.hear().await, json!({ "type": "next", "id": "q", "payload": answer }));
        assert_eq!(socket.hear().await, json!({ "type": "complete", "id": "q" }));

        let course = app.course(&["Physics"]).create(app).await;
        let query = "mutation ($ids: [ID!]!) { addToCart(subjectIds: $ids) { userErrors { message } } }";
        let payload = json!({ "query": query, "variables": { "ids": course.subjects } });
        socket.say(json!({ "id": "q", "type": "subscribe", "payload": payload })).await;
        let answer = json!({ "data": { "addToCart": { "userErrors": [] } } });
        assert_eq!(socket.hear().await, json!({ "type": "next", "id": "q", "payload": answer }));
        assert_eq!(socket.hear().await, json!({ "type": "complete", "id": "q" }));
        assert_eq!(app.number("SELECT COUNT(*) FROM cart_items").await, 1);
        socket.hang_up();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_errors_of_the_operation_alone() {
    on_sqlite(async |app| {
        let mut socket = app.socket().await;
        socket.init(Value::Null).await;
        for (id, query, code) in [
            ("a", "{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
            ("b", "{", "GRAPHQL_VALIDATION_FAILED"),
            ("c", CHANGES, "UNAUTHENTICATED"),
            ("d", "subscription { mockTestAttemptChanged(subjectId: \"x\") { id } }", "UNAUTHENTICATED"),
        ] {
            socket.subscribe(id, query).await;
            let message = socket.hear().await;
            assert_eq!((&message["type"], &message["id"]), (&json!("error"), &json!(id)), "{message}");
            assert_eq!(message["payload"][0]["extensions"]["code"], code, "{message}");
        }
        // After an error the server sends no `complete`, and the client can use the id again.
        socket.subscribe("a", "{ __typename }").await;
        assert_eq!(socket.hear().await["payload"]["data"]["__typename"], "Query");
        assert_eq!(socket.hear().await["type"], "complete");
        // An error of a resolver is part of the response.
        socket.subscribe("a", "{ nodes(ids: []) { id } viewer { name } }").await;
        assert_eq!(socket.hear().await["payload"]["data"], json!({ "nodes": [], "viewer": null }));
        socket.hang_up();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_are_answered_before_and_after_the_acknowledgement() {
    on_sqlite(async |app| {
        let mut socket = app.socket().await;
        socket.say(json!({ "type": "ping" })).await;
        assert_eq!(socket.hear().await, json!({ "type": "pong" }));
        socket.init(json!({})).await;
        socket.say(json!({ "type": "pong" })).await;
        socket.say(json!({ "type": "ping", "payload": { "at": 1 } })).await;
        assert_eq!(socket.hear().await, json!({ "type": "pong", "payload": { "at": 1 } }));
        socket.send(Message::Ping("x".into())).await;
        assert_eq!(socket.next().await, Message::Pong("x".into()));
        socket.hang_up();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_payload_or_the_header_signs_in() {
    on_sqlite(async |app| {
        let learner = app.learner("Asha").await;
        let bearer = format!("Bearer {}", learner.token());
        let name = async |socket: &mut Socket| {
            socket.subscribe("1", "{ viewer { name } }").await;
            let name = socket.hear().await["payload"]["data"]["viewer"]["name"].clone();
            socket.hear().await;
            name
        };
        for key in ["authorization", "Authorization", "AUTHORIZATION"] {
            let mut socket = app.socket().await;
            socket.init(json!({ key: bearer })).await;
            assert_eq!(name(&mut socket).await, "Asha");
        }
        let mut request = Socket::handshake(&app.url("/graphql"));
        request.headers_mut().insert("authorization", bearer.parse().unwrap());
        let mut socket = Socket::open(request).await.unwrap();
        socket.init(Value::Null).await;
        assert_eq!(name(&mut socket).await, "Asha");
        let mut socket = app.socket().await;
        socket.init(json!({ "authorization": null, "other": 1 })).await;
        assert_eq!(name(&mut socket).await, Value::Null);

        for (value, reason) in [
            (json!("Bearer forged"), "malformed"),
            (json!("forged"), "Bearer"),
            (json!({ "token": 1 }), "Bearer"),
        ] {
            let mut socket = app.socket().await;
            socket.say(json!({ "type": "connection_init", "payload": { "authorization": value } })).await;
            let (code, text) = socket.closed().await;
            assert!(code == 4403 && text.contains(reason), "{code} {text}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn breaches_of_the_protocol_close_the_connection() {
    on_sqlite(async |app| {
        let closed = async |messages: &[Value]| {
            let mut socket = app.socket().await;
            for message in messages {
                socket.say(message.clone()).await;
            }
            socket.closed().await
        };
        let init = json!({ "type": "connection_init" });
        let token = app.learner("Asha").await.token().to_owned();
        let signed_in =
            json!({ "type": "connection_init", "payload": { "authorization": format!("Bearer {token}") } });
        let query = json!({ "id": "q", "type": "subscribe", "payload": { "query": "{ __typename }" } });
        let watch = json!({ "id": "w", "type": "subscribe", "payload": { "query": CHANGES } });
        assert_eq!(closed(&[query]).await, (4401, "Unauthorized".to_owned()));
        let twice = closed(&[init.clone(), init.clone()]).await;
        assert_eq!(twice, (4429, "Too many initialisation requests".to_owned()));
        let same = closed(&[signed_in, watch.clone(), watch]).await;
        assert_eq!(same, (4409, "Subscriber for w already exists".to_owned()));
        for message in [
            json!([]),
            json!({}),
            json!({ "type": "start" }),
            json!({ "type": "connection_ack" }),
            json!({ "type": "subscribe", "id": "1" }),
            json!({ "type": "subscribe", "id": "1", "payload": { "query": 1 } }),
            json!({ "type": "complete" }),
        ] {
            assert_eq!(closed(&[init.clone(), message.clone()]).await.0, 4400, "{message}");
        }
        for message in [Message::text("{"), Message::binary(init.to_string().into_bytes())] {
            let mut socket = app.socket().await;
            socket.send(message).await;
            assert_eq!(socket.closed().await.0, 4400);
        }
        let frame = |bytes: &'static [u8], data: Data| {
            Message::Frame(Frame::message(bytes, OpCode::Data(data), true))
        };
        for (message, code, reason) in [
            (
                Message::text(" ".repeat(256 * 1024 + 1)),
                4400,
                "Send WebSocket messages of at most 262144 bytes",
            ),
            (
                frame(b"{\xff}", Data::Text),
                1007,
                "A message is not valid UTF-8. Send text messages in UTF-8.",
            ),
            (
                frame(b"{}", Data::Continue),
                1002,
                "Continue frame but nothing to continue. Send the frames that RFC 6455 allows.",
            ),
        ] {
            let mut socket = app.socket().await;
            socket.send(message).await;
            assert_eq!(socket.closed().await, (code, reason.to_owned()));
        }
        app.watched_by(0).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complete_ends_a_subscription_and_frees_its_id() {
    on_sqlite(async |app| {
        let learner = app.learner("Asha").await;
        let mut socket = app.socket_of(learner.token()).await;
        for _ in 0..3 {
            socket.subscribe("w", CHANGES).await;
            app.watched_by(1).await;
            socket.say(json!({ "type": "complete", "id": "w" })).await;
            socket.say(json!({ "type": "complete", "id": "unknown" })).await;
            app.watched_by(0).await;
        }
        socket.subscribe("w", CHANGES).await;
        app.watched_by(1).await;
        socket.hang_up();
        app.watched_by(0).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_token_closes_the_connection() {
    on_sqlite(async |app| {
        let begun = Instant::now();
        let mut socket = app.socket_of(&short_token(app)).await;
        socket.subscribe("w", CHANGES).await;
        let (code, reason) = socket.closed().await;
        assert!(code == 4403 && reason.contains("expired"), "{code} {reason}");
        assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
        app.watched_by(0).await;
    })
    .await;
}
