//! Complimentary purchases, which staff grant to a learner for nothing.

use std::sync::Arc;

use futures_util::future::join_all;
use jishu_entity::user::Role;
use jishu_tests::{Client, TestApp, TestCourse, on_each_database};
use serde_json::{Value, json};

on_each_database!(
    a_grant_is_a_purchase_for_nothing,
    owned_subjects_are_not_given_twice,
    sixty_four_grants_and_purchases_at_once_give_each_subject_once,
    a_key_returns_the_first_grant,
    subscribers_see_the_cards_of_a_grant,
    an_invalid_grant_is_refused_and_writes_nothing,
);

const KEY: &str = "6f1c5f0e-2c55-4a53-8a0b-0f5d5f1f7a11";

const GRANT: &str = "mutation ($input: GrantPurchaseInput!) { grantPurchase(input: $input) {
    outcome testCardsCreated message alreadyOwned { name } testCards { totalCount }
    purchase { id complimentary grant { reason grantedBy { name } } cost { amount } user { name } subjects { name } }
    userErrors { code message path } } }";

async fn user_id(client: &Client) -> String {
    client.run("{ viewer { id } }").await.text("/viewer/id").to_owned()
}

fn input(user: &str, course: &TestCourse, subjects: &[usize]) -> Value {
    let ids: Vec<_> = subjects.iter().map(|place| &course.subjects[*place]).collect();
    let kind = match ids.len() {
        0 => "FULL_BUNDLE",
        1 => "SINGLE_SUBJECT",
        _ => "MULTIPLE_SUBJECTS",
    };
    let selection = json!({ "courseId": course.id, "purchaseType": kind, "subjectIds": ids });
    json!({ "userId": user, "selection": selection, "reason": "The payment went through twice." })
}

async fn grant(client: &Client, input: &Value) -> Value {
    client.run_with(GRANT, json!({ "input": input })).await.at("/grantPurchase").clone()
}

async fn a_grant_is_a_purchase_for_nothing(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).cards(4).bundle(150_00).create(&app).await;
    let asha = app.learner("Asha").await;
    let support = app.staff("Sam", Role::Support).await;
    let user = user_id(&asha).await;
    let given = grant(&support, &input(&user, &course, &[0])).await;
    assert_eq!((&given["outcome"], &given["testCardsCreated"]), (&json!("CREATED"), &json!(4)), "{given}");
    assert_eq!(given["message"], "The user got Physics with 4 test cards.");
    assert_eq!(given["testCards"]["totalCount"], 4);
    let purchase = &given["purchase"];
    assert_eq!((&purchase["cost"]["amount"], &purchase["complimentary"]), (&json!("0.00"), &json!(true)));
    let reason = json!({ "reason": "The payment went through twice.", "grantedBy": { "name": "Sam" } });
    assert_eq!((&purchase["grant"], &purchase["user"]["name"]), (&reason, &json!("Asha")));
    assert_eq!(app.number("SELECT cost FROM purchases").await, 0);
    assert_eq!(app.number("SELECT MAX(price_paid) FROM entitlements").await, 0);
    assert_eq!(app.number("SELECT list_price FROM entitlements").await, 100_00);
    let granted = "SELECT COUNT(*) FROM audit_events e JOIN users u ON u.id = e.actor_id WHERE u.name = 'Sam' \
                   AND e.action = 'purchase.granted' AND e.target_type = 'purchases'";
    assert_eq!(app.number(granted).await, 1);
    assert_eq!(app.number("SELECT COUNT(*) FROM audit_events WHERE action = 'purchase.created'").await, 0);

    // The learner sees that the purchase was free, but may not select the field `grant`.
    let own =
        asha.run("{ viewer { purchases { edges { node { complimentary subjects { name } } } } } }").await;
    assert_eq!(*own.at("/viewer/purchases/edges/0/node/complimentary"), true);
    let (code, _) =
        asha.fail("{ viewer { purchases { edges { node { grant { reason } } } } } }", Value::Null).await;
    assert_eq!(code, "FORBIDDEN");
    let bought = asha
        .run_with(
            "mutation ($input: PurchaseInput!) { purchase(input: $input) { purchase { complimentary cost { amount } } } }",
            json!({ "input": { "courseId": course.id, "purchaseType": "FULL_BUNDLE" } }),
        )
        .await;
    assert_eq!(*bought.at("/purchase/purchase/complimentary"), false);
    assert_eq!(
        bought.text("/purchase/purchase/cost/amount"),
        "75.00",
        "the price is not the share of the other subject"
    );
}

