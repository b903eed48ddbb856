//! Measures the cost of an order: a checkout with its grant, compared with the mutation `purchase` alone. Both make the
//! same purchase of one subject with 20 cards, over HTTP, on the same database.
//!
//! A checkout with its grant consists of `checkout`, a payment at a fake of Razorpay that takes no time, its webhooks,
//! and `confirmPayment`, which returns the granted order. The time that a buyer needs to fill in the form of the
//! payment does not count.
//!
//! `tests/run -- cargo bench -p jishu-tests --bench orders` prints the rates and latencies of both ways to buy. The two
//! ways take turns, so that other work of the machine affects both. `TEST_DATABASES=postgres` in front of the command
//! measures PostgreSQL only.

// The async blocks of a whole server are nested deeply, so the compiler needs a higher limit.
#![recursion_limit = "256"]
#![expect(clippy::expect_used, reason = "a measurement may panic if a step fails")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jishu_tests::bench_data::{add_course, add_learners, add_subjects, learner_token};
use jishu_tests::bench_server::{bench_services, measure_each, start_server};
use jishu_tests::load::{KeptConnection, graphql_post, median, percentile};
use jishu_tests::payments::{DeliveryPlan, FakeRazorpay};
use jishu_tests::{Backend, global_id};
use mimalloc::MiMalloc;
use serde_json::{Value, json};
use uuid::Uuid;

/// The allocator of the binary `jishu`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Number of connections on which buyers buy at once.
const CONNECTIONS: usize = 16;
const SUBJECTS: usize = 10;
const CARDS_PER_SUBJECT: i32 = 20;
const TURNS: u32 = 5;
const TURN_LENGTH: Duration = Duration::from_secs(4);
/// Number of buyers. Each can buy every subject once.
const BUYERS: usize = 6_000;
const PURCHASE: &str =
    "mutation ($input: PurchaseInput!) { purchase(input: $input) { outcome userErrors { code } } }";
const CHECKOUT: &str = "mutation ($input: CheckoutInput!) { checkout(input: $input) { order { id } \
                        payment { providerOrderId } userErrors { code } } }";
const CONFIRM: &str = "mutation ($input: ConfirmPaymentInput!) { confirmPayment(input: $input) { order { status } userErrors { code } } }";

fn main() {
    measure_each(measure);
}

/// The way in which buyers buy.
#[derive(Clone, Copy)]
enum Way {
    Purchase,
    Checkout,
}

/// The fake provider, the course, and the buyers.
struct Shop {
    fake: FakeRazorpay,
    course: String,
    subjects: Vec<String>,
    /// The access tokens of the buyers.
    tokens: Vec<String>,
    /// The number of purchases and checkouts that have begun so far.
    bought: AtomicUsize,
}

/// The rates and the latencies, with a value for each turn.
#[derive(Default)]
struct Measured {
    per_second: Vec<f64>,
    median_ms: Vec<f64>,
    p99_ms: Vec<f64>,
}

async fn measure(backend: Backend) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = backend.create(folder.path()).await;
    let shop = Arc::new(Shop::open(&url, folder.path()).await);
    let alone = start_server(&url, folder.path(), &[]);
    let flags = [
        "--payments=razorpay".to_owned(),
        format!("--payment-key={}", FakeRazorpay::KEY_ID),
        format!("--payment-secret={}", FakeRazorpay::KEY_SECRET),
        format!("--payment-webhook-secret={}", FakeRazorpay::WEBHOOK_SECRET),
        format!("--payment-account={}", FakeRazorpay::ACCOUNT),
        format!("--payment-url={}", shop.fake.address()),
    ];
    let taking_payments = start_server(&url, folder.path(), &flags.each_ref().map(String::as_str));
    let webhooks = format!("http://127.0.0.1:{}/webhooks/payments/razorpay", taking_payments.port);
    shop.fake.webhooks().send_to(webhooks);
    shop.fake.webhooks().deliver_by(DeliveryPlan::PROMPT, 1);
    shop.fake.forget_requests();

    let (mut purchases, mut orders) = (Measured::default(), Measured::default());
    for turn in 0..=TURNS {
        for (server, way, measured) in
            [(&alone, Way::Purchase, &mut purchases), (&taking_payments, Way::Checkout, &mut orders)]
        {
            let latencies = buy_for_a_turn(&shop, server.port, way).await;
            shop.fake.webhooks().settled().await;
            // The first turn only warms up, and is not counted.
            if turn > 0 {
                let count = u32::try_from(latencies.len()).expect("few");
                measured.per_second.push(f64::from(count) / TURN_LENGTH.as_secs_f64());
                measured.median_ms.push(median(&latencies));
                measured.p99_ms.push(percentile(&latencies, 99));
            }
        }
    }
    println!("{backend:?}, medians of {TURNS} turns:");
    for (name, measured) in [("purchase", &purchases), ("checkout with its grant", &orders)] {
        println!(
            "  {name}: {:.0} a second, {:.0} ms in the median, {:.0} ms in p99; turns {:.0?} a second",
            median(&measured.per_second),
            median(&measured.median_ms),
            median(&measured.p99_ms),
            measured.per_second,
        );
    }
    println!(
        "  checkout : purchase = {:.2} in throughput, {:.1} in p99",
        median(&orders.per_second) / median(&purchases.per_second),
        median(&orders.p99_ms) / median(&purchases.p99_ms),
    );
    drop((alone, taking_payments));
    backend.remove(&url).await;
}

