//! One learner of the storm. The learner buys, starts, saves numbered batches and submits, and retries each request
//! until it gets a response.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use chrono::Utc;
use futures_util::future::join;
use jishu_entity::UserId;
use jishu_entity::question_version::QuestionKind;
use jishu_entity::user::Role;
use jishu_service::auth::Viewer;
use jishu_tests::{SESSION, TEXT, kind};
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use uuid::Uuid;

use super::ledger::{Given, Ledger, Question, Sitting};
use super::review::contradicts;
use super::{QUESTIONS_PER_BANK, Shared};
use crate::storm::row;
use crate::world::World;

const PURCHASE: &str = "mutation ($input: PurchaseInput!) { purchase(input: $input) {
    testCards(first: 2) { edges { node { id } } } userErrors { code } } }";

/// A batch: its sequence, and the answer to each slot.
type Batch = (i64, Vec<(i64, Given)>);

/// The result of a request.
enum Outcome {
    Payload(Value),
    /// The request never got a response with data.
    Nothing,
}

impl Shared {
    /// Sits some of the tests of one subject, and leaves some sittings open.
    pub(super) async fn sit(&self, learner: i64, rng: &mut StdRng) -> Ledger {
        let mut ledger = Ledger::default();
        let token = self.token(learner);
        let is_short = rng.random_ratio(self.in_a_hurry, 100);
        for card in self.buy(&token, if is_short { self.short } else { self.long }, &mut ledger).await {
            let attempts = rng.random_range(1..=3);
            for attempt in 1..=attempts {
                if self.stop.load(Ordering::SeqCst) {
                    return ledger;
                }
                let Some(mut sitting) =
                    self.start(&token, (learner, &card), is_short, attempt, &mut ledger).await
                else {
                    return ledger;
                };
                let stays_open = attempt == attempts && rng.random_ratio(1, 3);
                self.answer(&token, &mut sitting, rng, &mut ledger).await;
                if !stays_open {
                    self.submit(&token, &mut sitting, rng, &mut ledger).await;
                }
                ledger.sittings.push(sitting);
            }
        }
        ledger
    }

    /// Sits one test from its start to its result.
    pub(super) async fn sit_and_submit(&self, learner: i64, rng: &mut StdRng) -> Ledger {
        let mut ledger = Ledger::default();
        let token = self.token(learner);
        let card = self.buy(&token, self.long, &mut ledger).await.remove(0);
        if let Some(mut sitting) = self.start(&token, (learner, &card), false, 1, &mut ledger).await {
            self.answer(&token, &mut sitting, rng, &mut ledger).await;
            self.submit(&token, &mut sitting, rng, &mut ledger).await;
            ledger.sittings.push(sitting);
        }
        ledger
    }

    pub(super) fn token(&self, learner: i64) -> String {
        let viewer = Viewer { user_id: UserId(learner), role: Role::Learner, session_id: Uuid::new_v4() };
        self.tokens.issue(viewer, Utc::now()).expect("a token").token
    }

    /// Buys a subject, and returns the global ids of its first two cards. Returns no ids if the request failed.
    async fn buy(&self, token: &str, subject: i64, ledger: &mut Ledger) -> Vec<String> {
        let input = json!({
            "courseId": World::global("Course", self.course),
            "purchaseType": "SINGLE_SUBJECT",
            "subjectIds": [World::global("Subject", subject)],
            "idempotencyKey": Uuid::new_v4(),
        });
        let response =
            self.until_response(token, PURCHASE, json!({ "input": input }), "/purchase", ledger).await;
        let Outcome::Payload(payload) = response else { return Vec::new() };
        let edges = payload["testCards"]["edges"].as_array().cloned().unwrap_or_default();
        edges.iter().filter_map(|edge| Some(edge["node"]["id"].as_str()?.to_owned())).collect()
    }

    /// Starts a sitting from two tabs at once. If the test takes an hour, both tabs must get the same sitting. Returns
    /// None if the start failed.
    async fn start(
        &self,
        token: &str,
        (learner, card): (i64, &str),
        is_short: bool,
        attempt: i64,
        ledger: &mut Ledger,
    ) -> Option<Sitting> {
        let mut second_tab = Ledger::default();
        let (response, other) =
            join(self.start_once(token, card, ledger), self.start_once(token, card, &mut second_tab)).await;
        ledger.merge(second_tab);
        let (Outcome::Payload(response), Outcome::Payload(other)) = (response, other) else {
            ledger.without_response += 1;
            return None;
        };
        let refused = response["userErrors"][0]["code"].as_str();
        if is_short && refused == Some("ATTEMPTS_EXHAUSTED") {
            return None;
        }
        if refused.is_some() {
            ledger.errors.push(format!("start of {card}: {response}"));
            return None;
        }
        let session = &response["session"];
        let sitting = Sitting {
            id: session["id"].as_str().unwrap_or_default().to_owned(),
            learner,
            card: row(card),
            is_short,
            attempt: session["attemptNumber"].as_i64().unwrap_or_default(),
            expires_at: session["expiresAt"].as_str().unwrap_or_default().to_owned(),
            questions: session["questions"].as_array().into_iter().flatten().map(question).collect(),
            sent: [].into(),
            acknowledged: [].into(),
            result: None,
        };
        // In a short test, two seconds may pass between the two starts, so each may get its own sitting.
        if !is_short {
            same(&sitting, &other["session"], &mut ledger.errors);
            if sitting.attempt != attempt {
                ledger
                    .errors
                    .push(format!("start of {card}: attempt {} in place of {attempt}", sitting.attempt));
            }
        }
        Some(sitting)
    }