async fn owned_subjects_are_not_given_twice(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).cards(2).create(&app).await;
    let asha = app.learner("Asha").await;
    let admin = app.staff("Ada", Role::Admin).await;
    let user = user_id(&asha).await;
    grant(&admin, &input(&user, &course, &[0])).await;
    let both = grant(&admin, &input(&user, &course, &[0, 1])).await;
    assert_eq!((&both["outcome"], &both["testCardsCreated"]), (&json!("CREATED"), &json!(2)));
    assert_eq!(both["alreadyOwned"], json!([{ "name": "Physics" }]));
    let before = app.row_counts().await;
    let again = grant(&admin, &input(&user, &course, &[0, 1])).await;
    assert_eq!((&again["outcome"], &again["testCardsCreated"]), (&json!("EXISTING"), &json!(0)));
    let after = app.row_counts().await;
    let without = |rows: &[(&'static str, i64)]| {
        let rows = rows.iter().filter(|(table, _)| *table != "purchase_requests");
        rows.copied().collect::<Vec<_>>()
    };
    assert_eq!(without(&after), without(&before), "more than the key of the request was stored");
}

async fn sixty_four_grants_and_purchases_at_once_give_each_subject_once(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).cards(3).create(&app).await;
    let asha = app.learner("Asha").await;
    let support = app.staff("Sam", Role::Support).await;
    let user = user_id(&asha).await;
    let calls = (0..64).map(|number| {
        let (asha, support, course, user) = (&asha, &support, &course, &user);
        async move {
            let subjects: &[usize] = [&[0][..], &[1], &[0, 1]][number % 3];
            let given = input(user, course, subjects);
            if number % 2 == 0 {
                let given = grant(support, &given).await;
                assert_eq!(given["userErrors"], json!([]), "{given}");
                given["testCardsCreated"].as_i64().expect("a number")
            } else {
                let bought = jishu_tests::purchases::purchase(asha, given["selection"].clone()).await;
                bought.payload["testCardsCreated"].as_i64().expect("a number")
            }
        }
    });
    assert_eq!(join_all(calls).await.into_iter().sum::<i64>(), 6);
    assert_eq!(app.number("SELECT COUNT(*) FROM mock_test_attempts").await, 6);
    assert_eq!(app.number("SELECT COUNT(*) FROM entitlements").await, 2);
    let grants = app.number("SELECT COUNT(*) FROM purchase_grants").await;
    let events = "SELECT COUNT(*) FROM audit_events WHERE action = 'purchase.granted'";
    assert_eq!(app.number(events).await, grants);
}

async fn a_key_returns_the_first_grant(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).cards(2).create(&app).await;
    let asha = app.learner("Asha").await;
    let support = app.staff("Sam", Role::Support).await;
    let user = user_id(&asha).await;
    let mut keyed = input(&user, &course, &[0]);
    keyed["idempotencyKey"] = json!(KEY);
    let first = grant(&support, &keyed).await;
    let before = app.row_counts().await;
    assert_eq!(grant(&support, &keyed).await, first);
    // The key is refused for any other request: for another subject, for another reason, and for a purchase that the
    // learner makes.
    let mut others = [keyed.clone(), keyed.clone()];
    others[0]["selection"]["subjectIds"] = json!([course.subjects[1]]);
    others[1]["reason"] = json!("Another reason.");
    for other in &others {
        assert_eq!(grant(&support, other).await["userErrors"][0]["code"], "IDEMPOTENCY_KEY_REUSED");
    }
    let mut purchase = keyed["selection"].clone();
    purchase["idempotencyKey"] = json!(KEY);
    let refused = asha
        .run_with(
            "mutation ($input: PurchaseInput!) { purchase(input: $input) { userErrors { code } } }",
            json!({ "input": purchase }),
        )
        .await;
    assert_eq!(refused.text("/purchase/userErrors/0/code"), "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(app.row_counts().await, before);
}

