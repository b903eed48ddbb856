//! Subscriptions to new cards: the server sends each card once, to its owner, no matter on which node it was bought.

use jishu_tests::{Client, EventStream, Socket, TestApp, on_each_database};
use serde_json::{Value, json};
use std::sync::Arc;

use super::buy;

const WITH_ALL: &str = "subscription ($subject: ID) {
  mockTestAttemptChanged(subjectId: $subject) { id testNumber status subject { id name } purchase { id } }
}";

on_each_database!(
    all_cards_of_a_purchase_come_once_over_both_transports,
    purchases_on_another_node_are_reported,
    only_the_subject_that_is_asked_for,
    an_event_that_is_committed_out_of_order_is_sent,
);

async fn event_stream(app: &TestApp, url: &str, learner: &Client, subject: Option<&str>) -> EventStream {
    let body = json!({ "query": WITH_ALL, "variables": { "subject": subject } });
    let request = app.http().post(url).header("accept", "text/event-stream").bearer_auth(learner.token());
    EventStream::of(request.json(&body).send().await.unwrap())
}

async fn socket(app: &TestApp, learner: &Client) -> Socket {
    let mut socket = app.socket_of(learner.token()).await;
    socket.subscribe("cards", WITH_ALL).await;
    socket
}

async fn from_socket(socket: &mut Socket) -> Value {
    let message = socket.hear().await;
    assert_eq!((&message["type"], &message["id"]), (&json!("next"), &json!("cards")), "{message}");
    assert!(message["payload"].get("errors").is_none(), "{message}");
    message["payload"]["data"]["mockTestAttemptChanged"].clone()
}

async fn from_stream(events: &mut EventStream) -> Value {
    let (name, answer) = events.next().await.unwrap();
    assert_eq!(name, "next");
    assert!(answer.get("errors").is_none(), "{answer}");
    answer["data"]["mockTestAttemptChanged"].clone()
}

async fn all_cards_of_a_purchase_come_once_over_both_transports(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry", "Biology"]).create(&app).await;
    let (asha, ben) = (app.learner("Asha").await, app.learner("Ben").await);
    // The server does not send cards that were bought before the subscription.
    buy(&asha, &course, &[2]).await;
    let mut events = event_stream(&app, &app.url("/graphql"), &asha, None).await;
    let mut cards = socket(&app, &asha).await;
    let mut strange = socket(&app, &ben).await;
    app.watched_by(3).await;

    buy(&asha, &course, &[0, 1]).await;
    for place in 0..100 {
        let card = from_socket(&mut cards).await;
        assert_eq!(card["testNumber"], json!(place % 50 + 1));
        assert_eq!(card["subject"]["id"], json!(course.subjects[place / 50]));
        assert_eq!(card["status"], "AVAILABLE");
        assert_eq!(from_stream(&mut events).await, card, "the two transports sent different cards");
    }
    // No card is sent twice: the next card belongs to the next purchase.
    let other = app.course(&["History"]).cards(2).create(&app).await;
    buy(&asha, &other, &[0]).await;
    for number in 1..=2 {
        let card = from_socket(&mut cards).await;
        assert_eq!((&card["testNumber"], &card["subject"]["name"]), (&json!(number), &json!("History")));
        assert_eq!(from_stream(&mut events).await, card);
    }
    // Ben received none of these cards: the first card that he receives belongs to his own purchase.
    buy(&ben, &other, &[0]).await;
    let mine = from_socket(&mut strange).await;
    assert_eq!(mine["testNumber"], 1);
    let purchases = ben.run("{ viewer { purchases { edges { node { id } } } } }").await;
    assert_eq!(purchases.list("/viewer/purchases/edges").len(), 1);
    assert_eq!(&mine["purchase"]["id"], purchases.at("/viewer/purchases/edges/0/node/id"));

    drop(events);
    cards.hang_up();
    strange.say(json!({ "id": "cards", "type": "complete" })).await;
    app.watched_by(0).await;
    strange.hang_up();
}

async fn purchases_on_another_node_are_reported(app: Arc<TestApp>) {
    let course = app.course(&["Physics"]).cards(3).create(&app).await;
    let node = app.second_node().await;
    let asha = app.learner("Asha").await;
    let mut here = socket(&app, &asha).await;
    let mut there = event_stream(&app, &node.url("/graphql"), &asha, None).await;
    app.watched_by(1).await;
    node.watched_by(1).await;
    buy(&asha, &course, &[0]).await;
    for number in 1..=3 {
        assert_eq!(from_socket(&mut here).await["testNumber"], number);
        assert_eq!(from_stream(&mut there).await["testNumber"], number);
    }
    here.hang_up();
    drop(there);
    node.stop().await;
}

async fn only_the_subject_that_is_asked_for(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).cards(2).create(&app).await;
    let asha = app.learner("Asha").await;
    let mut events = event_stream(&app, &app.url("/graphql"), &asha, Some(&course.subjects[1])).await;
    app.watched_by(1).await;
    buy(&asha, &course, &[0, 1]).await;
    for number in 1..=2 {
        let card = from_stream(&mut events).await;
        assert_eq!((&card["testNumber"], &card["subject"]["name"]), (&json!(number), &json!("Chemistry")));
    }
    drop(events);

    for wrong in ["nonsense".to_owned(), app.global("Subject", 999), course.id.clone()] {
        let mut events = event_stream(&app, &app.url("/graphql"), &asha, Some(&wrong)).await;
        let (_, answer) = events.next().await.unwrap();
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{answer}");
        assert_eq!(events.next().await, Some(("complete".to_owned(), Value::Null)));
        assert_eq!(events.next().await, None);
    }
}

/// Inserts an audit event whose id is lower than the ids of audit events that the server has already read.
async fn an_event_that_is_committed_out_of_order_is_sent(app: Arc<TestApp>) {
    let course = app.course(&["Physics"]).cards(2).create(&app).await;
    let (asha, ben) = (app.learner("Asha").await, app.learner("Ben").await);
    buy(&asha, &course, &[0]).await;
    let event = app.number("SELECT MAX(id) FROM audit_events").await;
    let actor = app.number(&format!("SELECT actor_id FROM audit_events WHERE id = {event}")).await;
    let purchase = app.number(&format!("SELECT target_id FROM audit_events WHERE id = {event}")).await;
    buy(&ben, &course, &[0]).await;
    app.execute(&format!("DELETE FROM audit_events WHERE id = {event}")).await;
    let mut cards = socket(&app, &asha).await;
    let mut others = socket(&app, &ben).await;
    app.watched_by(2).await;
    let columns = "at, action, target_type";
    app.execute(&format!(
        "INSERT INTO audit_events (id, actor_id, target_id, {columns}) \
         SELECT {event}, {actor}, {purchase}, {columns} FROM audit_events WHERE id > {event}"
    ))
    .await;
    for number in 1..=2 {
        assert_eq!(from_socket(&mut cards).await["testNumber"], number);
    }
    // The server sends the cards of the audit event once, although it reads the audit event several times.
    let course = app.course(&["History"]).cards(1).create(&app).await;
    app.wait_for_statements(6, "FROM audit_events").await;
    for learner in [&asha, &ben] {
        buy(learner, &course, &[0]).await;
    }
    for socket in [&mut cards, &mut others] {
        assert_eq!(from_socket(socket).await["subject"]["name"], "History");
    }
    cards.hang_up();
    others.hang_up();
}
