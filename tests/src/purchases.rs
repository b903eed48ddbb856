//! Purchases by many callers at once.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::Client;

/// Number of simultaneous calls.
pub const CALLERS: usize = 64;

/// The document of [`purchase`]. It selects little, because many callers send it at once.
pub const BRIEF_PURCHASE: &str = "
mutation ($input: PurchaseInput!) {
  purchase(input: $input) {
    outcome
    testCardsCreated
    purchase { id subjects { id } }
    testCards(first: 100) { totalCount edges { node { id } } }
    userErrors { code message }
  }
}";

/// The payload of a successful purchase, with the time that the request took.
#[derive(Debug)]
pub struct Call {
    /// The payload of the mutation.
    pub payload: Value,
    /// The time from sending the request to its response.
    pub took: Duration,
}

/// Sends a purchase that must succeed, and measures its time.
///
/// # Panics
/// Panics if the response contains an error.
pub async fn purchase(client: &Client, input: Value) -> Call {
    let started = Instant::now();
    let answer = client.run_with(BRIEF_PURCHASE, json!({ "input": input })).await;
    let call = Call { payload: answer.at("/purchase").clone(), took: started.elapsed() };
    assert_eq!(call.payload["userErrors"], json!([]), "{:#}", call.payload);
    call
}

/// Sends a purchase for each input, all at once and spread over the clients.
///
/// # Panics
/// Panics if a response contains an error.
pub async fn all_at_once(clients: &[Client], inputs: Vec<Value>) -> Vec<Call> {
    let calls = clients.iter().cycle().cloned().zip(inputs);
    let calls = calls.map(|(client, input)| tokio::spawn(async move { purchase(&client, input).await }));
    join_all(calls).await.into_iter().map(|call| call.expect("no error reaches a client")).collect()
}

/// Returns the number of cards that all calls created together.
#[must_use]
pub fn created(calls: &[Call]) -> i64 {
    calls.iter().map(|call| call.payload["testCardsCreated"].as_i64().unwrap_or(-1)).sum()
}

/// Returns the time that the slowest call took.
#[must_use]
pub fn slowest(calls: &[Call]) -> Duration {
    calls.iter().map(|call| call.took).max().unwrap_or_default()
}

/// Asserts that exactly one of several identical calls bought, that `cards` cards were created, and that all responses
/// contain the same purchase and the same cards.
///
/// # Panics
/// Panics if an assertion fails.
pub fn assert_one_bought(calls: &[Call], cards: i64) {
    let buyers = calls.iter().filter(|call| call.payload["outcome"] == "CREATED").count();
    assert_eq!((buyers, created(calls)), (1, cards), "exactly one caller must buy");
    for call in calls {
        assert_eq!(call.payload["purchase"], calls[0].payload["purchase"]);
        assert_eq!(call.payload["testCards"], calls[0].payload["testCards"]);
    }
}

/// Returns the input of the caller with this number, for a course with three subjects. Consecutive callers buy A, AB,
/// BC, ABC and the bundle.
///
/// # Panics
/// Panics if the course has fewer than three subjects.
#[must_use]
pub fn overlapping(course: &str, subjects: &[String], caller: usize) -> Value {
    let [a, b, c] = [&subjects[0], &subjects[1], &subjects[2]];
    let (purchase_type, subjects) = match caller % 5 {
        0 => ("SINGLE_SUBJECT", vec![a]),
        1 => ("MULTIPLE_SUBJECTS", vec![a, b]),
        2 => ("MULTIPLE_SUBJECTS", vec![c, b]),
        3 => ("MULTIPLE_SUBJECTS", vec![a, b, c]),
        _ => ("FULL_BUNDLE", vec![]),
    };
    json!({ "courseId": course, "purchaseType": purchase_type, "subjectIds": subjects })
}

/// Returns the input that buys the first two subjects of a course for 200.00.
///
/// # Panics
/// Panics if the course has fewer subjects.
#[must_use]
pub fn two_subjects(course: &str, subjects: &[String]) -> Value {
    json!({
        "courseId": course,
        "purchaseType": "MULTIPLE_SUBJECTS",
        "subjectIds": subjects[..2],
        "cost": "200.00",
    })
}
