//! Many buyers, while requests and webhooks fail at random. At the end, the payments and refunds that the application
//! knows must agree with the provider's books.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use futures_util::future::join_all;
use jishu_tests::payments::connect::{razorpay_config, stripe_config};
use jishu_tests::payments::{
    BuyerOutcome, DeliveryPlan, FakeProvider, FakeRazorpay, FakeStripe, FaultRates, StormRates,
};
use payment_providers::{
    Amount, PaymentProvider, PaymentState, ProviderError, Razorpay, RefundState, Stripe, WebhookEvent,
};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::new;

const BUYERS: usize = 40;

/// About every third request fails or is slow.
const FAULTS: FaultRates = FaultRates {
    lost_responses: 0.08,
    closed: 0.05,
    errors: 0.05,
    errors_after_work: 0.05,
    limited: 0.05,
    slow: 0.05,
};

/// The ids of the captured orders and of the refunds that webhooks have reported.
#[derive(Default)]
struct Heard {
    captured: BTreeSet<String>,
    refunds: BTreeSet<String>,
}

/// Repeats a call until it succeeds, up to 200 times. The argument of the call is true once an attempt had an unknown
/// outcome. Panics if the provider refuses the call.
async fn insist<T>(mut call: impl AsyncFnMut(bool) -> Result<T, ProviderError>) -> T {
    let mut again = false;
    for _ in 0..200 {
        match call(again).await {
            Ok(value) => return value,
            Err(error) if error.is_unknown() => again = true,
            Err(error) if error.may_try_again() => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("no outcome after 200 calls");
}

async fn receiver(provider: Arc<dyn PaymentProvider>, heard: Arc<Mutex<Heard>>) -> String {
    let receive = move |headers: HeaderMap, body: Bytes| {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let status = match provider.verify_webhook(&header, &body, chrono::Utc::now()) {
            Err(_) => StatusCode::BAD_REQUEST,
            Ok(webhook) => {
                let mut heard = heard.lock().unwrap();
                match webhook.event {
                    WebhookEvent::Payment(report) if report.state == PaymentState::Captured => {
                        heard.captured.insert(report.provider_order);
                    }
                    WebhookEvent::Refund(report) => {
                        heard.refunds.insert(report.refund);
                    }
                    _ => {}
                }
                StatusCode::OK
            }
        };
        async move { status }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = axum::Router::new().route("/webhooks", post(receive));
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/webhooks")
}

async fn storm(fake: &dyn FakeProvider, provider: Arc<dyn PaymentProvider>, seed: u64) {
    let heard = Arc::new(Mutex::new(Heard::default()));
    fake.webhooks().send_to(receiver(provider.clone(), heard.clone()).await);
    fake.webhooks().deliver_by(DeliveryPlan::STORMY, seed);
    fake.faults().random(seed, FAULTS);

    let buyer = async |number: usize| {
        let mut random = StdRng::seed_from_u64(seed * 1_000 + number as u64);
        let money = Amount::new(499_00 + number as i64, "INR");
        let reference = format!("order-{number}");
        let created = insist(async |again| {
            let new = new(&reference, &money);
            if again { provider.create_again(&new).await } else { provider.create(&new).await }
        })
        .await;
        let order = created.provider_order;
        let outcome = fake.play_buyer(&order, &StormRates::ROUGH, &mut random);

        // Acts as the application's reconciler: reads the order, captures an authorised payment, and refunds every
        // third buyer.
        let reports = insist(async |_| provider.fetch(&order).await).await;
        let waiting = reports.iter().find(|report| report.state == PaymentState::Authorized);
        if let Some(payment) = waiting.and_then(|report| report.payment.as_deref()) {
            insist(async |_| provider.capture(payment, &money).await).await;
        }
        let reports = insist(async |_| provider.fetch(&order).await).await;
        let paid = reports.iter().find(|report| report.state == PaymentState::Captured);
        let expected = matches!(outcome, BuyerOutcome::Paid | BuyerOutcome::Authorized);
        assert_eq!(paid.is_some(), expected, "{outcome:?} {reports:?}");
        if let Some(paid) = paid
            && number.is_multiple_of(3)
        {
            let left = money.amount_minor - paid.refunded_minor.unwrap();
            let payment = paid.payment.as_deref().unwrap();
            if left > 0 {
                let refund = Amount::new(left, "INR");
                let reference = format!("refund-{number}");
                insist(async |_| provider.refund(payment, &refund, &reference).await).await;
            }
            let refunds = insist(async |_| provider.refunds(payment).await).await;
            let total: i64 = refunds
                .iter()
                .filter(|report| report.state != RefundState::Failed)
                .map(|report| report.money.amount_minor)
                .sum();
            assert_eq!(total, money.amount_minor, "{refunds:?}");
        }
        (order, expected)
    };
    let orders: BTreeMap<String, bool> = join_all((0..BUYERS).map(buyer)).await.into_iter().collect();
    fake.webhooks().settled().await;

    let lines = fake.lines();
    let mut references = BTreeSet::new();
    for line in &lines {
        // A lost response can leave a second order at the provider. Only the order that the application knows is paid.
        let paid = orders.get(&line.provider_order).copied().unwrap_or(false);
        assert_eq!(line.captured, if paid { line.amount } else { 0 }, "{line:?}");
        assert_eq!(line.authorized, 0, "{line:?}");
        let number: usize = line.order_reference.as_deref().unwrap()["order-".len()..].parse().unwrap();
        if paid && number.is_multiple_of(3) {
            assert_eq!(line.refunded, line.captured, "{line:?}");
        }
        for reference in line.refund_references.iter().flatten() {
            assert!(references.insert(reference.clone()), "{reference} was refunded twice");
        }
    }
    assert!(lines.len() < BUYERS * 2, "{} orders for {BUYERS} buyers", lines.len());
    let sent = fake.webhooks().sent();
    assert!(sent.iter().all(|attempt| attempt.status == Some(200)), "{sent:?}");
    assert!(fake.webhooks().lost() > 0 && sent.len() > lines.len());
    let heard = heard.lock().unwrap();
    assert!(heard.captured.iter().all(|order| orders.get(order) == Some(&true)));
    assert!(!heard.captured.is_empty() && !heard.refunds.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_books_agree_after_a_storm_at_razorpay() {
    let fake = FakeRazorpay::start().await;
    let provider = Razorpay::new(razorpay_config(&fake)).unwrap();
    storm(&fake, Arc::new(provider), 7).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_books_agree_after_a_storm_at_stripe() {
    let fake = FakeStripe::start().await;
    let provider = Stripe::new(stripe_config(&fake)).unwrap();
    storm(&fake, Arc::new(provider), 8).await;
}
