//! Subscriptions to changes of cards: cards are bought, their sittings begin and end, and support grants more attempts.
//! Also tests a failover, and changes that follow a subscription at once.

use jishu_entity::mock_test_attempt::CardStatus;
use jishu_entity::test_session::SessionStatus;
use jishu_entity::user::Role;
use jishu_tests::{Backend, EventStream, Socket, TestApp, on_each_database};
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

use super::buy;

const CARDS: &str = "subscription { mockTestAttemptChanged { id status maxAttempts subject { name } } }";

on_each_database!(
    a_card_is_reported_at_each_change_on_every_node,
    events_after_a_failover_that_lost_rows_are_sent,
    nothing_falls_between_subscribing_and_what_follows,
);

async fn from_socket(socket: &mut Socket) -> Value {
    let message = socket.hear().await;
    assert_eq!(message["type"], "next", "{message}");
    message["payload"]["data"]["mockTestAttemptChanged"].clone()
}

async fn a_card_is_reported_at_each_change_on_every_node(app: Arc<TestApp>) {
    let course = app.course(&["Physics"]).cards(2).create(&app).await;
    let node = app.second_node().await;
    let (asha, ben) = (app.learner("Asha").await, app.learner("Ben").await);
    let support = app.staff("Sam", Role::Support).await;
    buy(&asha, &course, &[0]).await;
    let mut here = app.socket_of(asha.token()).await;
    here.subscribe("cards", CARDS).await;
    let request = app.http().post(node.url("/graphql")).header("accept", "text/event-stream");
    let request = request.bearer_auth(asha.token()).json(&json!({ "query": CARDS }));
    let mut there = EventStream::of(request.send().await.unwrap());
    // The support user acts but receives no event, because the card is Asha's.
    let mut strange = [app.socket_of(ben.token()).await, app.socket_of(support.token()).await];
    for socket in &mut strange {
        socket.subscribe("cards", CARDS).await;
    }
    app.watched_by(3).await;
    node.watched_by(1).await;

    let mut expect = async |status: &str, attempts: i32| {
        let card = from_socket(&mut here).await;
        assert_eq!((&card["status"], &card["maxAttempts"]), (&json!(status), &json!(attempts)));
        assert_eq!(there.next().await.unwrap().1["data"]["mockTestAttemptChanged"], card);
        card["id"].clone()
    };
    let sitting = app.begin_sitting().await;
    assert_eq!(expect("IN_PROGRESS", 3).await, sitting.card);
    let grant =
        "mutation ($card: ID!) { grantExtraTime(input: { mockTestAttemptId: $card, maxAttempts: 7 }) {
      userErrors { message } } }";
    support.run_with(grant, json!({ "card": sitting.card })).await;
    assert_eq!(expect("IN_PROGRESS", 7).await, sitting.card);
    // The same grant again changes nothing, so the next event is the end of the sitting.
    support.run_with(grant, json!({ "card": sitting.card })).await;
    app.end_sitting(&sitting, SessionStatus::Abandoned, CardStatus::Completed).await;
    assert_eq!(expect("COMPLETED", 7).await, sitting.card);

    let other = app.course(&["History"]).cards(1).create(&app).await;
    buy(&ben, &other, &[0]).await;
    buy(&support, &other, &[0]).await;
    for mut socket in strange {
        assert_eq!(
            from_socket(&mut socket).await["subject"]["name"],
            "History",
            "the first event is about another subject"
        );
        socket.hang_up();
    }
    here.hang_up();
    drop(there);
    node.stop().await;
}

