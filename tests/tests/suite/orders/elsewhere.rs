//! Money of orders that left in another way than through the server's refunds: written off, taken by the bank, or
//! refunded at the provider's console.

use chrono::TimeDelta;
use jishu_entity::payment_refund;
use jishu_tests::payments::Fault;
use jishu_tests::{RefundInput, wait_for};
use sea_orm::EntityTrait;
use serde_json::{Value, json};

use super::refunds::{fail_tries, paid, refund_after_faults, status_of};
use super::{World, assert_consistent, in_a_world};

in_a_world!(
    a_write_off_excuses_missing_money_once,
    a_refund_whose_money_the_bank_took_is_not_sent,
    a_failed_refund_whose_money_left_at_the_console_is_not_sent,
    a_console_refund_does_not_hide_a_refund_of_the_server,
    support_learns_that_a_dispute_about_failed_refunds_ended,
);

/// Counts the messages to the provider that will still be delivered.
const WAITING_DELIVERIES: &str =
    "SELECT COUNT(*) FROM outbox WHERE channel = 'payment' AND state = 'pending'";
/// Counts the mails to support.
const SUPPORT_MAILS: &str = "SELECT COUNT(*) FROM outbox WHERE kind = 'order_needs_attention'";

/// Advances the clock until no message to the provider waits any more.
async fn deliver_waiting(world: &World) {
    wait_for("the deliveries to the provider", async || {
        world.app.clock.advance(TimeDelta::seconds(20));
        (world.app.number(WAITING_DELIVERIES).await == 0).then_some(())
    })
    .await;
}

async fn a_write_off_excuses_missing_money_once(world: World) {
    let course = world.app.course(&["Botany", "Zoology", "Ecology"]).named("Biology").cards(2);
    let course = course.create(&world.app).await;
    let order = world.order(course.several(&[0, 1, 2])).await;
    let payment = world.fake.customer_pays(&order.provider).payment_id;
    world.deliver().await;
    let purchase = world.purchase_of(&order).await;
    world.fake.refund_at_console(&payment, 10_000);
    world.deliver().await;
    assert_eq!(world.read(&order).await["status"], "NEEDS_ATTENTION");
    assert_eq!(world.resolve(&order, "GRANT").await["order"]["status"], "GRANTED");
    let part = RefundInput::whole(&purchase).subjects(&[&course.subjects[0]]);
    assert_eq!(world.support.refund(part).await.refund()["status"], "SETTLED");
    assert_eq!(world.fake.books().refunds.len(), 1, "the server sent money that was missing already");
    world.fake.refund_at_console(&payment, 10_000);
    world.deliver().await;
    world.assert_support_decides(&order, "the old write-off excused the second missing amount").await;
    assert_consistent(&world.app).await;
}

async fn a_refund_whose_money_the_bank_took_is_not_sent(world: World) {
    let (order, purchase) = paid(&world).await;
    let refund = refund_after_faults(&world, Fault::CloseBeforeWork, RefundInput::whole(&purchase)).await;
    let payment = world.fake.books().payments[0].id.clone();
    let dispute = world.fake.customer_disputes(&payment, 20_000);
    world.deliver().await;
    world.fake.decide_dispute(&dispute, false);
    world.deliver().await;
    let asked = world.read(&order).await;
    assert_eq!(
        (&asked["status"], &asked["statusReason"]),
        (&json!("NEEDS_ATTENTION"), &json!("CHARGED_BACK"))
    );
    assert_eq!(status_of(&world, &refund).await["status"], "FAILED");
    deliver_waiting(&world).await;
    assert!(world.fake.books().refunds.is_empty(), "the server sent money that the bank had taken");
    assert_eq!(world.resolve(&order, "REFUND").await["order"]["status"], "REFUNDED");
    assert_eq!(world.app.number(WAITING_DELIVERIES).await, 0, "the server sends the refund again");
    assert!(world.fake.books().refunds.is_empty());
    let settled = status_of(&world, &refund).await;
    assert_eq!(settled["status"], "SETTLED");
    assert_ne!(settled["settledAt"], Value::Null);
    assert_consistent(&world.app).await;
}

async fn a_failed_refund_whose_money_left_at_the_console_is_not_sent(world: World) {
    world.fake.settle_refunds_later();
    let (order, purchase) = paid(&world).await;
    let part = RefundInput::whole(&purchase).subjects(&[&world.course.subjects[0]]);
    let refund = world.support.refund(part).await.id().to_owned();
    fail_tries(&world, &order, 1..=3).await;
    // The amount is not the amount of the failed refund, so it is another refund.
    let payment = world.fake.books().payments[0].id.clone();
    let at_console = world.fake.refund_at_console(&payment, 20_000);
    world.fake.settle_refund(&at_console);
    world.deliver().await;
    assert_eq!(world.resolve(&order, "REFUND").await["order"]["status"], "REFUNDED");
    assert_eq!(world.app.number(WAITING_DELIVERIES).await, 0, "the server sends the refund again");
    assert_eq!(status_of(&world, &refund).await["status"], "SETTLED");
    world.assert_books().await;
}

async fn a_console_refund_does_not_hide_a_refund_of_the_server(world: World) {
    let (order, purchase) = paid(&world).await;
    let part = RefundInput::whole(&purchase).subjects(&[&world.course.subjects[0]]);
    let refund = refund_after_faults(&world, Fault::CloseBeforeWork, part).await;
    let row = payment_refund::Entity::find().one(world.app.connection()).await.expect("the query runs");
    let reference = row.expect("a payment refund").reference;
    let payment = world.fake.books().payments[0].id.clone();
    world.fake.refund_at_console(&payment, 10_000);
    let events = world.fake.webhooks().take();
    for event in &events {
        assert_eq!(world.fake.webhooks().send(event).await, Some(200), "{}", event.kind);
    }
    assert_eq!(status_of(&world, &refund).await["status"], "SETTLED");
    deliver_waiting(&world).await;
    assert_eq!(world.fake.books().refunds.len(), 1, "the server sent the money too");
    assert_eq!(world.read(&order).await["status"], "GRANTED");

    // The provider reports that the server's own request had arrived nevertheless.
    let settled = events.iter().find(|event| event.kind == "refund.processed").expect("an event");
    let late = world.forged(settled, |body| {
        let refund = &mut body["payload"]["refund"]["entity"];
        refund["id"] = json!("rfnd_ThatCameLate");
        refund["receipt"] = json!(reference);
    });
    assert_eq!(world.fake.webhooks().send(&late).await, Some(200));
    // This money is all that was left of the payment, so the purchase ends.
    let over = world.wait_for(&order, "REFUNDED").await;
    assert_eq!(over["refunds"].as_array().expect("a list").len(), 2, "the second refund was not counted");
    assert_consistent(&world.app).await;
}

async fn support_learns_that_a_dispute_about_failed_refunds_ended(world: World) {
    world.fake.settle_refunds_later();
    let (order, purchase) = paid(&world).await;
    world.support.refund(RefundInput::whole(&purchase)).await;
    fail_tries(&world, &order, 1..=3).await;
    let payment = world.fake.books().payments[0].id.clone();
    let dispute = world.fake.customer_disputes(&payment, 20_000);
    world.deliver().await;
    assert_eq!(world.app.number(SUPPORT_MAILS).await, 2, "the failed refund and the dispute");
    world.fake.decide_dispute(&dispute, true);
    world.deliver().await;
    assert_eq!(world.app.number(SUPPORT_MAILS).await, 3, "nobody told support that the dispute ended");
}
