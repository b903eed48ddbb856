//! A card shows the paper of its next sitting.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta};
use jishu_entity::user::Role;
use jishu_tests::{Client, TestApp, on_each_database};
use serde_json::{Value, json};

use super::{World, accepted, id, questions};

on_each_database!(a_card_shows_what_its_next_sitting_has);

const PAPER: &str = "paper { questions timeLimitSeconds correct wrong unanswered maxScore fixed }";

/// Returns the extra time and the paper that the learner's first two cards show, in the order of their test numbers.
async fn shown(learner: &Client) -> Vec<Value> {
    let document = format!(
        "{{ viewer {{ mockTestAttempts(first: 2) {{ edges {{ node {{ extraTimeSeconds {PAPER} }} }} }} }} }}"
    );
    let answer = learner.run(&document).await;
    answer.list("/viewer/mockTestAttempts/edges").iter().map(|edge| edge["node"].clone()).collect()
}

fn card(questions: i32, seconds: i32, correct: &str, most: &str, fixed: bool, extra: i32) -> Value {
    json!({ "extraTimeSeconds": extra, "paper": { "questions": questions, "timeLimitSeconds": seconds,
        "correct": correct, "wrong": "-1.00", "unanswered": "0.00", "maxScore": most, "fixed": fixed } })
}

async fn a_card_shows_what_its_next_sitting_has(app: Arc<TestApp>) {
    let world = World::new(&app, 12).await;
    let ben = app.staff("Ben", Role::Learner).await;
    let of_ben = app.cards(&ben, &world.course).await.remove(0);
    world.set(&app, "time_limit_seconds", "3600").await;
    let open = card(12, 3600, "4.00", "48.00", false, 0);
    assert_eq!(shown(&world.learner).await, [open.clone(), open]);

    // Until somebody starts the test, its paper follows the subject's settings.
    world.set(&app, "questions_per_test", "5").await;
    world.set(&app, "time_limit_seconds", "600").await;
    assert_eq!(shown(&world.learner).await[0], card(5, 600, "4.00", "20.00", false, 0));

    // After a start the paper is fixed. Tests with other numbers still follow the settings.
    accepted(&ben.start_session(&of_ben).await);
    world.set(&app, "questions_per_test", "7").await;
    world.set(&app, "time_limit_seconds", "1200").await;
    world.set(&app, "marks_correct", "300").await;
    let (made, unmade) = (card(5, 600, "4.00", "20.00", true, 0), card(7, 1200, "3.00", "21.00", false, 0));
    assert_eq!(shown(&world.learner).await, [made, unmade.clone()]);

    // Extra time shows only on the card to which support granted the extra time.
    let support = app.staff("Sam", Role::Support).await;
    let grant =
        "mutation ($card: ID!) { grantExtraTime(input: { mockTestAttemptId: $card, extraSeconds: 120 }) {
        userErrors { message } } }";
    support.run_with(grant, json!({ "card": world.card })).await;
    let granted = card(5, 600, "4.00", "20.00", true, 120);
    assert_eq!(shown(&world.learner).await, [granted.clone(), unmade.clone()]);
    assert_eq!(shown(&ben).await, [card(5, 600, "4.00", "20.00", true, 0), unmade]);

    let started = world.learner.start_session(&world.card).await;
    accepted(&started);
    assert_eq!(questions(&started).len(), 5);
    let time = |text: &str| DateTime::parse_from_rfc3339(text).unwrap();
    let session = started.session();
    assert_eq!(time(&session.expires_at) - time(&session.started_at), TimeDelta::seconds(600 + 120));
    let document = format!("query ($id: ID!) {{ node(id: $id) {{ ... on TestSession {{ {PAPER} }} }} }}");
    let sat = world.learner.run_with(&document, json!({ "id": id(&started) })).await;
    assert_eq!(*sat.at("/node/paper"), granted["paper"]);
    assert_eq!(
        shown(&world.learner).await[0],
        granted,
        "while the sitting is open, the card shows other values"
    );
}