    async fn start_once(&self, token: &str, card: &str, ledger: &mut Ledger) -> Outcome {
        let document = format!(
            "mutation ($id: ID!) {{ startTestSession(input: {{ mockTestAttemptId: $id }}) {{ {SESSION} }} }}"
        );
        self.until_response(token, &document, json!({ "id": card }), "/startTestSession", ledger).await
    }

    /// Saves some batches, always two at once. Sometimes the learner also starts again, which resumes the sitting.
    async fn answer(&self, token: &str, sitting: &mut Sitting, rng: &mut StdRng, ledger: &mut Ledger) {
        let mut number = 1;
        for _ in 0..rng.random_range(1..4) {
            let (first, second) = (batch(sitting, number, rng), batch(sitting, number + 1, rng));
            number += 2;
            let mut other_tab = Ledger::default();
            let (saved, also_saved) = join(
                self.save(token, sitting, &first, ledger),
                self.save(token, sitting, &second, &mut other_tab),
            )
            .await;
            ledger.merge(other_tab);
            take(sitting, &first, &saved, &mut ledger.errors);
            take(sitting, &second, &also_saved, &mut ledger.errors);
            if !sitting.is_short && rng.random_ratio(1, 4) {
                let card = World::global("MockTestAttempt", sitting.card);
                if let Outcome::Payload(again) = self.start_once(token, &card, ledger).await {
                    same(sitting, &again["session"], &mut ledger.errors);
                }
            }
        }
    }

    /// Submits the sitting with a last batch, while another tab saves a batch. Then submits again with the same batch:
    /// the second response must not contradict the first response.
    async fn submit(&self, token: &str, sitting: &mut Sitting, rng: &mut StdRng, ledger: &mut Ledger) {
        let number = sitting.sent.keys().map(|(_, number)| *number).max().unwrap_or_default() + 1;
        let (under_way, last) = (batch(sitting, number, rng), batch(sitting, number + 1, rng));
        let mut other_tab = Ledger::default();
        let (response, saved) = join(
            self.submit_once(token, sitting, &last, ledger),
            self.save(token, sitting, &under_way, &mut other_tab),
        )
        .await;
        ledger.merge(other_tab);
        take(sitting, &last, &response, &mut ledger.errors);
        match &saved {
            Outcome::Payload(payload) if payload["userErrors"][0]["code"] == "TEST_SESSION_CLOSED" => {}
            saved => take(sitting, &under_way, saved, &mut ledger.errors),
        }
        let Outcome::Payload(response) = response else { return };
        sitting.result = Some((response["session"]["status"].clone(), response["session"]["result"].clone()));
        if let Outcome::Payload(again) = self.submit_once(token, sitting, &last, ledger).await
            && contradicts(&response["session"], &again["session"])
        {
            ledger.errors.push(format!("{}: submitted again: {again}, first {response}", sitting.id));
        }
    }

    async fn save(&self, token: &str, sitting: &Sitting, batch: &Batch, ledger: &mut Ledger) -> Outcome {
        let document =
            format!("mutation ($input: SaveAnswersInput!) {{ saveAnswers(input: $input) {{ {SAVED} }} }}");
        self.until_response(token, &document, input(sitting, batch), "/saveAnswers", ledger).await
    }

    async fn submit_once(
        &self,
        token: &str,
        sitting: &Sitting,
        last: &Batch,
        ledger: &mut Ledger,
    ) -> Outcome {
        let document = format!(
            "mutation ($input: SubmitTestSessionInput!) {{ submitTestSession(input: $input) {{ {SESSION} }} }}"
        );
        self.until_response(token, &document, input(sitting, last), "/submitTestSession", ledger).await
    }

