//! `purchaseQuote`: the quoted price is the price that a purchase charges. Strangers get quotes, too. Selections that
//! cannot be bought get none.

use std::sync::Arc;

use jishu_tests::{TestApp, on_each_database};
use serde_json::{Value, json};

on_each_database!(
    the_quote_is_what_the_purchase_charges,
    a_stranger_is_quoted_and_owns_nothing,
    bad_selections_are_not_quoted
);

const QUOTE: &str = "query ($input: PurchaseSelection!) { purchaseQuote(input: $input) {
    quote { lines { subject { name } listPrice { amount } price { amount } testCards } alreadyOwned { name }
            subtotal { amount } discount { amount } tax { amount } total { amount currency } testCards }
    userErrors { code message path } } }";
const PURCHASE: &str = "mutation ($input: PurchaseInput!) { purchase(input: $input) {
    outcome purchase { cost { amount } } testCardsCreated userErrors { code } } }";

async fn the_quote_is_what_the_purchase_charges(app: Arc<TestApp>) {
    let course =
        app.course(&["Physics", "Chemistry", "Biology"]).bundle(249_99).price(99_99).create(&app).await;
    app.execute(&format!("UPDATE subjects SET offer_price = 7777 WHERE id = {}", course.subject_rows[1]))
        .await;
    let asha = app.learner("Asha").await;
    for selection in [
        json!({ "courseId": course.id, "purchaseType": "SINGLE_SUBJECT", "subjectIds": [course.subjects[1]] }),
        json!({ "courseId": course.id, "purchaseType": "FULL_BUNDLE" }),
    ] {
        let answer = asha.run_with(QUOTE, json!({ "input": selection })).await;
        let quote = answer.at("/purchaseQuote/quote");
        let mut input = selection.clone();
        input["cost"] = quote["total"]["amount"].clone();
        let bought = asha.run_with(PURCHASE, json!({ "input": input })).await;
        assert_eq!(bought.text("/purchase/outcome"), "CREATED", "{quote:#}\n{:#}", bought.body);
        assert_eq!(*bought.at("/purchase/purchase/cost/amount"), quote["total"]["amount"]);
        assert_eq!(*bought.at("/purchase/testCardsCreated"), quote["testCards"]);
    }
    let all = json!({ "courseId": course.id, "purchaseType": "FULL_BUNDLE" });
    let nothing_left = asha.run_with(QUOTE, json!({ "input": all })).await;
    assert_eq!(*nothing_left.at("/purchaseQuote/quote/lines"), json!([]));
    assert_eq!(nothing_left.text("/purchaseQuote/quote/total/amount"), "0.00");
    assert_eq!(nothing_left.list("/purchaseQuote/quote/alreadyOwned").len(), 3);
}

async fn a_stranger_is_quoted_and_owns_nothing(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).create(&app).await;
    let selection =
        json!({ "courseId": course.id, "purchaseType": "MULTIPLE_SUBJECTS", "subjectIds": course.subjects });
    let answer = app.anonymous().run_with(QUOTE, json!({ "input": selection })).await;
    let line = |name: &str| {
        json!({
            "subject": { "name": name }, "listPrice": { "amount": "100.00" }, "price": { "amount": "100.00" }, "testCards": 50,
        })
    };
    assert_eq!(
        *answer.at("/purchaseQuote"),
        json!({
            "quote": {
                "lines": [line("Physics"), line("Chemistry")], "alreadyOwned": [],
                "subtotal": { "amount": "200.00" }, "discount": { "amount": "0.00" }, "tax": { "amount": "0.00" },
                "total": { "amount": "200.00", "currency": "INR" }, "testCards": 100,
            },
            "userErrors": [],
        })
    );
}

async fn bad_selections_are_not_quoted(app: Arc<TestApp>) {
    let course = app.course(&["Physics"]).create(&app).await;
    for (selection, code) in [
        (json!({ "courseId": course.id, "purchaseType": "FULL_BUNDLE" }), "NOT_SOLD_AS_BUNDLE"),
        (json!({ "courseId": course.id, "purchaseType": "SINGLE_SUBJECT" }), "SUBJECT_COUNT_MISMATCH"),
        (json!({ "courseId": "x", "purchaseType": "FULL_BUNDLE" }), "COURSE_NOT_FOUND"),
    ] {
        let answer = app.anonymous().run_with(QUOTE, json!({ "input": selection })).await;
        assert_eq!(*answer.at("/purchaseQuote/quote"), Value::Null);
        assert_eq!(answer.list("/purchaseQuote/userErrors")[0]["code"], code);
    }
}
