//! A client of the server for orders, which sends requests of all buyers and of support.

use std::time::{Duration, Instant};

use chrono::Utc;
use jishu_entity::UserId;
use jishu_entity::user::Role;
use jishu_service::auth::{AccessTokens, Viewer};
use jishu_tests::REFUND;
use jishu_tests::payments::CheckoutReturn;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::MAX_RETRY_TIME;
use crate::world::World;

const CHECKOUT: &str =
    "mutation ($input: CheckoutInput!) { checkout(input: $input) { order { id status purchase { id } }
    payment { providerOrderId } userErrors { code } } }";
const CONFIRM: &str = "mutation ($input: ConfirmPaymentInput!) { confirmPayment(input: $input) {
    order { status purchase { id } } userErrors { code } } }";
const CANCEL: &str =
    "mutation ($input: ID!) { cancelOrder(orderId: $input) { order { status } userErrors { code } } }";
const RESOLVE: &str = "mutation ($input: ResolveOrderInput!) { resolveOrder(input: $input) {
    order { status } userErrors { code } } }";
const ORDER: &str =
    "query ($input: ID!) { node(id: $input) { ... on Order { status purchase { id } refunds { status } } } }";

/// The pause between two attempts to send a request.
const RETRY_PAUSE: Duration = Duration::from_millis(30);

/// An order that waits for its payment.
#[derive(Clone, Debug)]
pub(super) struct PlacedOrder {
    /// The global id of the order.
    pub(super) id: Value,
    /// The provider's id of the order.
    pub(super) provider: String,
}

