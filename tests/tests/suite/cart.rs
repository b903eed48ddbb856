//! The cart.

use std::sync::Arc;

use jishu_tests::{Answer, Client, TestApp, on_each_database};
use serde_json::json;

on_each_database!(
    a_cart_follows_its_owner,
    a_quote_stands_beside_each_course,
    what_cannot_be_bought_cannot_be_put_in,
    putting_in_at_once_from_many_devices_keeps_each_subject_once,
    a_cart_has_an_end,
    what_left_the_catalogue_is_not_quoted,
    a_stranger_has_no_cart,
);

const ADD: &str = "mutation ($ids: [ID!]!) { addToCart(subjectIds: $ids) {
    cart { subjects { name } totalCount } userErrors { __typename code message path ... on SubjectsError { subjectIds } } } }";
const REMOVE: &str = "mutation ($ids: [ID!]!) { removeFromCart(subjectIds: $ids) {
    cart { subjects { name } totalCount } userErrors { code } } }";

async fn change(client: &Client, document: &str, ids: &[&String]) -> Answer {
    client.run_with(document, json!({ "ids": ids })).await
}

async fn names(client: &Client) -> Vec<String> {
    let cart = client.run("{ viewer { cart { subjects { name } } } }").await;
    cart.list("/viewer/cart/subjects")
        .iter()
        .map(|subject| subject["name"].as_str().unwrap().to_owned())
        .collect()
}

async fn a_cart_follows_its_owner(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry", "Biology"]).create(&app).await;
    let asha = app.learner("Asha").await;
    let [physics, chemistry, biology] = [&course.subjects[0], &course.subjects[1], &course.subjects[2]];
    let added = change(&asha, ADD, &[biology, physics, biology]).await;
    assert_eq!(
        *added.at("/addToCart"),
        json!({
            "cart": { "subjects": [{ "name": "Physics" }, { "name": "Biology" }], "totalCount": 2 }, "userErrors": [],
        })
    );
    change(&asha, ADD, &[physics]).await;
    let on_another_device = app.learner_again("Asha").await;
    assert_eq!(names(&on_another_device).await, ["Physics", "Biology"]);
    let removed = change(&on_another_device, REMOVE, &[physics, chemistry]).await;
    assert_eq!(removed.number("/removeFromCart/cart/totalCount"), 1);
    assert_eq!(names(&asha).await, ["Biology"]);
    assert!(names(&app.learner("Binod").await).await.is_empty());
}

async fn a_quote_stands_beside_each_course(app: Arc<TestApp>) {
    let neet = app.course(&["Physics", "Chemistry"]).named("NEET").price(150_00).create(&app).await;
    let jee = app.course(&["Mathematics"]).named("JEE").create(&app).await;
    let asha = app.learner("Asha").await;
    change(&asha, ADD, &[&jee.subjects[0], &neet.subjects[1], &neet.subjects[0]]).await;
    app.execute(&format!("UPDATE subjects SET offer_price = 12000 WHERE id = {}", neet.subject_rows[1]))
        .await;
    let quotes = asha.run("{ viewer { cart { quotes { course { name } subtotal { amount } discount { amount } total { amount } testCards } } } }").await;
    assert_eq!(
        *quotes.at("/viewer/cart/quotes"),
        json!([
            { "course": { "name": "NEET" }, "subtotal": { "amount": "300.00" }, "discount": { "amount": "30.00" },
              "total": { "amount": "270.00" }, "testCards": 100 },
            { "course": { "name": "JEE" }, "subtotal": { "amount": "100.00" }, "discount": { "amount": "0.00" },
              "total": { "amount": "100.00" }, "testCards": 50 },
        ])
    );
}

async fn what_cannot_be_bought_cannot_be_put_in(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry", "Biology"]).create(&app).await;
    let gone = app.course(&["History"]).create(&app).await;
    let asha = app.learner("Asha").await;
    asha.run_with(
        "mutation ($input: PurchaseInput!) { purchase(input: $input) { outcome } }",
        json!({ "input": { "courseId": course.id, "purchaseType": "SINGLE_SUBJECT", "subjectIds": [course.subjects[0]] } }),
    )
    .await;
    app.execute(&format!(
        "UPDATE subjects SET archived_at = created_at WHERE id = {}",
        course.subject_rows[1]
    ))
    .await;
    app.execute(&format!("UPDATE courses SET archived_at = created_at WHERE id = {}", gone.row)).await;
    let before = app.rows().await;
    for (bad, code) in [
        (&app.global("Subject", 999_999), "SUBJECT_NOT_FOUND"),
        (&course.id, "SUBJECT_NOT_FOUND"),
        (&course.subjects[1], "SUBJECT_ARCHIVED"),
        (&gone.subjects[0], "SUBJECT_ARCHIVED"),
        (&course.subjects[0], "SUBJECT_OWNED"),
    ] {
        let answer = change(&asha, ADD, &[&course.subjects[2], bad]).await;
        let error = &answer.list("/addToCart/userErrors")[0];
        assert_eq!((&error["code"], &error["path"]), (&json!(code), &json!(["subjectIds"])));
        assert!(names(&asha).await.is_empty());
    }
    assert_eq!(app.rows().await, before);
}

async fn putting_in_at_once_from_many_devices_keeps_each_subject_once(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).create(&app).await;
    let asha = app.learner("Asha").await;
    let all: Vec<&String> = course.subjects.iter().collect();
    let answers = futures_util::future::join_all((0..32).map(|_| change(&asha, ADD, &all))).await;
    assert!(answers.iter().all(|answer| *answer.at("/addToCart/userErrors") == json!([])));
    assert_eq!(app.number("SELECT COUNT(*) FROM cart_items").await, 2);
}

async fn a_cart_has_an_end(app: Arc<TestApp>) {
    let names: Vec<String> = (0..501).map(|number| format!("Subject {number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let course = app.course(&names).create(&app).await;
    let asha = app.learner("Asha").await;
    let all: Vec<&String> = course.subjects.iter().collect();
    assert_eq!(*change(&asha, ADD, &all[..500]).await.at("/addToCart/userErrors"), json!([]));
    let full = change(&asha, ADD, &all[499..]).await;
    assert_eq!(full.list("/addToCart/userErrors")[0]["code"], "CART_FULL");
    assert_eq!(full.number("/addToCart/cart/totalCount"), 500);
}

async fn what_left_the_catalogue_is_not_quoted(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).create(&app).await;
    let asha = app.learner("Asha").await;
    change(&asha, ADD, &[&course.subjects[0], &course.subjects[1]]).await;
    app.execute(&format!(
        "UPDATE subjects SET archived_at = created_at WHERE id = {}",
        course.subject_rows[0]
    ))
    .await;
    app.services.catalog.reload().await.unwrap();
    let cart =
        asha.run("{ viewer { cart { subjects { name archived } quotes { total { amount } } } } }").await;
    assert_eq!(
        *cart.at("/viewer/cart"),
        json!({
            "subjects": [{ "name": "Physics", "archived": true }, { "name": "Chemistry", "archived": false }],
            "quotes": [{ "total": { "amount": "100.00" } }],
        })
    );
}

async fn a_stranger_has_no_cart(app: Arc<TestApp>) {
    for document in [ADD, REMOVE] {
        let (code, message) = app.anonymous().fail(document, json!({ "ids": [] })).await;
        assert_eq!(code, "UNAUTHENTICATED");
        assert!(message.contains("login"), "{message}");
    }
}