    /// Sends a request until it gets a response. Returns the part of the data at the JSON pointer `place`. After the
    /// storm, gives up after `max_retry_time`. Records errors in the ledger.
    async fn until_response(
        &self,
        token: &str,
        document: &str,
        variables: Value,
        place: &str,
        ledger: &mut Ledger,
    ) -> Outcome {
        let body = json!({ "query": document, "variables": variables });
        let mut stopped = None;
        loop {
            match self.send(token, &body).await {
                Some(response) if response.get("errors").is_none() => {
                    return Outcome::Payload(response["data"].pointer(place).cloned().unwrap_or_default());
                }
                Some(response) => {
                    ledger.errors.push(format!("{place}: {response}"));
                    return Outcome::Nothing;
                }
                None => ledger.cut_off += 1,
            }
            if self.stop.load(Ordering::SeqCst) {
                let since = *stopped.get_or_insert_with(Instant::now);
                if since.elapsed() > self.max_retry_time {
                    ledger.errors.push(format!(
                        "{place}: {variables} never got a response",
                        variables = body["variables"]
                    ));
                    return Outcome::Nothing;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Sends a request once. Returns `None` if no response came, or if the response says to try again: `OVERLOADED` or
    /// `TIMEOUT`.
    pub(super) async fn send(&self, token: &str, body: &Value) -> Option<Value> {
        let response = self.http.post(&self.endpoint).bearer_auth(token).json(body).send().await.ok()?;
        let response: Value = response.json().await.ok()?;
        let is_away =
            matches!(response["errors"][0]["extensions"]["code"].as_str(), Some("OVERLOADED" | "TIMEOUT"));
        (!is_away).then_some(response)
    }
}

const SAVED: &str = "superseded userErrors { code }";

fn question(question: &Value) -> Question {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let number =
        text(&question["stem"]).trim_start_matches("Question ").parse().expect("a question of `fill_bank`");
    let options = question["options"].as_array().into_iter().flatten();
    let position = |option: &Value| {
        text(&option["text"])
            .split(' ')
            .nth(1)
            .and_then(|it| it.parse().ok())
            .expect("an option of `fill_bank`")
    };
    Question { number, options: options.map(|option| (position(option), text(&option["id"]))).collect() }
}

/// Makes a batch of random answers to some slots, and records the answers as sent.
fn batch(sitting: &mut Sitting, number: i64, rng: &mut StdRng) -> Batch {
    let slots: BTreeSet<i64> =
        (0..rng.random_range(1..6)).map(|_| rng.random_range(1..=QUESTIONS_PER_BANK)).collect();
    let mut answers = Vec::new();
    for slot in slots {
        let question = &sitting.questions[usize::try_from(slot - 1).expect("from 1")];
        let given = match kind(question.number) {
            QuestionKind::Numeric => {
                let near = question.number + rng.random_range(0..2);
                let number = rng.random_ratio(4, 5).then(|| format!("{near}.5"));
                Given { number, ..Given::default() }
            }
            QuestionKind::ShortAnswer => {
                let near = question.number + rng.random_range(0..2);
                let text = rng.random_ratio(4, 5).then(|| format!(" {}  {near}", TEXT.to_uppercase()));
                Given { text, ..Given::default() }
            }
            QuestionKind::SingleChoice => Given { chosen: 1 << rng.random_range(0..4), ..Given::default() },
            QuestionKind::MultipleChoice => Given { chosen: rng.random_range(0..16), ..Given::default() },
        };
        sitting.sent.insert((slot, number), given.clone());
        answers.push((slot, given));
    }
    (number, answers)
}

fn input(sitting: &Sitting, (number, answers): &Batch) -> Value {
    let answers = answers.iter().map(|(slot, given)| {
        let question = &sitting.questions[usize::try_from(slot - 1).expect("from 1")];
        match kind(question.number) {
            QuestionKind::Numeric => return json!({ "slot": slot, "numericValue": given.number }),
            QuestionKind::ShortAnswer => return json!({ "slot": slot, "text": given.text }),
            QuestionKind::SingleChoice | QuestionKind::MultipleChoice => {}
        }
        let chosen = question.options.iter().filter(|(position, _)| given.chosen & (1 << position) != 0);
        json!({ "slot": slot, "optionIds": chosen.map(|(_, id)| id).collect::<Vec<_>>() })
    });
    let answers: Vec<Value> = answers.collect();
    json!({ "input": { "sessionId": sitting.id, "sequence": number, "answers": answers } })
}

/// Records which answers of a batch a response acknowledged. Records an error if the batch should not have been
/// refused.
fn take(sitting: &mut Sitting, (number, answers): &Batch, outcome: &Outcome, errors: &mut Vec<String>) {
    let Outcome::Payload(response) = outcome else { return };
    if response["userErrors"] != json!([]) {
        let is_over = matches!(
            response["userErrors"][0]["code"].as_str(),
            Some("TEST_SESSION_OVERDUE" | "TEST_SESSION_CLOSED")
        );
        if !(sitting.is_short && is_over) {
            errors.push(format!("{}: batch {number}: {response}", sitting.id));
        }
        return;
    }
    let superseded: Vec<i64> =
        response["superseded"].as_array().into_iter().flatten().filter_map(Value::as_i64).collect();
    for (slot, _) in answers.iter().filter(|(slot, _)| !superseded.contains(slot)) {
        let stands = sitting.acknowledged.entry(*slot).or_default();
        *stands = (*stands).max(*number);
    }
}

/// Records an error if a later response describes the sitting differently.
fn same(sitting: &Sitting, session: &Value, errors: &mut Vec<String>) {
    let first = (json!(sitting.id), json!(sitting.attempt), json!(sitting.expires_at));
    let again = (session["id"].clone(), session["attemptNumber"].clone(), session["expiresAt"].clone());
    if first != again {
        errors.push(format!("one sitting was shown as {first:?}, then as {again:?}"));
    }
}
