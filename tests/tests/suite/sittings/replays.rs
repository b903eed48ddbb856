//! Batches that are sent again after the end of their sitting.

use std::sync::Arc;

use chrono::TimeDelta;
use futures_util::future::join_all;
use jishu_entity::test_answer;
use jishu_entity::user::Role;
use jishu_tests::{Client, SittingPayload, TestApp, Tries, answer, on_each_database};
use sea_orm::{EntityTrait, QueryOrder};
use serde_json::{Value, json};

use super::{NO_SLOTS, accepted, id, questions, refusal};

on_each_database!(
    a_batch_repeated_after_the_end_gets_the_same_response,
    batches_repeated_together_get_the_same_responses_as_alone,
);

/// A sitting of five questions, of which the last has no answer.
struct Sat {
    learner: Client,
    started: SittingPayload,
}

type Batch = (i64, Value);

/// The response to a repeated batch: the superseded slots. `None` if the server refuses the batch because the sitting
/// is over.
type ReplayResponse = Option<Vec<i64>>;

impl Sat {
    async fn new(card: &str, learner: Client) -> Self {
        let sat = Self { started: learner.start_session(card).await, learner };
        accepted(&sat.started);
        for (sequence, answers) in sat.saved() {
            accepted(&sat.learner.save_answers(&id(&sat.started), sequence, answers).await);
        }
        sat
    }

    fn batch(&self, sequence: i64, answers: &[(usize, Tries)]) -> Batch {
        let asked = questions(&self.started);
        (sequence, answers.iter().map(|(slot, tries)| answer(&asked[slot - 1], *tries)).collect())
    }

    /// Returns the batches that the learner saved before the end of the sitting.
    fn saved(&self) -> Vec<Batch> {
        use Tries::{Right, Wrong};
        vec![
            self.batch(1, &[(1, Right), (2, Right)]),
            self.batch(2, &[(2, Wrong)]),
            self.batch(3, &[(3, Right)]),
            self.batch(4, &[(4, Wrong)]),
            self.batch(5, &[(4, Right)]),
        ]
    }

    /// Returns batches that the learner sends after the end of the sitting, each with the expected response.
    fn replays(&self) -> Vec<(Batch, ReplayResponse)> {
        use Tries::{Right, Wrong};
        // Batch 5 has replaced the only answer of batch 4. So nothing shows that batch 4 came in time.
        let responses = [Some(vec![2]), Some(vec![]), Some(vec![]), None, Some(vec![])];
        let mut replays: Vec<_> = self.saved().into_iter().zip(responses).collect();
        replays.extend([
            (self.batch(6, &[(1, Wrong), (5, Right)]), None),
            // This batch has the sequence of a saved batch, and repeats its answer to slot 3. But the answer to slot 5
            // was not saved. So nothing shows that the batch came in time, and the server refuses the batch.
            (self.batch(3, &[(3, Right), (5, Right)]), None),
            (self.batch(3, &[(3, Wrong)]), None),
        ]);
        replays
    }

    async fn response_to(&self, (sequence, answers): Batch) -> ReplayResponse {
        let saved = self.learner.save_answers(&id(&self.started), sequence, answers.clone()).await;
        if saved.user_errors.is_empty() {
            return Some(saved.superseded);
        }
        let code = refusal(&saved);
        assert!(code == "TEST_SESSION_CLOSED" || code == "TEST_SESSION_OVERDUE", "{code}");
        let slots: Vec<&Value> = answers.as_array().unwrap().iter().map(|answer| &answer["slot"]).collect();
        assert_eq!(saved.error().more["slots"], json!(slots));
        assert_eq!(saved.superseded, NO_SLOTS);
        None
    }
}

/// Creates learners who have saved answers. Half of them have submitted, and the deadlines of the others have passed.
async fn sat(app: &TestApp, learners: usize) -> Vec<Sat> {
    let course = app.course(&["Physics"]).cards(1).create(app).await;
    app.bank(course.subject_rows[0], 5).await;
    let mut sat = Vec::new();
    for number in 0..learners {
        let learner = app.staff(&format!("Learner{number}"), Role::Learner).await;
        let card = app.cards(&learner, &course).await.remove(0);
        sat.push(Sat::new(&card, learner).await);
    }
    for sat in sat.iter().step_by(2) {
        accepted(&sat.learner.submit_session(&id(&sat.started), None).await);
    }
    app.clock.advance(TimeDelta::hours(2));
    sat
}

async fn everything(app: &TestApp) -> Vec<test_answer::Model> {
    let rows = test_answer::Entity::find().order_by_asc(test_answer::Column::SessionId);
    rows.order_by_asc(test_answer::Column::Slot).all(app.connection()).await.unwrap()
}

async fn a_batch_repeated_after_the_end_gets_the_same_response(app: Arc<TestApp>) {
    let sat = sat(&app, 2).await;
    let before = everything(&app).await;
    assert_eq!(before.len(), 2 * 4);
    for sat in &sat {
        for (batch, expected) in sat.replays() {
            assert_eq!(sat.response_to(batch.clone()).await, expected, "{batch:?}");
        }
    }
    assert_eq!(everything(&app).await, before, "a replay wrote something");
}

/// Repeats many batches at once. The server handles several batches with one statement.
async fn batches_repeated_together_get_the_same_responses_as_alone(app: Arc<TestApp>) {
    let sat = sat(&app, 8).await;
    let before = everything(&app).await;
    let _ = app.take_statements();
    let mut batches = 0;
    for _ in 0..3 {
        let calls = sat.iter().flat_map(|sat| {
            sat.replays().into_iter().map(async |(batch, expected)| {
                assert_eq!(sat.response_to(batch.clone()).await, expected, "{batch:?}");
            })
        });
        batches += join_all(calls).await.len();
    }
    let ours = |statement: &&String| statement.contains("INSERT INTO test_answers");
    let statements = app.take_statements().iter().filter(ours).count();
    assert!(statements < batches, "{statements} statements for {batches} batches");
    assert_eq!(everything(&app).await, before, "a replay wrote something");
}
