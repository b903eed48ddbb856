//! What is told of a card after it was bought: its sittings and what support grants it.

use jishu_entity::mock_test_attempt::CardStatus;
use jishu_entity::test_session::SessionStatus;
use jishu_entity::user::Role;
use jishu_tests::{EventStream, Socket, TestApp, on_each_database};
use serde_json::{Value, json};
use std::sync::Arc;

use super::buy;

const CARDS: &str = "subscription { mockTestAttemptChanged { id status maxAttempts subject { name } } }";

on_each_database!(
    a_card_is_told_at_each_change_on_every_node,
    what_is_appended_after_a_failover_that_lost_rows_is_told,
);

async fn from_socket(socket: &mut Socket) -> Value {
    let message = socket.hear().await;
    assert_eq!(message["type"], "next", "{message}");
    message["payload"]["data"]["mockTestAttemptChanged"].clone()
}

async fn a_card_is_told_at_each_change_on_every_node(app: Arc<TestApp>) {
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
    // Support acts, and is not told: the card is Asha's.
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
    // The same again is no change: the next that is told is the end.
    support.run_with(grant, json!({ "card": sitting.card })).await;
    app.end_sitting(&sitting, SessionStatus::Abandoned, CardStatus::Completed).await;
    assert_eq!(expect("COMPLETED", 7).await, sitting.card);

    let other = app.course(&["History"]).cards(1).create(&app).await;
    buy(&ben, &other, &[0]).await;
    buy(&support, &other, &[0]).await;
    for mut socket in strange {
        assert_eq!(from_socket(&mut socket).await["subject"]["name"], "History", "the first they hear");
        socket.hang_up();
    }
    here.hang_up();
    drop(there);
    node.stop().await;
}

/// The ids begin again from where the new primary had them, and are given to other events.
async fn what_is_appended_after_a_failover_that_lost_rows_is_told(app: Arc<TestApp>) {
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

    // Two that were read are gone, and the id of the first of them is given again: to a sitting of a card.
    let newest = app.number("SELECT MAX(id) FROM audit_events").await;
    app.execute(&format!("DELETE FROM audit_events WHERE id >= {}", newest - 1)).await;
    let sitting = app.begin_sitting().await;
    let owner = app.number("SELECT MIN(user_id) FROM purchases").await;
    assert_eq!(sitting.owner.0, owner, "Asha's");
    let changed =
        format!("UPDATE audit_events SET id = {} WHERE action = 'test_session.started'", newest - 1);
    app.execute(&changed).await;
    loop {
        let card = from_socket(&mut cards).await;
        // What was told before may be told again.
        if card["id"] == sitting.card && card["status"] == "IN_PROGRESS" {
            break;
        }
    }
    cards.hang_up();
}
