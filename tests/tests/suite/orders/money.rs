//! Money of orders that must not be lost, sent twice or counted twice: unclear refunds, refunds at the provider's
//! console, disputes, written-off money, and reports that come early or late.

use std::time::Duration;

use chrono::TimeDelta;
use jishu_entity::order;
use jishu_tests::payments::Fault;
use jishu_tests::{RefundInput, wait_for, wait_until};
use sea_orm::EntityTrait;
use serde_json::json;

use super::refunds::{
    FAILED_DELIVERIES, fail_tries, paid, refund_after_faults, status_of, wait_for_try, with_wrong_money,
};
use super::{CANCEL, MadeOrder, World, assert_consistent, in_a_world};

in_a_world!(
    the_notes_of_a_payment_name_no_order,
    a_long_reference_of_an_order_is_cut,
    a_refund_without_a_response_is_sent_once,
    a_console_refund_replaces_a_failed_refund,
    a_console_refund_that_leaves_money_ends_no_purchase,
    no_refund_is_sent_during_a_dispute,
    money_that_was_written_off_does_not_go_back,
    an_order_cancelled_before_the_provider_made_it_is_checked_for_late_money,
    a_failed_refund_that_is_reported_before_its_payment,
    a_refund_that_was_used_for_a_grant_does_not_keep_the_order_refunding,
    a_refund_that_was_used_for_a_grant_is_not_sent_again,
);

async fn the_notes_of_a_payment_name_no_order(world: World) {
    let order = world.order(world.course.subject(0)).await;
    let found = order::Entity::find().one(world.app.connection()).await.expect("the query runs");
    let receipt = found.expect("an order").receipt_number;
    world.fake.customer_pays(&order.provider);
    let events = world.fake.webhooks().take();
    let captured = events.iter().find(|event| event.kind == "payment.captured").expect("an event");
    let foreign = world.forged(captured, |body| {
        let payment = &mut body["payload"]["payment"]["entity"];
        payment["id"] = json!("pay_OfAnotherSystem");
        payment["order_id"] = json!("order_OfAnotherSystem");
        payment["notes"] = json!({ "order_reference": receipt });
    });
    assert_eq!(world.fake.webhooks().send(&foreign).await, Some(200));
    assert_eq!(world.read(&order).await["status"], "PENDING", "an unknown payment paid the order");
    let noted = world.forged(captured, |body| {
        body["payload"]["payment"]["entity"]["notes"] = json!({ "order_reference": "x".repeat(200) });
    });
    assert_eq!(world.fake.webhooks().send(&noted).await, Some(200));
    assert_eq!(world.read(&order).await["status"], "GRANTED");
    world.assert_books().await;
}

async fn a_long_reference_of_an_order_is_cut(world: World) {
    let order = world.order(world.course.subject(0)).await;
    world.fake.customer_pays(&order.provider);
    let events = world.fake.webhooks().take();
    let paid = events.iter().find(|event| event.kind == "order.paid").expect("an event");
    let long = world.forged(paid, |body| {
        body["payload"]["order"]["entity"]["notes"] = json!({ "order_reference": "x".repeat(200) });
    });
    assert_eq!(world.fake.webhooks().send(&long).await, Some(200));
    assert_eq!(world.read(&order).await["status"], "GRANTED");
    let cut = format!("SELECT COUNT(*) FROM payment_events WHERE reference = '{}'", "x".repeat(64));
    assert_eq!(world.app.number(&cut).await, 1);
    world.assert_books().await;
}

async fn a_refund_without_a_response_is_sent_once(world: World) {
    let (order, purchase) = paid(&world).await;
    // The provider makes the refund, but neither its responses nor its webhooks arrive.
    let part = RefundInput::whole(&purchase).subjects(&[&world.course.subjects[0]]);
    let refund = refund_after_faults(&world, Fault::LoseResponse, part).await;
    let _ = world.fake.webhooks().take();
    world.app.execute("UPDATE outbox SET state = 'dead' WHERE channel = 'payment'").await;
    world.app.clock.advance(TimeDelta::minutes(1));
    world.wait_for(&order, "NEEDS_ATTENTION").await;
    assert_eq!(world.resolve(&order, "GRANT").await["order"]["status"], "GRANTED");
    wait_until("the refund is settled", async || status_of(&world, &refund).await["status"] == "SETTLED")
        .await;
    assert_eq!(world.fake.books().refunds.len(), 1, "the money went back twice");
    world.assert_books().await;
}

