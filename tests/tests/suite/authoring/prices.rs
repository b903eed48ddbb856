//! A price that changes while somebody buys.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use jishu_entity::user::Role;
use jishu_service::catalogue_file::{self, ApplyMode};
use jishu_service::clock::Clock;
use jishu_tests::{Client, TestApp, on_each_database};
use serde_json::{Value, json};

on_each_database!(
    a_purchase_costs_a_price_that_was_committed_and_the_one_that_was_shown,
    a_bundle_never_mixes_two_states_of_the_catalogue,
);

const PURCHASE: &str =
    "mutation ($input: PurchaseInput!) { purchase(input: $input) { purchase { cost { amount } }
    userErrors { code ... on PriceChangedError { quote { total { amount } } } } } }";
const BUYERS: usize = 24;

async fn clients(app: &TestApp) -> Vec<Client> {
    let mut clients = Vec::new();
    for number in 0..BUYERS {
        clients.push(app.staff(&format!("Buyer{number}"), Role::Learner).await);
    }
    clients
}

/// Buys, and accepts each new quote until the purchase succeeds. Returns the cost, and the price in the last request,
/// or `None` if the last request had no price.
async fn buy(client: &Client, mut input: Value, shows_price: bool) -> (String, Option<String>) {
    let mut shown = None;
    if shows_price {
        // The real price is never 0.01, so the first response is `PRICE_CHANGED` with a quote.
        shown = Some("0.01".to_owned());
    }
    loop {
        if let Some(shown) = &shown {
            input["cost"] = json!(shown);
        }
        let answer = client.run_with(PURCHASE, json!({ "input": input })).await;
        let payload = answer.at("/purchase");
        if let Some(cost) = payload["purchase"]["cost"]["amount"].as_str() {
            return (cost.to_owned(), shown);
        }
        assert_eq!(payload["userErrors"][0]["code"], "PRICE_CHANGED", "{payload:#}");
        shown = Some(payload["userErrors"][0]["quote"]["total"]["amount"].as_str().unwrap().to_owned());
    }
}

async fn a_purchase_costs_a_price_that_was_committed_and_the_one_that_was_shown(app: Arc<TestApp>) {
    let author = app.staff("Author", Role::Author).await;
    let course =
        author.create_course(json!({ "code": "neet", "name": "NEET", "currency": "INR" })).await.done();
    let subject = author
        .create_subject(
            json!({ "courseId": course.id, "code": "bio", "name": "Biology", "listPrice": "100.00",
                                "totalMockTests": 1 }),
        )
        .await
        .done();
    let buyers = clients(&app).await;
    let done = AtomicBool::new(false);
    let change = async {
        let mut prices = BTreeSet::from(["100.00".to_owned()]);
        for version in 1.. {
            if done.load(Ordering::Relaxed) && version > 10 {
                break;
            }
            let price = format!("{}.{:02}", 100 + version, version % 100);
            let edit = json!({ "id": subject.id, "version": version, "listPrice": price });
            author.update_subject(edit).await.done();
            prices.insert(price);
        }
        prices
    };
    let purchases = async {
        let input =
            json!({ "courseId": course.id, "purchaseType": "SINGLE_SUBJECT", "subjectIds": [subject.id] });
        let bought =
            buyers.iter().enumerate().map(|(number, buyer)| buy(buyer, input.clone(), number % 2 == 0));
        let bought = join_all(bought).await;
        done.store(true, Ordering::Relaxed);
        bought
    };
    let (prices, bought) = tokio::join!(change, purchases);
    for (cost, shown) in &bought {
        assert!(prices.contains(cost), "{cost} was never the price");
        assert!(
            shown.as_ref().is_none_or(|shown| shown == cost),
            "{cost} was charged, and {shown:?} was shown"
        );
    }
    assert_eq!(app.number("SELECT COUNT(*) FROM purchases").await, BUYERS as i64);
    let unequal = "SELECT COUNT(*) FROM purchases p JOIN entitlements e ON e.purchase_id = p.id WHERE e.price_paid <> p.cost";
    assert_eq!(app.number(unequal).await, 0);
}

async fn a_bundle_never_mixes_two_states_of_the_catalogue(app: Arc<TestApp>) {
    // In the first state of the catalogue, the bundle costs 150.00. In the second state, the bundle costs 600.00,
    // because a bundle never costs more than its subjects. The second bundle price with the subjects of the first state
    // would give 200.00.
    let file = |bundle: &str, price: &str| {
        format!(
            "courses:\n  - {{ code: neet, name: NEET, currency: INR, bundlePrice: {bundle}, subjects: [\
             {{ code: a, name: A, listPrice: {price}, totalMockTests: 1 }}, \
             {{ code: b, name: B, listPrice: {price}, totalMockTests: 1 }}] }}\n"
        )
    };
    let states = [file("150", "100"), file("1000", "300")];
    let apply = async |state: &str| {
        let now = app.clock.now();
        catalogue_file::apply(&app.services.database, now, state, ApplyMode::default()).await.unwrap()
    };
    apply(&states[0]).await;
    let course = app.global("Course", app.number("SELECT id FROM courses").await);
    let buyers = clients(&app).await;
    let done = AtomicBool::new(false);
    let change = async {
        for number in 1.. {
            if done.load(Ordering::Relaxed) && number > 10 {
                break;
            }
            assert_eq!(apply(&states[number % 2]).await.changes.len(), 3);
        }
    };
    let purchases = async {
        let input = json!({ "courseId": course, "purchaseType": "FULL_BUNDLE" });
        let bought =
            buyers.iter().enumerate().map(|(number, buyer)| buy(buyer, input.clone(), number % 4 == 0));
        let bought = join_all(bought).await;
        done.store(true, Ordering::Relaxed);
        bought
    };
    let ((), bought) = tokio::join!(change, purchases);
    for (cost, shown) in bought {
        assert!(["150.00", "600.00"].contains(&cost.as_str()), "{cost} was never the price");
        assert!(
            shown.as_ref().is_none_or(|shown| *shown == cost),
            "{cost} was charged, and {shown:?} was shown"
        );
    }
}
