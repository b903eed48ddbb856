//! The subscription `testSessionClock`: when it sends the clock, when it ends, and what it refuses.

use chrono::TimeDelta;
use jishu_entity::mock_test_attempt::CardStatus;
use jishu_entity::test_session::SessionStatus;
use jishu_entity::user::Role;
use jishu_tests::{Backend, Client, EventStream, Socket, TIME_LIMIT, TestApp, TestSitting, on_each_database};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::buy;

on_each_database!(the_clock_is_sent_at_once_and_at_each_change_and_ends_with_the_sitting,);

const CLOCK: &str = "subscription ($session: ID!, $every: Int! = 10) {
  testSessionClock(sessionId: $session, every: $every) {
    serverTime expiresAt secondsRemaining status answerSequence
  }
}";

async fn sitting(app: &TestApp) -> (Client, TestSitting) {
    let course = app.course(&["Physics"]).cards(2).create(app).await;
    let asha = app.learner("Asha").await;
    buy(&asha, &course, &[0]).await;
    (asha, app.begin_sitting().await)
}

async fn over_events(app: &TestApp, url: &str, client: &Client, variables: Value) -> EventStream {
    let request = app.http().post(url).header("accept", "text/event-stream").bearer_auth(client.token());
    let body = json!({ "query": CLOCK, "variables": variables });
    EventStream::of(request.json(&body).send().await.unwrap())
}

async fn over_socket(app: &TestApp, client: &Client, variables: Value) -> Socket {
    let mut socket = app.socket_of(client.token()).await;
    let payload = json!({ "query": CLOCK, "variables": variables });
    socket.say(json!({ "id": "clock", "type": "subscribe", "payload": payload })).await;
    socket
}

async fn from_socket(socket: &mut Socket) -> Value {
    let message = socket.hear().await;
    assert_eq!(message["type"], "next", "{message}");
    message["payload"]["data"]["testSessionClock"].clone()
}

async fn from_events(events: &mut EventStream) -> Value {
    let (name, answer) = events.next().await.unwrap();
    assert!(name == "next" && answer.get("errors").is_none(), "{name} {answer}");
    answer["data"]["testSessionClock"].clone()
}

fn shows(clock: &Value, remaining: i64, status: &str, sequence: i32) {
    let shown = (&clock["secondsRemaining"], &clock["status"], &clock["answerSequence"]);
    assert_eq!(shown, (&json!(remaining), &json!(status), &json!(sequence)), "{clock}");
}

