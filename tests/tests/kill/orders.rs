//! Orders and their refunds at a fake provider, while the server is killed. Afterwards the books of the server and of the
//! provider must agree.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chrono::Utc;
use futures_util::future::join_all;
use jishu_entity::UserId;
use jishu_entity::user::Role;
use jishu_service::auth::{AccessTokens, Viewer};
use jishu_service::failpoint::{ORDER_BOUNDARIES, ORDER_REFUND_BOUNDARIES};
use jishu_service::integrity;
use jishu_tests::payments::{DeliveryPlan, FakeRazorpay};
use jishu_tests::{BOOKS, REFUND};
use rand::SeedableRng;
use rand::rngs::StdRng;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::MAX_RETRY_TIME;
use crate::storm::{CLIENTS, Kills, kill_for};
use crate::world::World;

const CHECKOUT: &str =
    "mutation ($input: CheckoutInput!) { checkout(input: $input) { order { id status purchase { id } }
    payment { providerOrderId } userErrors { code } } }";
const ORDER: &str =
    "query ($input: ID!) { node(id: $input) { ... on Order { status purchase { id } refunds { status } } } }";

/// The pause between two tries of a request.
const PAUSE: Duration = Duration::from_millis(50);

/// The variables of a server that takes payments at a fake. Its leases are short, so that another try begins soon.
pub(crate) fn variables(fake: &FakeRazorpay) -> Vec<(&'static str, String)> {
    [
        ("JISHU_PAYMENTS", "razorpay"),
        ("JISHU_PAYMENT_KEY", FakeRazorpay::KEY_ID),
        ("JISHU_PAYMENT_SECRET", FakeRazorpay::KEY_SECRET),
        ("JISHU_PAYMENT_WEBHOOK_SECRET", FakeRazorpay::WEBHOOK_SECRET),
        ("JISHU_PAYMENT_ACCOUNT", FakeRazorpay::ACCOUNT),
        ("JISHU_PAYMENT_URL", fake.address()),
        ("JISHU_MAIL_SECONDS", "1"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into()
}

fn borrowed<'a>(variables: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    variables.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// A client of the shop, for all buyers and for support.
struct Shop {
    http: reqwest::Client,
    endpoint: String,
    course: i64,
    subjects: Vec<i64>,
    buyers: Vec<i64>,
    support: i64,
    tokens: AccessTokens,
}

impl Shop {
    fn of(world: &World) -> Self {
        Self {
            http: reqwest::Client::builder().timeout(Duration::from_secs(30)).build().expect("a client"),
            endpoint: world.server.endpoint(),
            course: world.course,
            subjects: world.subjects.clone(),
            buyers: world.buyers.clone(),
            support: world.support.expect("a member of support"),
            tokens: world.tokens(),
        }
    }

    /// Sends an operation once. None if no response came, or one that says to try again.
    async fn send(&self, user: i64, role: Role, document: &str, field: &str, input: &Value) -> Option<Value> {
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

    fn checkout_input(&self, key: &str) -> Value {
        let subjects: Vec<_> = self.subjects[..2].iter().map(|id| World::global("Subject", *id)).collect();
        json!({ "idempotencyKey": key, "selection": { "courseId": World::global("Course", self.course),
            "purchaseType": "MULTIPLE_SUBJECTS", "subjectIds": subjects } })
    }

    async fn checkout(&self, buyer: i64, key: &str) -> Option<Value> {
        self.send(buyer, Role::Learner, CHECKOUT, "checkout", &self.checkout_input(key)).await
    }

    async fn read(&self, order: &Value) -> Option<Value> {
        self.send(self.support, Role::Support, ORDER, "node", order).await
    }

    async fn refund(&self, purchase: &Value, key: &str) -> Option<Value> {
        let input = json!({ "purchaseId": purchase, "reason": "A test", "idempotencyKey": key });
        self.send(self.support, Role::Support, REFUND, "refundPurchase", &input).await
    }
}

/// Repeats a step until it gives a value.
async fn until<T>(what: &str, mut step: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = step().await {
            return value;
        }
        assert!(started.elapsed() < MAX_RETRY_TIME * 2, "{what} took too long");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Makes an order and pays it. Repeats the checkout until it gets a response. Returns the id of the order.
async fn buy(shop: &Shop, fake: &FakeRazorpay, buyer: i64, key: &str) -> Value {
    let started = Instant::now();
    let made = loop {
        if let Some(made) = shop.checkout(buyer, key).await {
            break made;
        }
        assert!(started.elapsed() < MAX_RETRY_TIME * 2, "a checkout took too long");
        tokio::time::sleep(PAUSE).await;
    };
    assert_eq!(made["userErrors"], json!([]), "{made}");
    if let Some(order) = made["payment"]["providerOrderId"].as_str()
        && fake.books().order(order).status != "paid"
    {
        fake.customer_pays(order);
    }
    made["order"]["id"].clone()
}

async fn until_status(shop: &Shop, fake: &FakeRazorpay, order: &Value, status: &str) -> Value {
    until(status, async || {
        let events = fake.webhooks().take();
        for event in &events {
            fake.webhooks().send(event).await;
        }
        shop.read(order).await.filter(|order| order["status"] == status)
    })
    .await
}

/// Makes the last buyer a member of support.
pub(crate) async fn prepare(world: &mut World) {
    let connection = world.connect().await;
    let support = world.buyers.pop().expect("a buyer");
    let promotion = format!("UPDATE users SET role = 'support' WHERE id = {support}");
    connection.execute_unprepared(&promotion).await.expect("the user is there");
    connection.close().await.expect("closing");
    world.support = Some(support);
}

/// Restarts a server that aborted, without the boundary. The leases of the one that aborted end at once.
async fn revive(world: &mut World) -> bool {
    let has_ended = world.server.ends();
    if has_ended {
        let connection = world.connect().await;
        for table in ["orders", "outbox"] {
            let end = format!("UPDATE {table} SET due_at = created_at WHERE due_at IS NOT NULL");
            connection.execute_unprepared(&end).await.expect("the leases end");
        }
        connection.close().await.expect("closing");
        world.server.restart_without("JISHU_ABORT_AT");
    }
    has_ended
}

/// Cuts one order off at every boundary on its way to its cards, and one refund at every boundary on its way to the
/// provider. Returns the number of boundaries.
pub(crate) async fn abort(world: &mut World, fake: &FakeRazorpay) -> usize {
    let settings = variables(fake);
    for (boundary, number) in ORDER_BOUNDARIES.into_iter().zip(0..) {
        let mut variables = borrowed(&settings);
        variables.push(("JISHU_ABORT_AT", boundary));
        world.start_server(&variables);
        fake.webhooks().send_to(world.server.endpoint().replace("/graphql", "/webhooks/payments/razorpay"));
        let shop = Shop::of(world);
        let (buyer, key) = (shop.buyers[number], Uuid::new_v4().to_string());
        let order = match shop.checkout(buyer, &key).await {
            Some(_) => buy(&shop, fake, buyer, &key).await,
            None => {
                assert!(revive(world).await, "{boundary}: the server aborted");
                buy(&shop, fake, buyer, &key).await
            }
        };
        // If the checkout went through, the payment aborts the server.
        let events = fake.webhooks().take();
        for event in &events {
            fake.webhooks().send(event).await;
        }
        if shop.read(&order).await.is_none() {
            assert!(revive(world).await, "{boundary}: the server aborted");
        }
        for event in &events {
            fake.webhooks().send(event).await;
        }
        until_status(&shop, fake, &order, "GRANTED").await;
        let wrong = wrong(world, fake).await;
        assert!(wrong.is_empty(), "{:?} at {boundary}: {wrong:#?}", world.backend);
    }
    for (boundary, number) in ORDER_REFUND_BOUNDARIES.into_iter().zip(ORDER_BOUNDARIES.len()..) {
        let mut variables = borrowed(&settings);
        variables.push(("JISHU_ABORT_AT", boundary));
        world.start_server(&variables);
        fake.webhooks().send_to(world.server.endpoint().replace("/graphql", "/webhooks/payments/razorpay"));
        let shop = Shop::of(world);
        let order = buy(&shop, fake, shop.buyers[number], &Uuid::new_v4().to_string()).await;
        let granted = until_status(&shop, fake, &order, "GRANTED").await;
        let (purchase, key) = (&granted["purchase"]["id"], Uuid::new_v4().to_string());
        let _ = shop.refund(purchase, &key).await;
        assert!(revive(world).await, "{boundary}: the server aborted");
        let refunded = until("a refund", async || shop.refund(purchase, &key).await).await;
        assert_eq!(refunded["userErrors"], json!([]), "{boundary}");
        until_status(&shop, fake, &order, "REFUNDED").await;
        let wrong = wrong(world, fake).await;
        assert!(wrong.is_empty(), "{:?} at {boundary}: {wrong:#?}", world.backend);
    }
    ORDER_BOUNDARIES.len() + ORDER_REFUND_BOUNDARIES.len()
}

/// Runs a storm of orders, half of which are refunded. Returns the number of orders, and of kills of the server and the
/// database.
pub(crate) async fn storm(
    world: &mut World,
    fake: &Arc<FakeRazorpay>,
    seed: u64,
    length: Duration,
    kills: Kills,
) -> (usize, usize, usize) {
    world.start_server(&borrowed(&variables(fake)));
    fake.webhooks().send_to(world.server.endpoint().replace("/graphql", "/webhooks/payments/razorpay"));
    fake.webhooks().deliver_by(DeliveryPlan::STORMY, seed);
    let shop = Arc::new(Shop::of(world));
    let (stop, next) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(100)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (shop, fake, stop, next) =
                (Arc::clone(&shop), Arc::clone(fake), Arc::clone(&stop), Arc::clone(&next));
            tokio::spawn(async move {
                let mut orders = Vec::new();
                while !stop.load(Ordering::SeqCst) {
                    let buyer = shop.buyers[next.fetch_add(1, Ordering::SeqCst)];
                    let key = Uuid::new_v4().to_string();
                    orders.push(buy(&shop, &fake, buyer, &key).await);
                }
                orders
            })
        })
        .collect();
    let (server_kills, database_kills) =
        kill_for(world, &mut StdRng::seed_from_u64(seed), length, kills).await;
    stop.store(true, Ordering::SeqCst);
    let orders: Vec<Value> =
        join_all(clients).await.into_iter().flat_map(|client| client.expect("no client panics")).collect();
    fake.webhooks().settled().await;
    // A tenth of the webhooks is lost. The reconciler is told to look now, and not in some minutes.
    let connection = world.connect().await;
    let look = "UPDATE orders SET due_at = created_at, checks = 0 WHERE state IN ('pending', 'paid')";
    connection.execute_unprepared(look).await.expect("the orders are there");
    connection.close().await.expect("closing");
    for (number, order) in orders.iter().enumerate() {
        let granted =
            until("a grant", async || shop.read(order).await.filter(|order| order["status"] == "GRANTED"))
                .await;
        if number % 2 == 0 {
            let key = Uuid::new_v4().to_string();
            until("a refund", async || shop.refund(&granted["purchase"]["id"], &key).await).await;
        }
    }
    for order in orders.iter().step_by(2) {
        until("a settled refund", async || {
            shop.read(order).await.filter(|order| order["status"] == "REFUNDED")
        })
        .await;
    }
    fake.webhooks().hold();
    (orders.len(), server_kills, database_kills)
}

/// Returns all violations of the rules of the books, and the difference to what the provider kept.
pub(crate) async fn wrong(world: &World, fake: &FakeRazorpay) -> Vec<String> {
    let connection = world.connect().await;
    let mut wrong = Vec::new();
    for (rule, query) in BOOKS {
        let found = world.numbers(&connection, query).await;
        if !found.is_empty() {
            wrong.push(format!("{rule}: {} times, first {}", found.len(), found[0]));
        }
    }
    let found = integrity::examine(&connection).await.expect("the database can be examined");
    wrong.extend(found.iter().map(ToString::to_string));
    let value = "SELECT e.price_paid FROM entitlements e JOIN orders o ON o.purchase_id = e.purchase_id LEFT JOIN \
                 refund_lines l ON l.purchase_id = e.purchase_id AND l.subject_id = e.subject_id WHERE l.refund_id \
                 IS NULL";
    let value: i64 = world.numbers(&connection, value).await.iter().sum();
    let kept = fake.books().kept();
    if kept != value {
        wrong.push(format!("the provider kept {kept}, and {value} is granted"));
    }
    connection.close().await.expect("closing");
    wrong
}
