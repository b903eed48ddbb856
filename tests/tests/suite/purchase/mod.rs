//! Buying: what is created, what is returned, what is refused.

mod cards;
mod keys;
mod owned;
mod price;
mod refusals;

use jishu_tests::{Answer, Client, TestApp, TestCourse};
use serde_json::{Value, json};

const PURCHASE: &str = "
mutation ($input: PurchaseInput!) {
  purchase(input: $input) {
    outcome
    message
    testCardsCreated
    alreadyOwned { name }
    purchase { id purchaseType status cost { amount currency } subjects { name } course { name } }
    testCards(first: 100) { totalCount edges { node { id testNumber status maxAttempts attemptsUsed subject { name } } } }
    userErrors { __typename code message path ... on SubjectsError { subjectIds }
                 ... on PriceChangedError { quote { total { amount } lines { subject { name } } } } }
  }
}";

fn input(course: &TestCourse, purchase_type: &str, subjects: &[&String]) -> Value {
    json!({ "courseId": course.id, "purchaseType": purchase_type, "subjectIds": subjects })
}

fn with(mut input: Value, field: &str, value: impl Into<Value>) -> Value {
    input[field] = value.into();
    input
}

async fn buy(client: &Client, input: Value) -> Answer {
    client.run_with(PURCHASE, json!({ "input": input })).await
}

fn outcome(answer: &Answer) -> (&str, i64, i64) {
    (
        answer.text("/purchase/outcome"),
        answer.number("/purchase/testCardsCreated"),
        answer.number("/purchase/testCards/totalCount"),
    )
}

/// The code, the path and the type of the one user error; and nothing else was answered.
fn refusal(answer: &Answer) -> (String, String, String) {
    let payload = answer.at("/purchase");
    assert_eq!(payload["outcome"], Value::Null);
    assert_eq!(payload["purchase"], Value::Null);
    assert_eq!(payload["testCards"], Value::Null);
    assert_eq!(payload["userErrors"].as_array().map(Vec::len), Some(1), "{payload:#}");
    let error = &payload["userErrors"][0];
    assert!(error["message"].as_str().is_some_and(|message| message.ends_with('.')), "{error:#}");
    let path: Vec<_> = error["path"].as_array().unwrap().iter().map(|part| part.as_str().unwrap()).collect();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&error["code"]), path.join("."), text(&error["__typename"]))
}

const COST_IS_SUM_OF_PRICES: &str = "SELECT COUNT(*) FROM purchases p WHERE p.cost = \
    (SELECT SUM(e.price_paid) FROM entitlements e WHERE e.purchase_id = p.id)";

async fn no_card_is_doubled(app: &TestApp) {
    let doubled = "SELECT COUNT(*) FROM (SELECT purchase_id FROM mock_test_attempts \
                   GROUP BY purchase_id, subject_id, test_number HAVING COUNT(*) > 1) doubled";
    assert_eq!(app.number(doubled).await, 0);
}
