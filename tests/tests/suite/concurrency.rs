//! The promise under load: however many ask at once, each thing is bought once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jishu_tests::{Client, TestApp, TestCourse, on_each_database};
use serde_json::{Value, json};

on_each_database!(
    sixty_four_identical_purchases_make_one,
    sixty_four_overlapping_purchases_buy_each_subject_once,
    clients_that_hang_up_leave_whole_purchases_and_free_connections,
);

const CALLERS: usize = 64;

/// `PURCHASE_ROUNDS` sets another number, for a longer run.
fn rounds() -> usize {
    std::env::var("PURCHASE_ROUNDS").map_or(50, |rounds| rounds.parse().expect("a number"))
}

const PURCHASE: &str = "
mutation ($input: PurchaseInput!) {
  purchase(input: $input) {
    outcome
    testCardsCreated
    purchase { id subjects { id } }
    testCards(first: 100) { totalCount edges { node { id } } }
    userErrors { code message }
  }
}";

struct Call {
    payload: Value,
    took: Duration,
}

async fn all_at_once(client: &Client, inputs: Vec<Value>) -> Vec<Call> {
    let calls = inputs.into_iter().map(|input| {
        let client = client.clone();
        tokio::spawn(async move {
            let started = Instant::now();
            let answer = client.run_with(PURCHASE, json!({ "input": input })).await;
            Call { payload: answer.at("/purchase").clone(), took: started.elapsed() }
        })
    });
    join_all(calls).await.into_iter().map(|call| call.expect("the call does not panic")).collect()
}

async fn sixty_four_identical_purchases_make_one(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).create(&app).await;
    let mut slowest = Duration::ZERO;
    for round in 0..rounds() {
        let learner = app.learner(&format!("Learner{round}")).await;
        let before = app.rows().await;
        let input = json!({
            "courseId": course.id,
            "purchaseType": "MULTIPLE_SUBJECTS",
            "subjectIds": course.subjects,
            "cost": "200.00",
        });
        let calls = all_at_once(&learner, vec![input; CALLERS]).await;
        slowest = slowest.max(calls.iter().map(|call| call.took).max().unwrap_or_default());

        let created: Vec<_> = calls.iter().filter(|call| call.payload["outcome"] == "CREATED").collect();
        assert_eq!(created.len(), 1, "one caller bought");
        assert_eq!(created[0].payload["testCardsCreated"], 100);
        for call in &calls {
            assert_eq!(call.payload["userErrors"], json!([]));
            assert_eq!(call.payload["purchase"], calls[0].payload["purchase"]);
            assert_eq!(call.payload["testCards"], calls[0].payload["testCards"]);
        }
        let after = app.rows().await;
        let grown =
            after.into_iter().zip(before).map(|((table, after), (_, before))| (table, after - before));
        let grown: Vec<_> = grown.filter(|(_, rows)| *rows != 0).collect();
        let expected = [
            ("purchases", 1),
            ("purchase_requests", 1),
            ("entitlements", 2),
            ("mock_test_attempts", 100),
            ("audit_events", 1),
        ];
        assert_eq!(grown, expected);
    }
    eprintln!("{:?}: {CALLERS} identical purchases, slowest call {slowest:?}", app.backend);
}

async fn sixty_four_overlapping_purchases_buy_each_subject_once(app: Arc<TestApp>) {
    let course = app.course(&["A", "B", "C"]).bundle(250_00).create(&app).await;
    let mut slowest = Duration::ZERO;
    for round in 0..rounds() {
        let learner = app.learner(&format!("Learner{round}")).await;
        let inputs = (0..CALLERS).map(|caller| overlapping(&course, caller + round)).collect();
        let calls = all_at_once(&learner, inputs).await;
        slowest = slowest.max(calls.iter().map(|call| call.took).max().unwrap_or_default());
        for call in &calls {
            assert_eq!(call.payload["userErrors"], json!([]), "{:#}", call.payload);
        }
        let created: i64 =
            calls.iter().map(|call| call.payload["testCardsCreated"].as_i64().unwrap_or(-1)).sum();
        assert_eq!(created, 150, "every card was created for exactly one caller");
    }
    let rounds = i64::try_from(rounds()).expect("few");
    assert_eq!(app.number("SELECT COUNT(*) FROM mock_test_attempts").await, 150 * rounds);
    assert_eq!(app.number("SELECT COUNT(*) FROM entitlements").await, 3 * rounds);
    // What each purchase cost is what its subjects cost.
    let unequal = "SELECT COUNT(*) FROM purchases p WHERE p.cost <> \
                   (SELECT SUM(e.price_paid) FROM entitlements e WHERE e.purchase_id = p.id)";
    assert_eq!(app.number(unequal).await, 0);
    eprintln!("{:?}: {CALLERS} overlapping purchases, slowest call {slowest:?}", app.backend);
}

/// A, AB, BC, ABC and the bundle, in turn.
fn overlapping(course: &TestCourse, caller: usize) -> Value {
    let [a, b, c] = [&course.subjects[0], &course.subjects[1], &course.subjects[2]];
    let (purchase_type, subjects) = match caller % 5 {
        0 => ("SINGLE_SUBJECT", vec![a]),
        1 => ("MULTIPLE_SUBJECTS", vec![a, b]),
        2 => ("MULTIPLE_SUBJECTS", vec![c, b]),
        3 => ("MULTIPLE_SUBJECTS", vec![a, b, c]),
        _ => ("FULL_BUNDLE", vec![]),
    };
    json!({ "courseId": course.id, "purchaseType": purchase_type, "subjectIds": subjects })
}

async fn register(app: &TestApp, number: usize) -> Client {
    app.learner(&format!("Learner{number}")).await
}

async fn clients_that_hang_up_leave_whole_purchases_and_free_connections(app: Arc<TestApp>) {
    let course = app.course(&["A", "B", "C"]).bundle(250_00).create(&app).await;
    let learners = join_all((0..10).map(|number| register(&app, number))).await;
    for (number, learner) in learners.iter().enumerate() {
        // More at once than the pool has connections, each cut off at another moment.
        let calls = (0..32_u64).map(|caller| {
            let input = overlapping(&course, number + usize::try_from(caller).expect("few"));
            let cut_off = Duration::from_micros(150 * caller);
            tokio::time::timeout(cut_off, learner.send(PURCHASE, json!({ "input": input })))
        });
        join_all(calls).await;
    }
    // Whoever asks next is served, and finds nothing half.
    for learner in &learners {
        let input = json!({ "courseId": course.id, "purchaseType": "FULL_BUNDLE" });
        let answer = learner.run_with(PURCHASE, json!({ "input": input })).await;
        assert_eq!(answer.number("/purchase/testCards/totalCount"), 150);
    }
    assert_eq!(app.number("SELECT COUNT(*) FROM mock_test_attempts").await, 1_500);
    assert_eq!(app.number("SELECT COUNT(*) FROM entitlements").await, 30);
    let empty = "SELECT COUNT(*) FROM purchases p LEFT JOIN entitlements e ON e.purchase_id = p.id \
                 WHERE e.purchase_id IS NULL";
    assert_eq!(app.number(empty).await, 0);
}