async fn a_console_refund_replaces_a_failed_refund(world: World) {
    world.fake.settle_refunds_later();
    let (order, purchase) = paid(&world).await;
    let refund = world.support.refund(RefundInput::whole(&purchase)).await;
    fail_tries(&world, &order, 1..=3).await;
    let payment = world.fake.books().payments[0].id.clone();
    let at_console = world.fake.refund_at_console(&payment, 20_000);
    world.deliver().await;
    assert_eq!(status_of(&world, refund.id()).await["status"], "REQUESTED");
    world.fake.settle_refund(&at_console);
    world.deliver().await;
    assert_eq!(status_of(&world, refund.id()).await["status"], "SETTLED");
    assert_eq!(world.resolve(&order, "REFUND").await["order"]["status"], "REFUNDED");
    assert_eq!(world.fake.books().refunds.len(), 4, "the money was sent again");
    world.assert_books().await;
}

async fn a_console_refund_that_leaves_money_ends_no_purchase(world: World) {
    // The payment is 50.00 more than the price, and its excess cannot be given back.
    let order = with_wrong_money(&world, "INR").await;
    assert_eq!(world.resolve(&order, "GRANT").await["order"]["status"], "GRANTED");
    fail_tries(&world, &order, 4..=6).await;
    let payment = world.fake.books().payments[0].id.clone();
    world.fake.refund_at_console(&payment, 10_000);
    world.deliver().await;
    world
        .assert_support_decides(&order, "the purchase has ended although money of its payment is left")
        .await;
}

async fn no_refund_is_sent_during_a_dispute(world: World) {
    let (order, purchase) = paid(&world).await;
    refund_after_faults(&world, Fault::CloseBeforeWork, RefundInput::whole(&purchase)).await;
    let payment = world.fake.books().payments[0].id.clone();
    let dispute = world.fake.customer_disputes(&payment, 20_000);
    world.deliver().await;
    let postponed = format!("{FAILED_DELIVERIES} AND last_error LIKE '%disputes%'");
    wait_for("a delivery during the dispute", async || {
        world.app.clock.advance(TimeDelta::seconds(20));
        (world.app.number(&postponed).await == 1).then_some(())
    })
    .await;
    assert!(world.fake.books().refunds.is_empty(), "the server sent money that the bank may take");
    world.fake.decide_dispute(&dispute, true);
    world.deliver().await;
    wait_for("the refund after the dispute", async || {
        world.app.clock.advance(TimeDelta::seconds(20));
        (world.read(&order).await["status"] == "REFUNDED").then_some(())
    })
    .await;
    world.deliver().await;
    world.assert_books().await;
}

async fn money_that_was_written_off_does_not_go_back(world: World) {
    let order = world.order(world.course.subject(0)).await;
    let paid = world.fake.customer_pays(&order.provider);
    world.deliver().await;
    world.fake.refund_at_console(&paid.payment_id, 4_000);
    world.deliver().await;
    assert_eq!(world.resolve(&order, "GRANT").await["order"]["status"], "GRANTED");
    assert_consistent(&world.app).await;
    let purchase = world.purchase_of(&order).await;
    world.support.refund(RefundInput::whole(&purchase)).await;
    world.wait_for(&order, "REFUNDED").await;
    let amounts: Vec<i64> = world.fake.books().refunds.iter().map(|refund| refund.amount).collect();
    assert_eq!(amounts, [4_000, 6_000]);
    world.deliver().await;
    world.assert_books().await;
}

