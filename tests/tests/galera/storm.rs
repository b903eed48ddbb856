//! Purchases of the same learners through all nodes.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jishu_tests::Client;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{NODES, World};

const CALLERS: usize = 64;

fn rounds() -> usize {
    std::env::var("GALERA_ROUNDS").map_or(30, |rounds| rounds.parse().expect("a number"))
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

/// One request, which must be answered without an error of any kind.
async fn purchase(client: Client, input: Value) -> Call {
    let started = Instant::now();
    let answer = client.run_with(PURCHASE, json!({ "input": input })).await;
    let call = Call { payload: answer.at("/purchase").clone(), took: started.elapsed() };
    assert_eq!(call.payload["userErrors"], json!([]), "{:#}", call.payload);
    call
}

/// All at once, dealt out to the nodes.
async fn all_at_once(learner: &[Client], inputs: Vec<Value>) -> Vec<Call> {
    let calls = inputs
        .into_iter()
        .enumerate()
        .map(|(number, input)| tokio::spawn(purchase(learner[number % NODES].clone(), input)));
    join_all(calls).await.into_iter().map(|call| call.expect("no error reaches a client")).collect()
}

fn created(calls: &[Call]) -> i64 {
    calls.iter().map(|call| call.payload["testCardsCreated"].as_i64().unwrap_or(-1)).sum()
}

fn slowest(calls: &[Call]) -> Duration {
    calls.iter().map(|call| call.took).max().unwrap_or_default()
}

/// Everybody buys the same.
pub(crate) async fn identical(world: &World) {
    let mut longest = Duration::ZERO;
    for round in 0..rounds() {
        let learner = world.learner(&format!("Identical{round}"), round).await;
        let input = json!({
            "courseId": world.course,
            "purchaseType": "MULTIPLE_SUBJECTS",
            "subjectIds": &world.subjects[..2],
            "cost": "200.00",
        });
        let calls = all_at_once(&learner, vec![input; CALLERS]).await;
        longest = longest.max(slowest(&calls));
        let buyers = calls.iter().filter(|call| call.payload["outcome"] == "CREATED").count();
        assert_eq!((buyers, created(&calls)), (1, 100), "one caller bought");
        for call in &calls {
            assert_eq!(call.payload["purchase"], calls[0].payload["purchase"]);
            assert_eq!(call.payload["testCards"], calls[0].payload["testCards"]);
        }
    }
    eprintln!("{} rounds of {CALLERS} identical purchases, slowest call {longest:?}", rounds());
}

/// Everybody buys something of the same three subjects.
pub(crate) async fn overlapping(world: &World) {
    let mut longest = Duration::ZERO;
    for round in 0..rounds() {
        let learner = world.learner(&format!("Overlapping{round}"), round).await;
        let inputs = (0..CALLERS).map(|caller| selection(world, caller + round)).collect();
        let calls = all_at_once(&learner, inputs).await;
        longest = longest.max(slowest(&calls));
        assert_eq!(created(&calls), 150, "every card was created for exactly one caller");
    }
    eprintln!("{} rounds of {CALLERS} overlapping purchases, slowest call {longest:?}", rounds());
}

/// The same requests, told by their keys, reach all nodes at once: each has one answer.
pub(crate) async fn keyed(world: &World) {
    const REQUESTS: usize = 8;
    let mut longest = Duration::ZERO;
    for round in 0..rounds() {
        let learner = world.learner(&format!("Keyed{round}"), round).await;
        let requests: Vec<Value> = (0..REQUESTS)
            .map(|number| {
                let mut input = selection(world, number + round);
                input["idempotencyKey"] = json!(Uuid::new_v4());
                input
            })
            .collect();
        // Each eight times: `REQUESTS` and the number of nodes have no divisor in common.
        let inputs: Vec<Value> = (0..CALLERS).map(|caller| requests[caller % REQUESTS].clone()).collect();
        let calls = all_at_once(&learner, inputs.clone()).await;
        let again = all_at_once(&learner, inputs).await;
        longest = longest.max(slowest(&calls));
        for (number, call) in calls.iter().chain(&again).enumerate() {
            assert_eq!(call.payload, calls[number % REQUESTS].payload, "a key has one answer");
        }
        assert_eq!(created(&calls[..REQUESTS]), 150);
    }
    eprintln!("{} rounds of {CALLERS} purchases under {REQUESTS} keys, slowest call {longest:?}", rounds());
}

/// What one node has answered is what the next one goes on from, though it is behind with a bulk of other rows.
pub(crate) async fn one_after_the_other(world: &World) {
    let (bulk, stop) = world.keep_the_others_behind();
    let learners = (0..4).map(async |learner| {
        for round in 0..rounds() {
            let clients = world.learner(&format!("Chain{learner}x{round}"), round).await;
            let node = |step: usize| clients[(learner + round + step) % NODES].clone();
            let [a, b, c] = [&world.subjects[0], &world.subjects[1], &world.subjects[2]];
            let owned = async |step: usize| {
                let query = "{ viewer { mockTestAttempts(first: 1) { totalCount } } }";
                node(step).run(query).await.number("/viewer/mockTestAttempts/totalCount")
            };
            let buy = |subjects: Vec<&String>, kind: &str| {
                json!({
                    "courseId": world.course,
                    "purchaseType": kind,
                    "subjectIds": subjects,
                    // One subject is left to pay for each time.
                    "cost": "100.00",
                    "idempotencyKey": Uuid::new_v4(),
                })
            };
            let steps = [
                buy(vec![a], "SINGLE_SUBJECT"),
                buy(vec![a, b], "MULTIPLE_SUBJECTS"),
                buy(vec![b, c, a], "MULTIPLE_SUBJECTS"),
            ];
            for (step, input) in steps.into_iter().enumerate() {
                let first = purchase(node(step), input.clone()).await;
                assert_eq!(first.payload["outcome"], "CREATED");
                let cards = 50 * i64::try_from(step + 1).expect("few");
                assert_eq!(owned(step + 1).await, cards, "cards that the next node tells of");
                let again = purchase(node(step + 2), input).await;
                assert_eq!(again.payload, first.payload, "a repeated key has one answer");
            }
        }
    });
    join_all(learners).await;
    stop.store(true, Ordering::SeqCst);
    let bulks = bulk.await.expect("the bulk does not panic");
    assert!(bulks > 0, "the other nodes were behind");
    eprintln!("{} learners went from node to node beside {bulks} bulk inserts", 4 * rounds());
}

/// A, AB, BC, ABC and the bundle, in turn.
fn selection(world: &World, caller: usize) -> Value {
    let [a, b, c] = [&world.subjects[0], &world.subjects[1], &world.subjects[2]];
    let (purchase_type, subjects) = match caller % 5 {
        0 => ("SINGLE_SUBJECT", vec![a]),
        1 => ("MULTIPLE_SUBJECTS", vec![a, b]),
        2 => ("MULTIPLE_SUBJECTS", vec![c, b]),
        3 => ("MULTIPLE_SUBJECTS", vec![a, b, c]),
        _ => ("FULL_BUNDLE", vec![]),
    };
    json!({ "courseId": world.course, "purchaseType": purchase_type, "subjectIds": subjects })
}