/// Makes all connections buy for a turn. Returns the latencies in milliseconds.
async fn buy_for_a_turn(shop: &Arc<Shop>, port: u16, way: Way) -> Vec<f64> {
    let until = Instant::now() + TURN_LENGTH;
    let buyers = (0..CONNECTIONS).map(|_| {
        let shop = Arc::clone(shop);
        tokio::spawn(async move {
            let mut connection = KeptConnection::open(port).await;
            let mut latencies = Vec::new();
            while Instant::now() < until {
                let started = Instant::now();
                match way {
                    Way::Purchase => shop.purchase(&mut connection).await,
                    Way::Checkout => shop.checkout(&mut connection).await,
                }
                latencies.push(started.elapsed().as_secs_f64() * 1e3);
            }
            latencies
        })
    });
    let mut latencies = Vec::new();
    for buyer in buyers.collect::<Vec<_>>() {
        latencies.extend(buyer.await.expect("a buyer does not panic"));
    }
    latencies
}

impl Shop {
    /// Migrates the database and fills it with a course and buyers.
    async fn open(url: &str, folder: &Path) -> Self {
        let services = bench_services(url, folder, Arc::new(|_: &str| {})).await;
        let course = add_course(&services).await;
        let subjects = add_subjects(&services, course, SUBJECTS, CARDS_PER_SUBJECT).await;
        let subjects = subjects.into_iter().map(|subject| global_id("Subject", subject.0)).collect();
        let buyers = add_learners(&services, BUYERS).await;
        let tokens = buyers.into_iter().map(|buyer| learner_token(&services, buyer)).collect();
        services.database.close().await.expect("it closes");
        let course = global_id("Course", course.0);
        Self { fake: FakeRazorpay::start().await, course, subjects, tokens, bought: AtomicUsize::new(0) }
    }

    /// Returns the token of the next buyer, and the selection of a subject that this buyer has not bought yet.
    fn next(&self) -> (&str, Value) {
        let number = self.bought.fetch_add(1, Ordering::SeqCst);
        // Consecutive purchases have different buyers.
        let buyer = self.tokens.get(number % self.tokens.len()).expect("a buyer");
        let subject = self.subjects.get(number / self.tokens.len()).expect("enough buyers and subjects");
        let selection =
            json!({ "courseId": self.course, "purchaseType": "SINGLE_SUBJECT", "subjectIds": [subject] });
        (buyer, selection)
    }

    async fn purchase(&self, connection: &mut KeptConnection) {
        let (token, mut input) = self.next();
        input["idempotencyKey"] = json!(Uuid::new_v4());
        let answer = send(connection, token, PURCHASE, input).await;
        assert_eq!(answer["purchase"], json!({ "outcome": "CREATED", "userErrors": [] }));
    }

    /// Makes an order, pays it, and sends `confirmPayment` until the order is granted.
    async fn checkout(&self, connection: &mut KeptConnection) {
        let (token, selection) = self.next();
        let input = json!({ "selection": selection, "idempotencyKey": Uuid::new_v4() });
        let made = send(connection, token, CHECKOUT, input).await;
        let order = made["checkout"]["payment"]["providerOrderId"].as_str();
        let returned = self.fake.customer_pays(order.unwrap_or_else(|| panic!("{made}")));
        let input = json!({ "orderId": made["checkout"]["order"]["id"], "paymentId": returned.payment_id,
            "signature": returned.signature });
        loop {
            let confirmed = send(connection, token, CONFIRM, input.clone()).await;
            let status = confirmed["confirmPayment"]["order"]["status"].as_str();
            match status.unwrap_or_else(|| panic!("{confirmed}")) {
                "GRANTED" => return,
                // The handler of a webhook has recorded the payment, and is granting the order.
                "PAID" => {}
                other => panic!("the order is {other}"),
            }
        }
    }
}

/// Sends a request, and returns the data of its response.
async fn send(connection: &mut KeptConnection, token: &str, document: &str, input: Value) -> Value {
    let body = json!({ "query": document, "variables": { "input": input } }).to_string();
    let response = connection.send(&graphql_post(token, &body)).await;
    let mut response: Value = serde_json::from_slice(response).expect("JSON");
    assert_eq!(response["errors"], Value::Null, "{response}");
    response["data"].take()
}