/// A client of the server that sends requests of all buyers and of support.
pub(super) struct Shop {
    http: reqwest::Client,
    endpoint: String,
    course: i64,
    subjects: Vec<i64>,
    pub(super) buyers: Vec<i64>,
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
            buyers: world.buyers.clone(),
            support: world.support.expect("a member of support"),
            tokens: world.tokens(),
        }
    }

    /// Sends an operation once. None if no response came, or if the response says to try again: `OVERLOADED`, `TIMEOUT`
    /// or `PAYMENT_PROVIDER_UNAVAILABLE`.
    async fn send(&self, user: i64, document: &str, field: &str, input: &Value) -> Option<Value> {
        let role = if user == self.support { Role::Support } else { Role::Learner };
        let viewer = Viewer { user_id: UserId(user), role, session_id: Uuid::new_v4() };
        let token = self.tokens.issue(viewer, Utc::now()).expect("a token").token;
        let body = json!({ "query": document, "variables": { "input": input } });
        let response = self.http.post(&self.endpoint).bearer_auth(token).json(&body).send().await.ok()?;
        let body = response.json::<Value>().await.ok()?;
        match body["errors"][0]["extensions"]["code"].as_str() {
            Some("OVERLOADED" | "TIMEOUT") => None,
            Some(_) => panic!("{body:#}"),
            None => Some(body["data"][field].clone()).filter(|payload| {
                payload["userErrors"][0]["code"].as_str() != Some("PAYMENT_PROVIDER_UNAVAILABLE")
            }),
        }
    }

    /// Sends an operation until a response comes that does not say to try again.
    async fn until_sent(&self, user: i64, document: &str, field: &str, input: &Value) -> Value {
        let timer = RetryTimer::new();
        loop {
            if let Some(payload) = self.send(user, document, field, input).await {
                return payload;
            }
            timer.pause(field).await;
        }
    }

    fn checkout_input(&self, key: &str, places: &[usize]) -> Value {
        let subjects: Vec<_> =
            places.iter().map(|place| World::global("Subject", self.subjects[*place])).collect();
        let kind = if subjects.len() == 1 { "SINGLE_SUBJECT" } else { "MULTIPLE_SUBJECTS" };
        json!({ "idempotencyKey": key, "selection": { "courseId": World::global("Course", self.course),
            "purchaseType": kind, "subjectIds": subjects } })
    }

    /// Sends a checkout of the subjects with these indices once.
    pub(super) async fn checkout(&self, buyer: i64, key: &str, places: &[usize]) -> Option<Value> {
        self.send(buyer, CHECKOUT, "checkout", &self.checkout_input(key, places)).await
    }

    /// Sends a checkout until a response comes. The order must be payable.
    pub(super) async fn place(&self, buyer: i64, key: &str, places: &[usize]) -> PlacedOrder {
        let made = self.until_sent(buyer, CHECKOUT, "checkout", &self.checkout_input(key, places)).await;
        assert_eq!(made["userErrors"], json!([]), "{made}");
        let provider = made["payment"]["providerOrderId"].as_str();
        let provider = provider.unwrap_or_else(|| panic!("the order cannot be paid: {made}")).to_owned();
        PlacedOrder { id: made["order"]["id"].clone(), provider }
    }

    /// Sends `confirmPayment` once, as a page does when the buyer returns from the form. Returns the order, if a
    /// response came.
    pub(super) async fn come_back(
        &self,
        buyer: i64,
        order: &PlacedOrder,
        returned: &CheckoutReturn,
    ) -> Option<Value> {
        let input =
            json!({ "orderId": order.id, "paymentId": returned.payment_id, "signature": returned.signature });
        let confirmed = self.send(buyer, CONFIRM, "confirmPayment", &input).await?;
        assert_eq!(confirmed["userErrors"], json!([]), "{confirmed}");
        Some(confirmed["order"].clone())
    }

    /// Sends `confirmPayment` until the order is granted. Returns the global id of the purchase.
    pub(super) async fn until_granted(
        &self,
        buyer: i64,
        order: &PlacedOrder,
        returned: &CheckoutReturn,
    ) -> Value {
        let timer = RetryTimer::new();
        loop {
            if let Some(order_now) = self.come_back(buyer, order, returned).await
                && order_now["status"] == "GRANTED"
            {
                return order_now["purchase"]["id"].clone();
            }
            timer.pause("a grant").await;
        }
    }

    /// Sends the cancellation of an order until a response comes. Returns whether the order is cancelled.
    pub(super) async fn cancel(&self, buyer: i64, order: &PlacedOrder) -> bool {
        let cancelled = self.until_sent(buyer, CANCEL, "cancelOrder", &order.id).await;
        cancelled["order"]["status"] == "CANCELLED"
    }

    pub(super) async fn read(&self, order: &Value) -> Option<Value> {
        self.send(self.support, ORDER, "node", order).await
    }

    fn refund_input(&self, purchase: &Value, place: Option<usize>, key: &str) -> Value {
        let mut input = json!({ "purchaseId": purchase, "reason": "A test", "idempotencyKey": key });
        if let Some(place) = place {
            input["subjectIds"] = json!([World::global("Subject", self.subjects[place])]);
        }
        input
    }

    /// Sends a refund once: of the whole purchase, or of the subject with the index `place`.
    pub(super) async fn refund(&self, purchase: &Value, place: Option<usize>, key: &str) -> Option<Value> {
        let input = self.refund_input(purchase, place, key);
        self.send(self.support, REFUND, "refundPurchase", &input).await
    }

    /// Sends a refund until a response comes, which must be a success.
    pub(super) async fn until_refunded(&self, purchase: &Value, place: Option<usize>) {
        let key = Uuid::new_v4().to_string();
        let input = self.refund_input(purchase, place, &key);
        let refunded = self.until_sent(self.support, REFUND, "refundPurchase", &input).await;
        assert_eq!(refunded["userErrors"], json!([]), "{refunded}");
    }

    /// Sends the decision of support that all money of an order goes back.
    pub(super) async fn resolve(&self, order: i64) {
        let input =
            json!({ "orderId": World::global("Order", order), "resolution": "REFUND", "reason": "A test" });
        // The response is ignored. An earlier attempt whose response was lost may have made the decision.
        let _ = self.send(self.support, RESOLVE, "resolveOrder", &input).await;
    }
}

/// Pauses between the attempts of a step, and limits the time of all attempts together.
struct RetryTimer(Instant);

impl RetryTimer {
    fn new() -> Self {
        Self(Instant::now())
    }

    /// Pauses before the next attempt. Panics if the attempts have taken more than two minutes.
    async fn pause(&self, what: &str) {
        assert!(self.0.elapsed() < MAX_RETRY_TIME * 2, "{what} took too long");
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

/// Repeats a step until it returns a value.
pub(super) async fn until<T>(what: &str, mut step: impl AsyncFnMut() -> Option<T>) -> T {
    let timer = RetryTimer::new();
    loop {
        if let Some(value) = step().await {
            return value;
        }
        timer.pause(what).await;
    }
}
