//! The end of the term of a purchase.

use std::sync::Arc;

use chrono::TimeDelta;
use futures_util::future::join_all;
use jishu_entity::user::Role;
use jishu_service::expiry;
use jishu_tests::{Client, TestApp, TestCourse, Tries, answer, on_each_database, wait_until};
use serde_json::{Value, json};

on_each_database!(
    the_end_of_the_term_closes_an_open_sitting_at_that_moment,
    extra_time_does_not_reach_beyond_the_term,
    the_end_is_recorded_once_by_several_nodes,
    buying_again_ends_the_old_purchase,
    an_older_sitting_with_a_later_deadline_is_closed,
    the_learners_devices_are_notified_of_the_end,
);

const TERM: TimeDelta = TimeDelta::days(3);
/// A time that is longer than the grace time, in which the server accepts answers after a deadline.
const TIME_BEYOND_GRACE: TimeDelta = TimeDelta::seconds(6);

const ENDED: &str =
    "SELECT COUNT(*) FROM entitlements WHERE end_reason = 'expired' AND ended_at = expires_at";
const EVENTS: &str =
    "SELECT COUNT(*) FROM audit_events WHERE action = 'purchase.expired' AND actor_id IS NULL";

/// A course of two subjects whose purchases give access for three days, and a learner who has bought both subjects.
struct Term {
    course: TestCourse,
    learner: Client,
    cards: Vec<String>,
}

impl Term {
    async fn begin(app: &TestApp) -> Self {
        let course = app.course(&["Physics", "Chemistry"]).valid_for_days(3).cards(2).create(app).await;
        for subject in &course.subject_rows {
            app.bank(*subject, 4).await;
        }
        // The token of this learner is valid for longer than any test moves the clock.
        let learner = app.staff("Asha", Role::Learner).await;
        let bought = learner.buy(course.several(&[0, 1])).await;
        let cards = bought.cards().nodes().map(|card| card.id.clone()).collect();
        Self { course, learner, cards }
    }

    async fn sitting(&self, id: &str) -> Value {
        let document =
            "query ($id: ID!) { node(id: $id) { ... on TestSession { status endReason submittedAt expiresAt
            mockTestAttempt { purchase { expiresAt status } } } } }";
        self.learner.run_with(document, json!({ "id": id })).await.at("/node").clone()
    }
}

/// Waits until the server has recorded the end of the term of this number of entitlements.
async fn recorded(app: &TestApp, entitlements: i64) {
    wait_until("the end of the term", async || app.number(ENDED).await == entitlements).await;
}

async fn the_end_of_the_term_closes_an_open_sitting_at_that_moment(app: Arc<TestApp>) {
    let term = Term::begin(&app).await;
    let in_time = term.learner.start_session(&term.cards[1]).await;
    app.clock.advance(TERM - TimeDelta::minutes(20));
    wait_until("the end of the first sitting", async || {
        term.sitting(in_time.id()).await["status"] == "ABANDONED"
    })
    .await;
    assert_eq!(
        term.sitting(in_time.id()).await["endReason"],
        Value::Null,
        "the sitting did not end by its time limit"
    );

    let started = term.learner.start_session(&term.cards[0]).await;
    let open = term.sitting(started.id()).await;
    assert_eq!(
        open["expiresAt"], open["mockTestAttempt"]["purchase"]["expiresAt"],
        "the deadline is not the end of the purchase"
    );
    let first = answer(&started.questions()[0], Tries::Right);
    app.clock.advance(TimeDelta::minutes(20));
    // Within the grace time an answer is still accepted, but no sitting can be started.
    assert_eq!(term.learner.save_answers(started.id(), 1, json!([first])).await.user_errors, []);
    assert_eq!(term.learner.start_session(&term.cards[2]).await.error().code, "ENTITLEMENT_ENDED");
    assert_eq!(
        expiry::end_lapsed(&app.services).await.expect("the search works"),
        0,
        "a purchase was ended while answers may still arrive"
    );

    app.clock.advance(TIME_BEYOND_GRACE);
    recorded(&app, 2).await;
    let ended = term.sitting(started.id()).await;
    assert_eq!((&ended["status"], &ended["endReason"]), (&json!("AUTO_SUBMITTED"), &json!("EXPIRED")));
    assert_eq!(ended["submittedAt"], ended["expiresAt"]);
    assert_eq!(ended["mockTestAttempt"]["purchase"]["status"], "EXPIRED");
    assert_eq!(app.number(EVENTS).await, 1);
    assert_eq!(term.learner.start_session(&term.cards[0]).await.error().code, "ENTITLEMENT_ENDED");
    let lines =
        term.learner.run("{ viewer { purchases { edges { node { lines { status refundedAt } } } } } }").await;
    let line = json!({ "status": "EXPIRED", "refundedAt": null });
    assert_eq!(*lines.at("/viewer/purchases/edges/0/node/lines"), json!([line, line]));
}

async fn extra_time_does_not_reach_beyond_the_term(app: Arc<TestApp>) {
    let term = Term::begin(&app).await;
    let support = app.staff("Sam", Role::Support).await;
    app.clock.advance(TERM - TimeDelta::minutes(90));
    let started = term.learner.start_session(&term.cards[0]).await;
    let before = term.sitting(started.id()).await;
    assert_ne!(before["expiresAt"], before["mockTestAttempt"]["purchase"]["expiresAt"]);
    let grant = "mutation ($input: GrantExtraTimeInput!) { grantExtraTime(input: $input) {
        allowance { extraSeconds expiresAt } userErrors { code } } }";
    let input = json!({ "mockTestAttemptId": term.cards[0], "extraSeconds": 7_200 });
    let granted = support.run_with(grant, json!({ "input": input })).await;
    let end = &before["mockTestAttempt"]["purchase"]["expiresAt"];
    assert_eq!(*granted.at("/grantExtraTime/allowance"), json!({ "extraSeconds": 7_200, "expiresAt": end }));
    app.clock.advance(TimeDelta::minutes(90) + TIME_BEYOND_GRACE);
    recorded(&app, 2).await;
    assert_eq!(term.sitting(started.id()).await["endReason"], "EXPIRED");
}

