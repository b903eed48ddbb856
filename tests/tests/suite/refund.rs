//! Refunds: what ends, what stays, what is refused, and who is shown a refund.

use std::sync::Arc;

use chrono::TimeDelta;
use jishu_entity::user::Role;
use jishu_tests::{Client, RefundInput, TestApp, TestCourse, Tries, answer, on_each_database};
use serde_json::{Value, json};

on_each_database!(
    a_refund_in_mid_sitting_closes_the_sitting_and_keeps_the_history,
    a_purchase_is_refunded_in_parts_and_bought_again,
    a_repeated_refund_changes_nothing,
    a_key_that_found_a_refund_never_asks_for_another,
    invalid_refunds_are_refused_and_write_nothing,
    an_expired_and_a_free_purchase_can_be_refunded,
    a_purchase_of_the_old_system_is_not_refunded_again,
    a_refund_is_shown_to_its_buyer_and_to_support,
    the_learners_devices_are_notified,
);

const KEY: &str = "6f1c2a58-1111-4d6e-9a4e-000000000001";

const PURCHASES: &str = "{ viewer { purchases { edges { node { id status
    lines { subject { name } price { amount } status refundedAt }
    refunds { id status amount { amount } reason lines { subject { name } amount { amount } } } } } } } }";

/// A course with two subjects that have questions, its buyer, and a member of support.
struct Shop {
    course: TestCourse,
    learner: Client,
    support: Client,
    /// The global id of the purchase of both subjects.
    purchase: String,
    /// The global ids of the cards. Those of the first subject come first.
    cards: Vec<String>,
}

impl Shop {
    async fn open(app: &TestApp) -> Self {
        let course = app.course(&["Physics", "Chemistry"]).valid_for_days(5).cards(2).create(app).await;
        for subject in &course.subject_rows {
            app.bank(*subject, 4).await;
        }
        // The token of this learner is valid for longer than any test moves the clock.
        let learner = app.staff("Asha", Role::Learner).await;
        let support = app.staff("Sam", Role::Support).await;
        let bought = learner.buy(course.several(&[0, 1])).await;
        let cards = bought.cards().nodes().map(|card| card.id.clone()).collect();
        Self { purchase: bought.purchase().id.clone(), course, learner, support, cards }
    }

    fn whole(&self) -> RefundInput {
        RefundInput::whole(&self.purchase)
    }

    fn only(&self, place: usize) -> RefundInput {
        self.whole().subjects(&[&self.course.subjects[place]])
    }

    /// Returns the purchases of the learner, newest first.
    async fn purchases(&self) -> Vec<Value> {
        let answer = self.learner.run(PURCHASES).await;
        answer.list("/viewer/purchases/edges").iter().map(|edge| edge["node"].clone()).collect()
    }

    /// Tries to start a sitting of a card, and returns the code of the refusal.
    async fn refused_start(&self, card: usize) -> String {
        self.learner.start_session(&self.cards[card]).await.error().code.clone()
    }
}

