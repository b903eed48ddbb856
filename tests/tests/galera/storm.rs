//! Purchases of the same learners through all nodes, at once or on one node after the other.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use jishu_tests::purchases::{
    self, CALLERS, all_at_once, assert_one_bought, created, purchase, slowest, two_subjects,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{NODES, World};

fn rounds() -> usize {
    std::env::var("GALERA_ROUNDS").map_or(30, |rounds| rounds.parse().expect("a number"))
}

/// In each round, 64 calls of one learner buy the same two subjects at once, spread over all nodes.
pub(crate) async fn identical(world: &World) {
    let mut longest = Duration::ZERO;
    for round in 0..rounds() {
        let learner = world.learner(&format!("Identical{round}"), round).await;
        let input = two_subjects(&world.course, &world.subjects);
        let calls = all_at_once(&learner, vec![input; CALLERS]).await;
        longest = longest.max(slowest(&calls));
        assert_one_bought(&calls, 100);
    }
    eprintln!("{} rounds of {CALLERS} identical purchases, slowest call {longest:?}", rounds());
}

/// In each round, 64 calls of one learner buy different selections of the same three subjects, spread over all nodes.
pub(crate) async fn overlapping(world: &World) {
    let mut longest = Duration::ZERO;
    for round in 0..rounds() {
        let learner = world.learner(&format!("Overlapping{round}"), round).await;
        let inputs = (0..CALLERS).map(|caller| selection(world, caller + round)).collect();
        let calls = all_at_once(&learner, inputs).await;
        longest = longest.max(slowest(&calls));
        assert_eq!(created(&calls), 150, "each card must be created by exactly one call");
    }
    eprintln!("{} rounds of {CALLERS} overlapping purchases, slowest call {longest:?}", rounds());
}

/// Sends requests with the same idempotency keys to all nodes at once, and then once more. All requests with the same
/// key must get the same response.
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
        // Both calls of `all_at_once` send each request eight times. Every node gets every request, because `REQUESTS`
        // and the number of nodes have no common divisor.
        let inputs: Vec<Value> = (0..CALLERS).map(|caller| requests[caller % REQUESTS].clone()).collect();
        let calls = all_at_once(&learner, inputs.clone()).await;
        let again = all_at_once(&learner, inputs).await;
        longest = longest.max(slowest(&calls));
        for (number, call) in calls.iter().chain(&again).enumerate() {
            assert_eq!(
                call.payload,
                calls[number % REQUESTS].payload,
                "two requests of a key got different responses"
            );
        }
        assert_eq!(created(&calls[..REQUESTS]), 150);
    }
    eprintln!("{} rounds of {CALLERS} purchases under {REQUESTS} keys, slowest call {longest:?}", rounds());
}

/// Each learner buys on one node after the other. Checks that the next node shows what a node has acknowledged,
/// although the next node is behind with many other rows.
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
                    // Each purchase pays for one subject, because the learner owns the other subjects.
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
                let first = purchase(&node(step), input.clone()).await;
                assert_eq!(first.payload["outcome"], "CREATED");
                let cards = 50 * i64::try_from(step + 1).expect("few");
                assert_eq!(owned(step + 1).await, cards, "the next node does not show all cards");
                let again = purchase(&node(step + 2), input).await;
                assert_eq!(again.payload, first.payload, "a repeated key got another response");
            }
        }
    });
    join_all(learners).await;
    stop.store(true, Ordering::SeqCst);
    let bulks = bulk.await.expect("the task of bulk inserts does not panic");
    assert!(bulks > 0, "no bulk insert ran, so no node was behind");
    eprintln!("{} learners went from node to node beside {bulks} bulk inserts", 4 * rounds());
}

/// Returns the selection that a caller buys. Consecutive callers buy different selections.
fn selection(world: &World, caller: usize) -> Value {
    purchases::overlapping(&world.course, &world.subjects, caller)
}
