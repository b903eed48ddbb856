//! A client of the server that buys, starts sittings and refunds.

use std::time::{Duration, Instant};

use chrono::Utc;
use jishu_entity::UserId;
use jishu_entity::user::Role;
use jishu_service::auth::{AccessTokens, Viewer};
use jishu_tests::{REFUND, SESSION};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::MAX_RETRY_TIME;
use crate::world::World;

const PURCHASE: &str = "mutation ($input: PurchaseInput!) { purchase(input: $input) {
    outcome purchase { id } testCards(first: 2) { edges { node { id } } } userErrors { code } } }";

/// The result of a request.
pub(super) enum Outcome {
    /// The payload of the mutation.
    Payload(Value),
    /// No response came, or the response says to try again: `OVERLOADED` or `TIMEOUT`.
    Nothing,
}

/// A client of the server that sends requests of all learners and of support.
pub(super) struct Shop {
    http: reqwest::Client,
    endpoint: String,
    course: i64,
    pub(super) subjects: Vec<i64>,
    pub(super) learners: Vec<i64>,
    support: i64,
    tokens: AccessTokens,
}

impl Shop {
    pub(super) fn of(world: &World) -> Self {
        Self {
            http: jishu_tests::loopback_client().timeout(Duration::from_secs(30)).build().expect("a client"),
            endpoint: world.server.endpoint(),
            course: world.course,
            subjects: world.subjects.clone(),
            learners: world.buyers.clone(),
            support: world.support.expect("a member of support"),
            tokens: world.tokens(),
        }
    }

    fn token(&self, user: i64, role: Role) -> String {
        let viewer = Viewer { user_id: UserId(user), role, session_id: Uuid::new_v4() };
        self.tokens.issue(viewer, Utc::now()).expect("a token").token
    }

    /// Sends a mutation once.
    async fn send(&self, token: &str, document: &str, field: &str, input: &Value) -> Outcome {
        let body = json!({ "query": document, "variables": { "input": input } });
        let Ok(response) = self.http.post(&self.endpoint).bearer_auth(token).json(&body).send().await else {
            return Outcome::Nothing;
        };
        let Ok(body) = response.json::<Value>().await else { return Outcome::Nothing };
        match body["errors"][0]["extensions"]["code"].as_str() {
            Some("OVERLOADED" | "TIMEOUT") => Outcome::Nothing,
            Some(_) => panic!("{body:#}"),
            None => Outcome::Payload(body["data"][field].clone()),
        }
    }

    /// Sends a mutation until a response comes that does not say to try again.
    async fn until_response(&self, token: &str, document: &str, field: &str, input: &Value) -> Value {
        let started = Instant::now();
        loop {
            if let Outcome::Payload(payload) = self.send(token, document, field, input).await {
                return payload;
            }
            assert!(started.elapsed() < MAX_RETRY_TIME, "{field} never got a response");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Buys the subjects with these indices. Returns the global ids of the purchase and of its first card. If the
    /// learner owned all subjects, both ids belong to an older purchase.
    pub(super) async fn buy(&self, learner: usize, places: &[usize]) -> (String, String) {
        let token = self.token(self.learners[learner], Role::Learner);
        let subjects: Vec<_> =
            places.iter().map(|place| World::global("Subject", self.subjects[*place])).collect();
        let input = json!({
            "courseId": World::global("Course", self.course),
            "purchaseType": if subjects.len() == 1 { "SINGLE_SUBJECT" } else { "MULTIPLE_SUBJECTS" },
            "subjectIds": subjects,
            "idempotencyKey": Uuid::new_v4(),
        });
        let bought = self.until_response(&token, PURCHASE, "purchase", &input).await;
        assert_eq!(bought["userErrors"], json!([]), "{bought}");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&bought["purchase"]["id"]), text(&bought["testCards"]["edges"][0]["node"]["id"]))
    }

    /// Starts or resumes a sitting, and returns the code of the refusal if there is one.
    pub(super) async fn start(&self, learner: usize, card: &str) -> Option<String> {
        let token = self.token(self.learners[learner], Role::Learner);
        let document = format!(
            "mutation ($input: StartTestSessionInput!) {{ startTestSession(input: $input) {{ {SESSION} }} }}"
        );
        let input = json!({ "mockTestAttemptId": card });
        let started = self.until_response(&token, &document, "startTestSession", &input).await;
        started["userErrors"][0]["code"].as_str().map(str::to_owned)
    }

    /// Buys the first subject and starts a sitting of its first card. Returns the global ids of the purchase and of the
    /// card.
    pub(super) async fn buy_and_start(&self, learner: usize) -> (String, String) {
        let (purchase, card) = self.buy(learner, &[0]).await;
        assert_eq!(self.start(learner, &card).await, None);
        (purchase, card)
    }

    pub(super) async fn refused_start(&self, learner: usize, card: &str) -> String {
        self.start(learner, card).await.unwrap_or_default()
    }

    /// Sends the refund of a whole purchase once.
    pub(super) async fn refund(&self, purchase: &str, key: &str) -> Outcome {
        let token = self.token(self.support, Role::Support);
        self.send(&token, REFUND, "refundPurchase", &refund_input(purchase, key)).await
    }

    /// Sends the refund of a whole purchase until a response comes, which must be a success.
    pub(super) async fn until_refunded(&self, purchase: &str, key: &str) -> Value {
        let token = self.token(self.support, Role::Support);
        let refunded =
            self.until_response(&token, REFUND, "refundPurchase", &refund_input(purchase, key)).await;
        assert_eq!(refunded["userErrors"], json!([]), "{refunded}");
        refunded
    }
}

fn refund_input(purchase: &str, key: &str) -> Value {
    json!({ "purchaseId": purchase, "reason": "A test", "idempotencyKey": key })
}