async fn a_refund_in_mid_sitting_closes_the_sitting_and_keeps_the_history(app: Arc<TestApp>) {
    let shop = Shop::open(&app).await;
    let started = shop.learner.start_session(&shop.cards[0]).await;
    let right: Vec<Value> =
        started.questions()[..3].iter().map(|question| answer(question, Tries::Right)).collect();
    shop.learner.save_answers(started.id(), 1, json!(right)).await;
    // A second sitting is open without an answer, and a third sitting belongs to the other subject.
    let unanswered = shop.learner.start_session(&shop.cards[1]).await;
    let other = shop.learner.start_session(&shop.cards[2]).await;
    app.clock.advance(TimeDelta::minutes(10));

    let refunded = shop.support.refund(shop.only(0)).await;
    assert_eq!(
        (refunded.outcome(), refunded.amount(), refunded.purchase_status()),
        ("CREATED", "100.00", "ACTIVE")
    );
    let refund = refunded.refund();
    assert_eq!((&refund["status"], &refund["reason"]), (&json!("SETTLED"), &json!("Wrong subject")));
    assert_eq!(refund["requestedAt"], refund["settledAt"]);
    assert_eq!(
        refund["lines"],
        json!([{ "subject": { "name": "Physics" }, "amount": { "amount": "100.00" } }])
    );

    let document = "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on TestSession {
        status endReason submittedAt result { score timeTakenSeconds } questions { answer { savedAt } marks } } } }";
    let ids = json!({ "ids": [started.id(), unanswered.id(), other.id()] });
    let sittings = shop.learner.run_with(document, ids).await;
    let (first, second, third) = (sittings.at("/nodes/0"), sittings.at("/nodes/1"), sittings.at("/nodes/2"));
    assert_eq!((&first["status"], &first["endReason"]), (&json!("AUTO_SUBMITTED"), &json!("REFUNDED")));
    assert_eq!(first["result"], json!({ "score": "12.00", "timeTakenSeconds": 600 }));
    assert_eq!(first["submittedAt"], refund["requestedAt"]);
    assert_ne!(first["questions"][0]["answer"], Value::Null, "the history cannot be read any more");
    assert_eq!((&second["status"], &second["endReason"]), (&json!("ABANDONED"), &json!("REFUNDED")));
    assert_eq!((&third["status"], &third["endReason"]), (&json!("IN_PROGRESS"), &Value::Null));

    // The cards of the refunded subject stay readable, but cannot be sat. The cards of the other subject can be sat.
    assert_eq!(
        (shop.refused_start(0).await, shop.refused_start(1).await),
        ("ENTITLEMENT_ENDED".into(), "ENTITLEMENT_ENDED".into())
    );
    assert!(shop.learner.start_session(&shop.cards[2]).await.resumed);
    let saved = shop
        .learner
        .save_answers(started.id(), 2, json!([answer(&started.questions()[3], Tries::Right)]))
        .await;
    assert_eq!(saved.error().code, "TEST_SESSION_CLOSED");
    let card = "query ($id: ID!) { node(id: $id) { ... on MockTestAttempt { status canStart latestScore sessions { totalCount } } } }";
    let card = shop.learner.run_with(card, json!({ "id": shop.cards[0] })).await;
    assert_eq!(
        *card.at("/node"),
        json!({ "status": "COMPLETED", "canStart": false, "latestScore": "12.00", "sessions": { "totalCount": 1 } })
    );

    let event = "SELECT COUNT(*) FROM audit_events a JOIN users u ON u.id = a.actor_id \
                 WHERE a.action = 'purchase.refunded' AND a.target_type = 'purchases' AND u.role = 'support'";
    assert_eq!(app.number(event).await, 1, "the event does not name the person who refunded");
}

