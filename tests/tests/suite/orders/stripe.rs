//! Orders at a fake of Stripe.

use std::sync::Arc;

use jishu_entity::user::Role;
use jishu_tests::payments::FakeStripe;
use jishu_tests::{Backend, RefundInput, TestApp, wait_for};
use serde_json::{Value, json};

use super::assert_consistent;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_an_order_is_paid_and_refunded_at_stripe() {
    run(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_an_order_is_paid_and_refunded_at_stripe() {
    run(Backend::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_an_order_is_paid_and_refunded_at_stripe() {
    run(Backend::MariaDb).await;
}

async fn run(backend: Backend) {
    let fake = FakeStripe::start().await;
    let flags = [
        "--payments=stripe".to_owned(),
        format!("--payment-key={}", FakeStripe::PUBLISHABLE_KEY),
        format!("--payment-secret={}", FakeStripe::SECRET_KEY),
        format!("--payment-webhook-secret={}", FakeStripe::WEBHOOK_SECRET),
        format!("--payment-url={}", fake.address()),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    TestApp::run_with(backend, &flags, async |app| paid_and_refunded(app, &fake).await).await;
}

async fn paid_and_refunded(app: Arc<TestApp>, fake: &FakeStripe) {
    let course = app.course(&["Physics"]).cards(2).create(&app).await;
    let learner = app.staff("Asha", Role::Learner).await;
    let support = app.staff("Sam", Role::Support).await;
    fake.webhooks().send_to(app.url("/webhooks/payments/stripe"));
    let clock = app.services.clock.clone();
    fake.use_clock(move || clock.now().timestamp());
    let key = "6f1c2a58-3333-4d6e-9a4e-000000000001";
    let input = json!({ "input": { "selection": course.subject(0).json(), "idempotencyKey": key } });
    let made = learner.run_with(super::CHECKOUT, input.clone()).await;
    let secret = made.text("/checkout/payment/clientSecret").to_owned();
    assert_eq!(made.text("/checkout/payment/publicKey"), FakeStripe::PUBLISHABLE_KEY);
    let again = learner.run_with(super::CHECKOUT, input).await;
    assert_eq!(again.text("/checkout/payment/clientSecret"), secret);
    let id = made.text("/checkout/order/id").to_owned();
    let intent = secret.split("_secret").next().expect("the intent").to_owned();
    fake.customer_fails(&intent, "card_declined");
    fake.customer_pays(&intent);
    let read = async || support.run_with(super::ORDER, json!({ "id": id })).await.at("/node").clone();

    // The buyer returns before the webhooks arrive. Stripe does not sign this return, so the server asks Stripe.
    let input = json!({ "input": { "orderId": id, "paymentId": intent } });
    let confirmed = learner.run_with(super::CONFIRM, input).await;
    assert_eq!(confirmed.text("/confirmPayment/order/status"), "GRANTED");
    for status in fake.webhooks().send_all().await {
        assert_eq!(status, Some(200));
    }
    let purchases = "{ viewer { purchases { edges { node { id } } } } }";
    let purchase = learner.run(purchases).await.text("/viewer/purchases/edges/0/node/id").to_owned();
    assert_eq!(support.refund(RefundInput::whole(&purchase)).await.outcome(), "CREATED");
    wait_for("the refund", async || {
        for status in fake.webhooks().send_all().await {
            assert_eq!(status, Some(200));
        }
        (read().await["status"] == "REFUNDED").then_some(())
    })
    .await;
    assert_eq!(fake.books().kept(), 0);
    assert_ne!(read().await["purchase"], Value::Null);
    assert_consistent(&app).await;
}