async fn an_order_cancelled_before_the_provider_made_it_is_checked_for_late_money(world: World) {
    world.fake.faults().next("POST", "/orders", Fault::Slow(Duration::from_secs(3)));
    let input = world.course.subject(0);
    let cancel = async {
        let stored = "SELECT COUNT(*) FROM orders";
        wait_until("the stored order", async || world.app.number(stored).await == 1).await;
        let mine = "{ viewer { orders { edges { node { id } } } } }";
        let id = world.learner.run(mine).await.text("/viewer/orders/edges/0/node/id").to_owned();
        let cancelled = world.learner.run_with(CANCEL, json!({ "id": id })).await;
        assert_eq!(cancelled.text("/cancelOrder/order/status"), "CANCELLED");
        id
    };
    let (refused, id) = tokio::join!(world.checkout_as(&world.learner, &input), cancel);
    assert_eq!(
        refused["userErrors"][0]["code"], "PAYMENT_PROVIDER_UNAVAILABLE",
        "the buyer got parameters to pay a cancelled order"
    );
    let order = MadeOrder { id, provider: world.fake.books().orders[0].id.clone() };
    // The buyer pays nevertheless, because Razorpay cannot cancel the order. The webhooks about the payment are lost.
    world.fake.customer_pays(&order.provider);
    let _ = world.fake.webhooks().take();
    world.app.clock.advance(TimeDelta::minutes(11));
    world.wait_for(&order, "GRANTED").await;
    world.assert_books().await;
}

async fn a_failed_refund_that_is_reported_before_its_payment(world: World) {
    world.fake.settle_refunds_later();
    let order = world.order(world.course.subject(0)).await;
    let paid = world.fake.customer_pays(&order.provider);
    let refund = world.fake.refund_at_console(&paid.payment_id, 10_000);
    world.fake.fail_refund(&refund);
    let mut events = world.fake.webhooks().take();
    events.reverse();
    for event in &events {
        assert_eq!(world.fake.webhooks().send(event).await, Some(200), "{}", event.kind);
    }
    let granted = world.wait_for(&order, "GRANTED").await;
    assert_eq!(granted["refunds"], json!([]), "the order lists a refund that had failed");
    world.assert_books().await;
}

/// Waits until the server has sent this many refunds, and lets the provider settle the last one.
async fn settle_try(world: &World, sent: usize) {
    wait_for_try(world, sent).await;
    let refund = world.fake.books().refunds[sent - 1].id.clone();
    world.fake.settle_refund(&refund);
    world.deliver().await;
}

/// Makes an order for which support used the money of a refund that had failed three times. The excess of the payment
/// went back with the fourth refund.
async fn with_used_refund(world: &World) -> MadeOrder {
    let order = with_wrong_money(world, "INR").await;
    assert_eq!(world.resolve(&order, "GRANT").await["order"]["status"], "GRANTED");
    settle_try(world, 4).await;
    order
}

async fn a_refund_that_was_used_for_a_grant_does_not_keep_the_order_refunding(world: World) {
    let order = with_used_refund(&world).await;
    let purchase = world.purchase_of(&order).await;
    world.support.refund(RefundInput::whole(&purchase)).await;
    settle_try(&world, 5).await;
    assert_eq!(world.read(&order).await["status"], "REFUNDED");
    world.assert_books().await;
}

async fn a_refund_that_was_used_for_a_grant_is_not_sent_again(world: World) {
    let order = with_used_refund(&world).await;
    let payment = world.fake.books().payments[0].id.clone();
    let part = world.fake.refund_at_console(&payment, 4_000);
    world.fake.settle_refund(&part);
    let events = world.fake.webhooks().take();
    for event in &events {
        assert_eq!(world.fake.webhooks().send(event).await, Some(200), "{}", event.kind);
    }
    world.wait_for(&order, "NEEDS_ATTENTION").await;
    assert_eq!(world.resolve(&order, "GRANT").await["order"]["status"], "GRANTED");
    let open = "SELECT COUNT(*) FROM payment_refunds WHERE status = 'requested'";
    assert_eq!(world.app.number(open).await, 0, "the server sends the used money back");

    // The provider reports that the money of the used refund went back after all, so too little money is left.
    let reference = world.fake.books().refunds[2].receipt.clone();
    let settled = events.iter().find(|event| event.kind == "refund.processed").expect("an event");
    let late = world.forged(settled, |body| {
        let refund = &mut body["payload"]["refund"]["entity"];
        refund["id"] = json!("rfnd_ThatCameLate");
        refund["amount"] = json!(15_000);
        refund["receipt"] = json!(reference);
    });
    assert_eq!(world.fake.webhooks().send(&late).await, Some(200));
    let asked = world.read(&order).await;
    assert_eq!(
        (&asked["status"], &asked["statusReason"]),
        (&json!("NEEDS_ATTENTION"), &json!("REFUND_FAILED"))
    );
    assert_consistent(&world.app).await;
}