async fn the_clock_is_sent_at_once_and_at_each_change_and_ends_with_the_sitting(app: Arc<TestApp>) {
    let (asha, sitting) = sitting(&app).await;
    let support = app.staff("Sam", Role::Support).await;
    let node = app.second_node().await;
    // The clock ticks only every 60 seconds, so the events below come from changes.
    let variables = json!({ "session": sitting.id, "every": 60 });
    let mut here = over_socket(&app, &asha, variables.clone()).await;
    let mut there = over_events(&app, &node.url("/graphql"), &asha, variables).await;
    for clock in [from_socket(&mut here).await, from_events(&mut there).await] {
        shows(&clock, 3_600, "IN_PROGRESS", 0);
    }

    app.save_answer(&sitting, 1, 4).await;
    shows(&from_socket(&mut here).await, 3_600, "IN_PROGRESS", 4);
    app.save_answer(&sitting, 2, 3).await;
    shows(&from_socket(&mut here).await, 3_600, "IN_PROGRESS", 4);

    app.clock.advance(TimeDelta::milliseconds(599_001));
    let grant =
        "mutation ($card: ID!) { grantExtraTime(input: { mockTestAttemptId: $card, extraSeconds: 900 }) {
      userErrors { message } } }";
    support.run_with(grant, json!({ "card": sitting.card })).await;
    let deadline = app.deadline(&sitting).await;
    for clock in [from_socket(&mut here).await, from_events(&mut there).await] {
        shows(&clock, 3_600 + 900 - 599, "IN_PROGRESS", 4);
        let at = |field: &str| chrono::DateTime::parse_from_rfc3339(clock[field].as_str().unwrap()).unwrap();
        assert_eq!(at("expiresAt"), deadline);
        assert_eq!(at("serverTime"), app.services.clock.now());
    }

    app.clock.advance(TIME_LIMIT * 2);
    app.end_sitting(&sitting, SessionStatus::AutoSubmitted, CardStatus::Completed).await;
    shows(&from_socket(&mut here).await, 0, "AUTO_SUBMITTED", 4);
    assert_eq!(here.hear().await, json!({ "id": "clock", "type": "complete" }));
    shows(&from_events(&mut there).await, 0, "AUTO_SUBMITTED", 4);
    assert_eq!(there.next().await, Some(("complete".to_owned(), Value::Null)));
    app.watched_by(0).await;
    node.watched_by(0).await;

    // The subscription to the clock of a sitting that is over sends one event, and completes.
    let asha = app.learner_again("Asha").await;
    let mut again = over_events(&app, &app.url("/graphql"), &asha, json!({ "session": sitting.id })).await;
    shows(&from_events(&mut again).await, 0, "AUTO_SUBMITTED", 4);
    assert_eq!(again.next().await, Some(("complete".to_owned(), Value::Null)));
    here.hang_up();
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clock_ticks_and_shows_what_other_nodes_saved() {
    // The grace time is so long that no worker closes the sitting.
    TestApp::run_with(Backend::Sqlite, &["--answer-grace-seconds", "300"], async |app| {
        let (asha, sitting) = sitting(&app).await;
        let node = app.second_node().await;
        let variables = json!({ "session": sitting.id, "every": 1 });
        // The interval begins with the subscription. On a busy machine, a part of it is over when the test has read the
        // first event.
        let begun = Instant::now();
        let mut here = over_socket(&app, &asha, variables.clone()).await;
        let mut there = over_events(&app, &node.url("/graphql"), &asha, variables).await;
        shows(&from_socket(&mut here).await, 3_600, "IN_PROGRESS", 0);
        shows(&from_events(&mut there).await, 3_600, "IN_PROGRESS", 0);
        app.clock.advance(TimeDelta::seconds(10));
        shows(&from_socket(&mut here).await, 3_590, "IN_PROGRESS", 0);
        assert!(begun.elapsed() >= Duration::from_millis(500), "after {:?}", begun.elapsed());
        app.save_answer(&sitting, 1, 1).await;
        while from_events(&mut there).await["answerSequence"] != 1 {}
        // After the deadline no seconds remain, but the sitting stays in progress until it is closed.
        app.clock.advance(TIME_LIMIT);
        let mut clock = from_socket(&mut here).await;
        while clock["secondsRemaining"] != 0 {
            clock = from_socket(&mut here).await;
        }
        shows(&clock, 0, "IN_PROGRESS", 1);
        here.hang_up();
        drop(there);
        node.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clock_of_another_learner_is_not_found() {
    TestApp::run(Backend::Sqlite, async |app| {
        let (asha, sitting) = sitting(&app).await;
        let ben = app.learner("Ben").await;
        let url = app.url("/graphql");
        let refused = async |client: &Client, variables: Value| {
            let mut events = over_events(&app, &url, client, variables).await;
            let (_, answer) = events.next().await.unwrap();
            assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{answer}");
            assert_eq!(events.next().await, Some(("complete".to_owned(), Value::Null)));
            answer["errors"][0]["message"].as_str().unwrap().to_owned()
        };
        let strange = refused(&ben, json!({ "session": sitting.id })).await;
        for session in [app.global("TestSession", 999), sitting.card.clone(), "nonsense".to_owned()] {
            assert_eq!(refused(&asha, json!({ "session": session })).await, strange);
        }
        for every in [0, 61, -1] {
            let message = refused(&asha, json!({ "session": sitting.id, "every": every })).await;
            assert!(message.contains("1 to 60") && message.contains(&every.to_string()), "{message}");
        }
        app.watched_by(0).await;
        assert_eq!(app.services.events.watchers(), 0);
    })
    .await;
}
