//! Which cards can be started: before and after the term of their purchase is over, and after a second purchase.

use std::sync::Arc;

use chrono::TimeDelta;
use jishu_entity::user::Role;
use jishu_tests::{Client, TestApp, global_id, on_each_database};
use serde_json::{Value, json};

use super::{accepted, id, refusal};

on_each_database!(a_card_tells_whether_it_can_be_started);

const TERM: TimeDelta = TimeDelta::days(3);

/// Returns the cards that match a filter. Cards of the oldest purchase come first.
async fn cards(learner: &Client, filter: Value) -> Vec<Value> {
    let document = "query ($filter: MockTestAttemptFilter) { viewer { mockTestAttempts(filter: $filter) {
        totalCount edges { node { id testNumber status canStart } } } } }";
    let answer = learner.run_with(document, json!({ "filter": filter })).await;
    let mut cards: Vec<_> =
        answer.list("/viewer/mockTestAttempts/edges").iter().map(|edge| edge["node"].clone()).collect();
    assert_eq!(answer.number("/viewer/mockTestAttempts/totalCount"), i64::try_from(cards.len()).unwrap());
    cards.sort_by_key(row);
    cards
}

/// Returns the id of the card's row. Rows are created purchase by purchase, in the order of the card numbers.
fn row(card: &Value) -> i64 {
    let id = card["id"].as_str().unwrap();
    (1..100).find(|row| global_id("MockTestAttempt", *row) == id).expect("a row")
}

async fn can_start(learner: &Client, filter: Value) -> Vec<bool> {
    cards(learner, filter).await.iter().map(|card| card["canStart"].as_bool().unwrap()).collect()
}

/// Returns two numbers of the learner's progress in the subject: all cards, and cards that can be started and have no
/// sitting.
async fn counted(learner: &Client) -> (i64, i64) {
    let answer = learner.run("{ viewer { progress { bySubject { totalCards available } } } }").await;
    let of = |field: &str| answer.number(&format!("/viewer/progress/bySubject/0/{field}"));
    (of("totalCards"), of("available"))
}

async fn a_card_tells_whether_it_can_be_started(app: Arc<TestApp>) {
    let course = app.course(&["Physics"]).valid_for_days(3).cards(4).create(&app).await;
    app.bank(course.subject_rows[0], 6).await;
    // The token of this learner is valid for longer than two terms.
    let asha = app.staff("Asha", Role::Learner).await;
    app.cards(&asha, &course).await;
    assert_eq!(can_start(&asha, json!({ "entitled": true })).await, [true; 4]);
    assert_eq!(can_start(&asha, json!({ "entitled": false })).await, [false; 0]);
    assert_eq!(counted(&asha).await, (4, 4));

    // The first card has one sitting, the second card has no sitting, and the third card has no attempt left. The
    // sitting of the fourth card is open when the term ends.
    let first = cards(&asha, Value::Null).await;
    let card = |place: usize| first[place]["id"].as_str().unwrap().to_owned();
    let started = asha.start_session(&card(0)).await;
    asha.submit_session(&id(&started), None).await;
    app.execute(&format!(
        "UPDATE mock_test_attempts SET status = 'exhausted', attempts_used = max_attempts WHERE id = {}",
        row(&first[2])
    ))
    .await;
    app.clock.advance(TERM - TimeDelta::seconds(60));
    accepted(&asha.start_session(&card(3)).await);
    assert_eq!(can_start(&asha, Value::Null).await, [true, true, false, true]);

    // The term of the purchase has ended, although no row has changed yet. The open sitting can still be resumed.
    app.clock.advance(TimeDelta::seconds(60));
    assert_eq!(can_start(&asha, Value::Null).await, [false, false, false, true]);
    assert_eq!(can_start(&asha, json!({ "entitled": true })).await, [false; 0]);
    assert_eq!(can_start(&asha, json!({ "entitled": false })).await, [false, false, false, true]);
    assert_eq!(counted(&asha).await, (4, 0));

    // After a second purchase, the list contains the cards of both purchases. The second purchase has ended the first
    // purchase and its open sitting.
    app.cards(&asha, &course).await;
    let both = [false, false, false, false, true, true, true, true];
    assert_eq!(can_start(&asha, Value::Null).await, both);
    assert_eq!(can_start(&asha, json!({ "entitled": true })).await, both[4..]);
    assert_eq!(can_start(&asha, json!({ "entitled": false, "status": ["AVAILABLE"] })).await, [false]);
    assert_eq!(counted(&asha).await, (8, 4));
    let subject = json!({ "entitled": true, "subjectId": course.subjects[0] });
    assert_eq!(can_start(&asha, subject).await.len(), 4);

    // `canStart` of each card predicts whether a start succeeds.
    for (card, can_start) in cards(&asha, Value::Null).await.iter().zip(both) {
        let started = asha.start_session(card["id"].as_str().unwrap()).await;
        assert_eq!(started.user_errors.is_empty(), can_start, "{card}\n{started:#?}");
        if !can_start {
            let exhausted = card["status"] == "EXHAUSTED";
            let expected = if exhausted { "ATTEMPTS_EXHAUSTED" } else { "ENTITLEMENT_ENDED" };
            assert_eq!(refusal(&started), expected);
        }
    }

    // A sitting is over after its deadline, even if it is not closed yet.
    app.clock.advance(TimeDelta::hours(5));
    assert!(!can_start(&asha, Value::Null).await[3]);
    assert_eq!(refusal(&asha.start_session(&card(3)).await), "ENTITLEMENT_ENDED");
}