async fn subscribers_see_the_cards_of_a_grant(app: Arc<TestApp>) {
    let course = app.course(&["Physics"]).cards(2).create(&app).await;
    let asha = app.learner("Asha").await;
    let support = app.staff("Sam", Role::Support).await;
    let user = user_id(&asha).await;
    let mut socket = app.socket_of(asha.token()).await;
    socket.subscribe("changes", "subscription { mockTestAttemptChanged { testNumber } }").await;
    app.watched_by(1).await;
    grant(&support, &input(&user, &course, &[0])).await;
    for number in 1..=2 {
        let event = socket.hear().await;
        assert_eq!(event["payload"]["data"]["mockTestAttemptChanged"]["testNumber"], number, "{event}");
    }
    socket.hang_up();
}

async fn an_invalid_grant_is_refused_and_writes_nothing(app: Arc<TestApp>) {
    let course = app.course(&["Physics"]).cards(2).create(&app).await;
    let asha = app.learner("Asha").await;
    let support = app.staff("Sam", Role::Support).await;
    let user = user_id(&asha).await;
    let good = input(&user, &course, &[0]);
    let with = |pointer: &str, value: Value| {
        let mut changed = good.clone();
        *changed.pointer_mut(pointer).expect("a field") = value;
        changed
    };
    let before = app.row_counts().await;
    for (wrong, code, path) in [
        (with("/userId", json!("x")), "USER_NOT_FOUND", vec!["input", "userId"]),
        (with("/userId", json!(app.global("User", 999))), "USER_NOT_FOUND", vec!["input", "userId"]),
        (with("/reason", json!(" ")), "REASON_INVALID", vec!["input", "reason"]),
        (with("/reason", json!("x".repeat(1_001))), "REASON_INVALID", vec!["input", "reason"]),
        (with("/selection/courseId", json!("x")), "COURSE_NOT_FOUND", vec!["input", "selection", "courseId"]),
        (
            with("/selection/subjectIds", json!([])),
            "SUBJECT_COUNT_MISMATCH",
            vec!["input", "selection", "subjectIds"],
        ),
        (
            with("/selection/subjectIds", json!([app.global("Subject", 999)])),
            "SUBJECT_NOT_FOUND",
            vec!["input", "selection", "subjectIds"],
        ),
        (input(&user, &course, &[]), "NOT_SOLD_AS_BUNDLE", vec!["input", "selection", "purchaseType"]),
    ] {
        let refused = grant(&support, &wrong).await;
        let error = &refused["userErrors"][0];
        assert_eq!((&error["code"], &error["path"]), (&json!(code), &json!(path)), "{refused}");
        assert_eq!(refused["purchase"], Value::Null);
    }
    app.execute("UPDATE users SET status = 'deactivated' WHERE name = 'Asha'").await;
    assert_eq!(grant(&support, &good).await["userErrors"][0]["code"], "ACCOUNT_INACTIVE");
    assert_eq!(app.row_counts().await, before);
    for (role, code) in [(Role::Learner, "FORBIDDEN"), (Role::Author, "FORBIDDEN")] {
        let client = app.staff(&format!("Other{role:?}"), role).await;
        assert_eq!(client.fail(GRANT, json!({ "input": good })).await.0, code);
    }
}
