//! Sittings through all nodes. Answers that one node acknowledged count when another node ends the sitting.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::{join, join_all};
use jishu_tests::{Client, SittingPayload, Tries, answer};
use rand::RngExt;
use serde_json::json;

use crate::world::{NODES, World};

fn rounds() -> usize {
    std::env::var("GALERA_ROUNDS").map_or(30, |rounds| rounds.parse().expect("a number"))
}

async fn cards(world: &World, learner: &Client) -> Vec<String> {
    let input = json!({ "courseId": world.course, "purchaseType": "SINGLE_SUBJECT", "subjectIds": [world.subjects[0]] });
    let document = "mutation ($input: PurchaseInput!) { purchase(input: $input) {
        testCards(first: 50) { edges { node { id } } } } }";
    let answer = learner.run_with(document, json!({ "input": input })).await;
    let edges = answer.list("/purchase/testCards/edges").iter();
    edges.map(|edge| edge["node"]["id"].as_str().expect("an id").to_owned()).collect()
}

fn id(payload: &SittingPayload) -> String {
    payload.id().to_owned()
}

/// In each round, starts a sitting of one card on all nodes at once, and checks that exactly one sitting opens. Then
/// two nodes save batches while the third node ends the sitting. All acknowledged batches must be scored.
pub(crate) async fn acknowledged(world: &World) {
    let (mut taken, mut refused, mut lost) = (0, 0, Vec::new());
    let learner = world.learner("Sitter", 0).await;
    let cards = cards(world, &learner[0]).await;
    for round in 0..rounds() {
        let card = &cards[round % cards.len()];
        let starts = (0..12).map(|call| learner[(round + call) % NODES].start_session(card));
        let started = join_all(starts).await;
        let sessions: BTreeSet<String> = started.iter().map(id).collect();
        let told: Vec<_> =
            started.iter().map(|it| (id(it), it.session().attempt_number, it.resumed)).collect();
        assert_eq!(sessions.len(), 1, "the starts made several sittings: {told:?}");
        let starts = told.iter().filter(|(_, _, resumed)| !resumed).count();
        assert_eq!(starts, 1, "exactly one request must start the sitting: {told:?}");

        let session = sessions.first().expect("one");
        let questions = started[0].questions();
        let saves = questions.iter().zip(1..).map(async |(question, sequence)| {
            tokio::time::sleep(Duration::from_millis(rand::rng().random_range(0..20))).await;
            let client = &learner[usize::try_from(sequence % 2).expect("0 or 1")];
            let batch = json!([answer(question, Tries::Right)]);
            client.save_answers(session, sequence, batch).await.user_errors.is_empty()
        });
        let submission = async {
            tokio::time::sleep(Duration::from_millis(rand::rng().random_range(5..30))).await;
            learner[2].submit_session(session, None).await
        };
        let (saved, submitted) = join(join_all(saves), submission).await;
        let acknowledged = saved.iter().filter(|saved| **saved).count();
        let counted = submitted.result().correct;
        if counted != acknowledged as i64 {
            lost.push((round, acknowledged, counted));
        }
        taken += acknowledged;
        refused += saved.len() - acknowledged;
    }
    world.assert_sittings_right().await;
    eprintln!("{} sittings: {taken} batches were saved, {refused} came too late", rounds());
    assert_eq!(lost, [], "acknowledged answers were not scored (round, acknowledged, scored)");
}