/// Imitates a failover: the new primary has lost the last audit events, and gives their ids to other audit events.
async fn events_after_a_failover_that_lost_rows_are_sent(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).cards(1).create(&app).await;
    let (asha, ben) = (app.learner("Asha").await, app.learner("Ben").await);
    for learner in [&asha, &ben] {
        buy(learner, &course, &[0]).await;
    }
    let mut cards = app.socket_of(asha.token()).await;
    cards.subscribe("cards", CARDS).await;
    app.watched_by(1).await;
    buy(&asha, &course, &[1]).await;
    assert_eq!(from_socket(&mut cards).await["subject"]["name"], "Chemistry");

    // Deletes two audit events that the server has read. An UPDATE then gives the id of the older deleted event to the
    // audit event of a new sitting.
    let newest = app.number("SELECT MAX(id) FROM audit_events").await;
    app.execute(&format!("DELETE FROM audit_events WHERE id >= {}", newest - 1)).await;
    let sitting = app.begin_sitting().await;
    let owner = app.number("SELECT MIN(user_id) FROM purchases").await;
    assert_eq!(sitting.owner.0, owner, "the sitting is not a sitting of Asha");
    let changed =
        format!("UPDATE audit_events SET id = {} WHERE action = 'test_session.started'", newest - 1);
    app.execute(&changed).await;
    loop {
        let card = from_socket(&mut cards).await;
        // An event that was sent before may be sent again.
        if card["id"] == sitting.card && card["status"] == "IN_PROGRESS" {
            break;
        }
    }
    cards.hang_up();
}

/// Over a WebSocket, an operation after the subscription runs only when the subscription has begun. Over an event
/// stream, the head of the response comes only when the subscription has begun.
async fn nothing_falls_between_subscribing_and_what_follows(app: Arc<TestApp>) {
    let asha = app.learner("Asha").await;
    for _ in 0..3 {
        let course = app.course(&["Physics", "Chemistry"]).cards(1).create(&app).await;
        let mut socket = app.socket_of(asha.token()).await;
        socket.subscribe("cards", CARDS).await;
        let buy_first = format!(
            "mutation {{ purchase(input: {{ courseId: \"{}\", purchaseType: SINGLE_SUBJECT, subjectIds: [\"{}\"] }}) \
             {{ outcome }} }}",
            course.id, course.subjects[0]
        );
        socket.subscribe("buy", &buy_first).await;
        let mut told = 0;
        // The three messages are the response to the mutation, the completion of the mutation, and the card.
        for _ in 0..3 {
            let message = socket.hear().await;
            told += usize::from(message["id"] == "cards" && message["type"] == "next");
        }
        assert_eq!(told, 1);
        socket.hang_up();
        app.watched_by(0).await;

        let request = app.http().post(app.url("/graphql")).header("accept", "text/event-stream");
        let request = request.bearer_auth(asha.token()).json(&json!({ "query": CARDS }));
        let mut events = EventStream::of(request.send().await.unwrap());
        buy(&asha, &course, &[1]).await;
        let (_, answer) = events.next().await.unwrap();
        assert_eq!(answer["data"]["mockTestAttemptChanged"]["subject"]["name"], "Chemistry");
        drop(events);
        app.watched_by(0).await;
    }
}

/// Locks a table of PostgreSQL to delay the beginning of a subscription.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_begins_before_what_follows_it_runs() {
    TestApp::run(Backend::Postgres, async |app| {
        let asha = app.learner("Asha").await;
        let held = app.connection().begin().await.unwrap();
        held.execute_unprepared("LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE").await.unwrap();
        let mut socket = app.socket_of(asha.token()).await;
        socket.subscribe("cards", CARDS).await;
        socket.subscribe("query", "{ __typename }").await;
        let request = app.http().post(app.url("/graphql")).header("accept", "text/event-stream");
        let head = request.bearer_auth(asha.token()).json(&json!({ "query": CARDS })).send();
        let (message, head) = {
            let (mut message, mut head) = (std::pin::pin!(socket.hear()), std::pin::pin!(head));
            let either = futures_util::future::select(&mut message, &mut head);
            assert!(
                tokio::time::timeout(Duration::from_millis(500), either).await.is_err(),
                "a response came too early"
            );
            assert_eq!(app.services.events.watchers(), 0);
            held.rollback().await.unwrap();
            (message.await, head.await)
        };
        assert_eq!(app.services.events.watchers(), 2);
        assert_eq!((&message["id"], &message["type"]), (&json!("query"), &json!("next")), "{message}");
        drop(EventStream::of(head.unwrap()));
        socket.hang_up();
    })
    .await;
}