async fn a_purchase_is_refunded_in_parts_and_bought_again(app: Arc<TestApp>) {
    let shop = Shop::open(&app).await;
    assert_eq!(shop.support.refund(shop.only(1)).await.outcome(), "CREATED");
    let parts = shop.purchases().await;
    assert_eq!(parts[0]["status"], "ACTIVE");
    let statuses = |purchase: &Value| {
        let lines = purchase["lines"].as_array().unwrap();
        lines.iter().map(|line| line["status"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(statuses(&parts[0]), ["ACTIVE", "REFUNDED"]);
    assert_eq!(parts[0]["lines"][0]["refundedAt"], Value::Null);

    let rest = shop.support.refund(shop.whole()).await;
    assert_eq!((rest.outcome(), rest.amount(), rest.purchase_status()), ("CREATED", "100.00", "REFUNDED"));
    assert_eq!(statuses(&shop.purchases().await[0]), ["REFUNDED", "REFUNDED"]);
    assert_eq!(shop.purchases().await[0]["refunds"].as_array().unwrap().len(), 2);

    let again = shop.learner.buy(shop.course.several(&[0, 1])).await;
    assert_eq!(again.outcome(), ("CREATED", 4, 4));
    let new: Vec<&String> = again.cards().nodes().map(|card| &card.id).collect();
    assert!(new.iter().all(|card| !shop.cards.contains(card)), "the new purchase has an old card");
    assert_eq!(shop.learner.start_session(new[0]).await.user_errors, []);
    assert_eq!(shop.refused_start(0).await, "ENTITLEMENT_ENDED");
    assert_eq!(shop.purchases().await.len(), 2);
    // A repeated refund of the old purchase does not change the new purchase.
    assert_eq!(shop.support.refund(shop.whole()).await.outcome(), "EXISTING");
    assert_eq!(statuses(&shop.purchases().await[0]), ["ACTIVE", "ACTIVE"]);
}

async fn a_repeated_refund_changes_nothing(app: Arc<TestApp>) {
    let shop = Shop::open(&app).await;
    let first = shop.support.refund(shop.only(0).key(KEY)).await;
    assert_eq!(first.outcome(), "CREATED");
    let other = app.staff("Sue", Role::Support).await;
    let before = app.row_counts().await;
    app.clock.advance(TimeDelta::minutes(1));

    for repeated in [
        shop.support.refund(shop.only(0).key(KEY)).await,
        other.refund(shop.only(0).key(KEY)).await,
        // A request for the same subject without an idempotency key finds the same refund.
        shop.support.refund(shop.only(0)).await,
    ] {
        assert_eq!((repeated.outcome(), repeated.refund()), ("EXISTING", first.refund()));
    }
    for (input, refusal) in [
        (shop.whole().key(KEY), ("IDEMPOTENCY_KEY_REUSED", "idempotencyKey")),
        (shop.only(0).key(KEY).reason("Other"), ("IDEMPOTENCY_KEY_REUSED", "idempotencyKey")),
        (
            shop.whole().subjects(&[&shop.course.subjects[0], &shop.course.subjects[1]]),
            ("ALREADY_REFUNDED", "subjectIds"),
        ),
    ] {
        assert_eq!(shop.support.refund(input).await.refused_as(), refusal);
    }
    assert_eq!(app.row_counts().await, before, "a repeated or refused refund wrote something");

    // The same idempotency key can be used for a refund of another purchase.
    let ben = app.learner("Ben").await;
    let purchase = ben.buy(shop.course.subject(0)).await.purchase().id.clone();
    assert_eq!(shop.support.refund(RefundInput::whole(&purchase).key(KEY)).await.outcome(), "CREATED");

    // A refund of the whole purchase refunds the remaining subject. The same request, sent again, returns this refund.
    let rest = shop.support.refund(shop.whole()).await;
    assert_eq!((rest.outcome(), rest.amount()), ("CREATED", "100.00"));
    assert_eq!(shop.support.refund(shop.whole()).await.refund(), rest.refund());
}

async fn a_key_that_found_a_refund_never_asks_for_another(app: Arc<TestApp>) {
    const OTHER_KEY: &str = "6f1c2a58-1111-4d6e-9a4e-000000000002";
    let shop = Shop::open(&app).await;
    let first = shop.support.refund(shop.only(0).key(KEY)).await;
    let again = shop.only(0).key(OTHER_KEY).reason("Again");
    let found = shop.support.refund(again.clone()).await;
    assert_eq!((found.outcome(), found.refund()), ("EXISTING", first.refund()));
    let before = app.row_counts().await;
    let repeated = shop.support.refund(again).await;
    assert_eq!((repeated.outcome(), repeated.refund()), ("EXISTING", first.refund()));
    for other in [shop.only(1), shop.whole(), shop.only(0)] {
        let refused = shop.support.refund(other.key(OTHER_KEY)).await;
        assert_eq!(refused.refused_as(), ("IDEMPOTENCY_KEY_REUSED", "idempotencyKey"));
    }
    assert_eq!(app.row_counts().await, before, "a repeated or refused refund wrote something");
    let live = "SELECT COUNT(*) FROM entitlements WHERE ended_at IS NULL";
    assert_eq!(app.number(live).await, 1, "the entitlement to the other subject has ended");
}

async fn invalid_refunds_are_refused_and_write_nothing(app: Arc<TestApp>) {
    let shop = Shop::open(&app).await;
    let other = app.course(&["History"]).cards(1).create(&app).await;
    let author = app.staff("Ann", Role::Author).await;
    let before = app.row_counts().await;
    let variables = json!({ "input": shop.whole().json() });
    for (client, code) in
        [(&shop.learner, "FORBIDDEN"), (&author, "FORBIDDEN"), (&app.anonymous(), "UNAUTHENTICATED")]
    {
        assert_eq!(client.fail(jishu_tests::REFUND, variables.clone()).await.0, code);
    }
    let long = "x".repeat(1_001);
    let not_a_subject = "x".to_owned();
    for (input, refusal) in [
        (RefundInput::whole(&app.global("Purchase", 999)), ("PURCHASE_NOT_FOUND", "purchaseId")),
        (RefundInput::whole(&shop.course.id), ("PURCHASE_NOT_FOUND", "purchaseId")),
        (shop.whole().reason(" "), ("REASON_INVALID", "reason")),
        (shop.whole().reason(&long), ("REASON_INVALID", "reason")),
        (shop.whole().subjects(&[]), ("SUBJECT_COUNT_MISMATCH", "subjectIds")),
        (shop.whole().subjects(&[&not_a_subject]), ("SUBJECT_NOT_FOUND", "subjectIds")),
        (
            shop.whole().subjects(&[&shop.course.subjects[0], &other.subjects[0]]),
            ("SUBJECT_NOT_IN_PURCHASE", "subjectIds"),
        ),
    ] {
        assert_eq!(shop.support.refund(input).await.refused_as(), refusal);
    }
    assert_eq!(app.row_counts().await, before);
    assert_eq!(app.number("SELECT COUNT(*) FROM entitlements WHERE ended_at IS NOT NULL").await, 0);
}

async fn an_expired_and_a_free_purchase_can_be_refunded(app: Arc<TestApp>) {
    let shop = Shop::open(&app).await;
    app.execute("UPDATE entitlements SET price_paid = 0, tax = 0").await;
    app.execute("UPDATE purchases SET cost = 0, tax = 0").await;
    app.clock.advance(TimeDelta::days(6));
    let refunded = shop.support.refund(shop.whole()).await;
    assert_eq!(
        (refunded.outcome(), refunded.amount(), refunded.purchase_status()),
        ("CREATED", "0.00", "REFUNDED")
    );
    let lines = &shop.purchases().await[0]["lines"];
    assert_eq!((&lines[0]["status"], &lines[1]["status"]), (&json!("REFUNDED"), &json!("REFUNDED")));
    // The entitlements had expired before, so the refund changes neither the time nor the reason of their end.
    let expired = "SELECT COUNT(*) FROM entitlements WHERE end_reason = 'expired' AND ended_at = expires_at";
    assert_eq!(app.number(expired).await, 2);
    let events =
        "SELECT COUNT(*) FROM audit_events WHERE action IN ('purchase.expired', 'purchase.refunded')";
    assert_eq!(app.number(events).await, 2);
}

async fn a_purchase_of_the_old_system_is_not_refunded_again(app: Arc<TestApp>) {
    let shop = Shop::open(&app).await;
    app.execute("UPDATE purchases SET status = 'refunded'").await;
    app.execute("UPDATE entitlements SET ended_at = granted_at").await;
    let before = app.row_counts().await;
    for input in [shop.whole(), shop.only(0)] {
        assert_eq!(shop.support.refund(input).await.refused_as().0, "ALREADY_REFUNDED");
    }
    assert_eq!(app.row_counts().await, before);
    let lines = &shop.purchases().await[0]["lines"];
    assert_eq!(lines[0]["status"], "REFUNDED");
    assert_ne!(lines[0]["refundedAt"], Value::Null);
}

async fn a_refund_is_shown_to_its_buyer_and_to_support(app: Arc<TestApp>) {
    let shop = Shop::open(&app).await;
    let open = shop.learner.start_session(&shop.cards[2]).await;
    let refund = shop.support.refund(shop.only(0)).await.id().to_owned();
    let document = "query ($id: ID!) { node(id: $id) { id ... on Refund { amount { amount } tax { amount }
        purchase { id status lines { status } } lines { subject { name } } } } }";
    let ben = app.learner("Ben").await;
    let own = shop.learner.run_with(document, json!({ "id": refund })).await;
    assert_eq!(own.text("/node/purchase/id"), shop.purchase);
    assert_eq!(own.text("/node/tax/amount"), "0.00");
    let of_support = shop.support.run_with(document, json!({ "id": refund })).await;
    assert_eq!(of_support.at("/node"), own.at("/node"));
    for stranger in [ben, app.anonymous()] {
        assert_eq!(*stranger.run_with(document, json!({ "id": refund })).await.at("/node"), Value::Null);
    }

    // Support sees neither the answers nor the key of an open sitting.
    let sittings =
        "query ($id: ID!) { node(id: $id) { ... on Refund { purchase { mockTestAttempts { edges { node {
        openSession { id status questions { stem answer { optionIds } correctOptionIds } } } } } } } } }";
    shop.learner.save_answers(open.id(), 1, json!([answer(&open.questions()[0], Tries::Right)])).await;
    let shown = shop.support.run_with(sittings, json!({ "id": refund })).await;
    let cards = shown.list("/node/purchase/mockTestAttempts/edges");
    let session = cards.iter().map(|edge| &edge["node"]["openSession"]).find(|session| !session.is_null());
    for question in session.expect("the open sitting")["questions"].as_array().expect("its questions") {
        assert_eq!((&question["answer"], &question["correctOptionIds"]), (&Value::Null, &Value::Null));
    }
}

