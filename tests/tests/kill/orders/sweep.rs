//! Aborts the server at each boundary between the statements and calls of orders and of their refunds.

use jishu_service::failpoint::{ORDER_BOUNDARIES, ORDER_REFUND_BOUNDARIES};
use jishu_tests::payments::FakeRazorpay;
use serde_json::{Value, json};
use uuid::Uuid;

use super::check::violations;
use super::shop::{Shop, until};
use super::{revive, start};
use crate::world::World;

/// The indices of the subjects in each order of this module.
const PLACES: [usize; 2] = [0, 1];

/// Makes an order for each boundary of orders, and a refund for each boundary of their refunds. The server aborts at
/// the boundary, and the order or refund must still end correctly. Returns the number of boundaries.
pub(crate) async fn abort(world: &mut World, fake: &FakeRazorpay) -> usize {
    start(world, fake, &[]);
    let shop = Shop::of(world);
    for (boundary, number) in ORDER_BOUNDARIES.into_iter().zip(0..) {
        let buyer = shop.buyers[number];
        abort_order(world, fake, &shop, boundary, buyer).await;
        let violations = violations(world, fake).await;
        assert!(violations.is_empty(), "{:?} at {boundary}: {violations:#?}", world.backend);
    }
    for (boundary, number) in ORDER_REFUND_BOUNDARIES.into_iter().zip(ORDER_BOUNDARIES.len()..) {
        let buyer = shop.buyers[number];
        abort_refund(world, fake, &shop, boundary, buyer).await;
        let violations = violations(world, fake).await;
        assert!(violations.is_empty(), "{:?} at {boundary}: {violations:#?}", world.backend);
    }
    ORDER_BOUNDARIES.len() + ORDER_REFUND_BOUNDARIES.len()
}

async fn abort_order(world: &mut World, fake: &FakeRazorpay, shop: &Shop, boundary: &str, buyer: i64) {
    let key = Uuid::new_v4().to_string();
    world.abort_at(boundary);
    if shop.checkout(buyer, &key, &PLACES).await.is_none() {
        assert!(revive(world).await, "{boundary}: the server did not abort");
    }
    // If the server did not abort during the checkout, the payment makes it abort.
    let order = shop.place(buyer, &key, &PLACES).await;
    fake.customer_pays(&order.provider);
    let events = fake.webhooks().take();
    for event in &events {
        fake.webhooks().send(event).await;
    }
    if shop.read(&order.id).await.is_none() {
        assert!(revive(world).await, "{boundary}: the server did not abort");
    }
    for event in &events {
        fake.webhooks().send(event).await;
    }
    until_status(shop, fake, &order.id, "GRANTED").await;
}

async fn abort_refund(world: &mut World, fake: &FakeRazorpay, shop: &Shop, boundary: &str, buyer: i64) {
    let order = shop.place(buyer, &Uuid::new_v4().to_string(), &PLACES).await;
    fake.customer_pays(&order.provider);
    let granted = until_status(shop, fake, &order.id, "GRANTED").await;
    let (purchase, key) = (&granted["purchase"]["id"], Uuid::new_v4().to_string());
    world.abort_at(boundary);
    let _ = shop.refund(purchase, None, &key).await;
    assert!(revive(world).await, "{boundary}: the server did not abort");
    let refunded = until("a refund", async || shop.refund(purchase, None, &key).await).await;
    assert_eq!(refunded["userErrors"], json!([]), "{boundary}");
    until_status(shop, fake, &order.id, "REFUNDED").await;
}

/// Delivers webhooks until an order has this status, and returns the order.
async fn until_status(shop: &Shop, fake: &FakeRazorpay, order: &Value, status: &str) -> Value {
    until(status, async || {
        fake.webhooks().send_all().await;
        shop.read(order).await.filter(|order| order["status"] == status)
    })
    .await
}