async fn the_end_is_recorded_once_by_several_nodes(app: Arc<TestApp>) {
    let term = Term::begin(&app).await;
    let course = app.course(&["History"]).valid_for_days(3).cards(1).create(&app).await;
    let forever = app.course(&["Maps"]).cards(1).create(&app).await;
    let mut learners = Vec::new();
    for number in 0..12 {
        let learner = app.staff(&format!("Learner{number}"), Role::Learner).await;
        assert_eq!(learner.buy(course.subject(0)).await.outcome().0, "CREATED");
        assert_eq!(learner.buy(forever.subject(0)).await.outcome().0, "CREATED");
        learners.push(learner);
    }
    let node = app.second_node().await;
    app.clock.advance(TERM);
    let searches = (0..8).map(|number| {
        let services = if number % 2 == 0 { &app.services } else { &node.services };
        expiry::end_lapsed(services)
    });
    let ended: usize =
        join_all(searches).await.into_iter().map(|ended| ended.expect("the search works")).sum();
    assert!(ended <= 13, "{ended}");
    recorded(&app, 14).await;
    assert_eq!(app.number(EVENTS).await, 13, "not every purchase has exactly one event");
    assert_eq!(
        app.number("SELECT COUNT(DISTINCT target_id) FROM audit_events WHERE action = 'purchase.expired'")
            .await,
        13
    );
    assert_eq!(app.number("SELECT COUNT(*) FROM entitlements WHERE ended_at IS NULL").await, 12);
    assert_eq!(expiry::end_lapsed(&app.services).await.expect("the search works"), 0);
    assert_eq!(term.course.subjects.len(), 2);
    node.stop().await;
}

async fn buying_again_ends_the_old_purchase(app: Arc<TestApp>) {
    let term = Term::begin(&app).await;
    app.clock.advance(TERM - TimeDelta::minutes(1));
    let started = term.learner.start_session(&term.cards[0]).await;
    app.clock.advance(TimeDelta::minutes(1));
    // The grace time of the sitting is not over, so the server's task does not end the old purchase yet. Buying the
    // subject again ends the old purchase.
    let again = term.learner.buy(term.course.subject(0)).await;
    assert_eq!(again.outcome(), ("CREATED", 2, 2));
    let ended = term.sitting(started.id()).await;
    assert_eq!((&ended["status"], &ended["endReason"]), (&json!("ABANDONED"), &json!("EXPIRED")));
    assert_eq!(
        (app.number(ENDED).await, app.number(EVENTS).await),
        (2, 1),
        "not the whole purchase has ended"
    );
    let in_order = "SELECT COUNT(*) FROM audit_events created JOIN audit_events expired ON expired.id < created.id \
                    AND expired.action = 'purchase.expired' WHERE created.action = 'purchase.created'";
    assert_eq!(app.number(in_order).await, 1, "the new purchase has no event after the end of the old one");
    app.clock.advance(TIME_BEYOND_GRACE);
    assert_eq!(expiry::end_lapsed(&app.services).await.expect("the search works"), 0);
    assert_eq!(app.number(EVENTS).await, 1);
    let card = again.cards().nodes().next().expect("a card");
    assert_eq!(term.learner.start_session(&card.id).await.user_errors, []);
}

async fn an_older_sitting_with_a_later_deadline_is_closed(app: Arc<TestApp>) {
    let term = Term::begin(&app).await;
    app.clock.advance(TERM - TimeDelta::minutes(1));
    let started = term.learner.start_session(&term.cards[0]).await;
    // Moves the deadline past the end of the term, as a server of an older version set it.
    let later = match app.services.database.backend() {
        sea_orm::DbBackend::Postgres => "expires_at + INTERVAL '1 hour'",
        sea_orm::DbBackend::MySql => "expires_at + INTERVAL 1 HOUR",
        _ => "strftime('%Y-%m-%dT%H:%M:%f+00:00', expires_at, '+1 hour')",
    };
    app.execute(&format!("UPDATE test_sessions SET expires_at = {later}")).await;
    app.clock.advance(TimeDelta::minutes(1) + TIME_BEYOND_GRACE);
    recorded(&app, 2).await;
    let ended = term.sitting(started.id()).await;
    assert_eq!((&ended["status"], &ended["endReason"]), (&json!("ABANDONED"), &json!("EXPIRED")));
    assert_eq!(
        ended["submittedAt"], ended["mockTestAttempt"]["purchase"]["expiresAt"],
        "the sitting did not end with the term"
    );
}

async fn the_learners_devices_are_notified_of_the_end(app: Arc<TestApp>) {
    let term = Term::begin(&app).await;
    let mut cards = app.socket_of(term.learner.token()).await;
    cards.subscribe("cards", "subscription { mockTestAttemptChanged { id canStart } }").await;
    app.watched_by(1).await;
    app.clock.advance(TERM);
    let mut told = std::collections::BTreeSet::new();
    while told.len() < 4 {
        let message = cards.hear().await;
        let card = &message["payload"]["data"]["mockTestAttemptChanged"];
        assert_eq!(card["canStart"], json!(false), "{message}");
        told.insert(card["id"].as_str().expect("an id").to_owned());
    }
    assert_eq!(told, term.cards.iter().cloned().collect());
    cards.hang_up();
}