async fn the_learners_devices_are_notified(app: Arc<TestApp>) {
    let shop = Shop::open(&app).await;
    let started = shop.learner.start_session(&shop.cards[0]).await;
    let node = app.second_node().await;
    let mut here = app.socket_of(shop.learner.token()).await;
    here.subscribe("cards", "subscription { mockTestAttemptChanged { id canStart status } }").await;
    let mut clock = app.socket_of(shop.learner.token()).await;
    let session = started.id();
    clock
        .subscribe(
            "clock",
            &format!("subscription {{ testSessionClock(sessionId: \"{session}\", every: 60) {{ status }} }}"),
        )
        .await;
    assert_eq!(clock.hear().await["payload"]["data"]["testSessionClock"]["status"], "IN_PROGRESS");
    app.watched_by(2).await;

    // Support sends the refund to another node than the node of the subscriptions.
    let support =
        Client::new(app.http().clone(), node.url("/graphql"), Some(shop.support.token().to_owned()));
    assert_eq!(support.refund(shop.only(0)).await.outcome(), "CREATED");
    let mut told = std::collections::BTreeSet::new();
    while told.len() < 2 {
        let message = here.hear().await;
        let card = &message["payload"]["data"]["mockTestAttemptChanged"];
        if card["canStart"] == json!(false) {
            told.insert(card["id"].as_str().expect("an id").to_owned());
        }
    }
    assert_eq!(
        told,
        shop.cards[..2].iter().cloned().collect(),
        "the events are not about the cards of the refunded subject"
    );
    assert_eq!(clock.hear().await["payload"]["data"]["testSessionClock"]["status"], "ABANDONED");
    assert_eq!(clock.hear().await["type"], "complete");
    here.hang_up();
    clock.hang_up();
    node.stop().await;
}
