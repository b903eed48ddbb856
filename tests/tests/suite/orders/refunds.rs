//! Refunds of orders at the payment provider: settled, lost, repeated and failed.

use std::ops::RangeInclusive;

use chrono::TimeDelta;
use jishu_tests::payments::Fault;
use jishu_tests::{RefundInput, wait_for, wait_until};
use serde_json::{Value, json};

use super::{MadeOrder, World, in_a_world};

in_a_world!(
    a_refund_is_requested_until_the_provider_settles_it,
    a_refund_whose_response_was_lost_is_sent_once,
    a_refund_that_fails_is_tried_again_and_then_decided_by_support,
    money_of_a_failed_refund_can_pay_for_the_order,
    money_in_another_currency_cannot_pay_for_the_order,
    a_refund_goes_to_the_payment_that_still_has_money,
);

/// Makes a paid order of two subjects. Returns the order and the id of its purchase.
pub(super) async fn paid(world: &World) -> (MadeOrder, String) {
    let order = world.order(world.course.several(&[0, 1])).await;
    world.fake.customer_pays(&order.provider);
    world.deliver().await;
    let purchase = world.purchase_of(&order).await;
    (order, purchase)
}

pub(super) async fn status_of(world: &World, refund: &str) -> Value {
    let document = "query ($id: ID!) { node(id: $id) { ... on Refund { status settledAt } } }";
    world.learner.run_with(document, json!({ "id": refund })).await.at("/node").clone()
}

async fn a_refund_is_requested_until_the_provider_settles_it(world: World) {
    world.fake.settle_refunds_later();
    let (order, purchase) = paid(&world).await;
    let one = RefundInput::whole(&purchase).subjects(&[&world.course.subjects[0]]);
    let refund = world.support.refund(one).await;
    assert_eq!((refund.outcome(), &refund.refund()["status"]), ("CREATED", &json!("REQUESTED")));
    assert_eq!((refund.purchase_status(), refund.amount()), ("ACTIVE", "100.00"));
    wait_until("one refund at the provider", async || world.fake.books().refunds.len() == 1).await;
    assert_eq!(
        world.read(&order).await["status"],
        "GRANTED",
        "the refund of a part changed the status of the order"
    );
    assert_eq!(status_of(&world, refund.id()).await["status"], "REQUESTED");
    let sent = world.fake.books().refunds[0].id.clone();
    world.fake.settle_refund(&sent);
    world.deliver().await;
    assert_eq!(status_of(&world, refund.id()).await["status"], "SETTLED");

    let rest = world.support.refund(RefundInput::whole(&purchase)).await;
    assert_eq!((rest.amount(), rest.purchase_status()), ("100.00", "REFUNDED"));
    assert_eq!(world.read(&order).await["status"], "REFUNDING");
    // The next check is planned when the response of the provider is recorded, and the clock moves after that.
    let recorded = "SELECT COUNT(*) FROM payment_refunds WHERE provider_refund IS NOT NULL";
    wait_until("both refunds at the provider", async || world.app.number(recorded).await == 2).await;
    let sent = world.fake.books().refunds[1].id.clone();
    world.fake.settle_refund(&sent);
    // The webhook about the settled refund is lost. The reconciler asks the provider five minutes later.
    let _ = world.fake.webhooks().take();
    world.app.clock.advance(TimeDelta::minutes(5));
    world.wait_for(&order, "REFUNDED").await;
    assert_eq!(status_of(&world, rest.id()).await["status"], "SETTLED");
    world.assert_books().await;
}

async fn a_refund_whose_response_was_lost_is_sent_once(world: World) {
    let (order, purchase) = paid(&world).await;
    world.fake.faults().times(3, "POST", "/refund", Fault::LoseResponse);
    let refund = world.support.refund(RefundInput::whole(&purchase)).await;
    assert_eq!(refund.outcome(), "CREATED");
    wait_for("the refund to be sent again", async || {
        world.app.clock.advance(TimeDelta::seconds(20));
        (world.read(&order).await["status"] == "REFUNDED").then_some(())
    })
    .await;
    assert_eq!(world.fake.books().refunds.len(), 1, "the money did not go back exactly once");
    world.deliver().await;
    world.assert_books().await;
}

/// Counts the messages to the provider whose last delivery failed, and that will be delivered again.
pub(super) const FAILED_DELIVERIES: &str =
    "SELECT COUNT(*) FROM outbox WHERE channel = 'payment' AND state = 'pending' AND last_error IS NOT NULL";

/// Requests a refund whose first delivery fails by this fault of the provider. Returns the id of the refund after the
/// failure. The message will be delivered again.
pub(super) async fn refund_after_faults(world: &World, fault: Fault, input: RefundInput) -> String {
    world.fake.faults().times(3, "POST", "/refund", fault);
    let refund = world.support.refund(input).await;
    wait_until("a failed delivery", async || world.app.number(FAILED_DELIVERIES).await == 1).await;
    refund.id().to_owned()
}

/// Waits until the server has sent this many refunds. Meanwhile advances the clock, because a next try has a pause.
pub(super) async fn wait_for_try(world: &World, sent: usize) {
    wait_for(&format!("try {sent}"), async || {
        world.app.clock.advance(TimeDelta::seconds(10));
        (world.fake.books().refunds.len() == sent).then_some(())
    })
    .await;
}

/// Lets the provider report that the refund failed that was sent as number `sent`.
async fn fail_try(world: &World, sent: usize) {
    let failed = world.fake.books().refunds[sent - 1].id.clone();
    world.fake.fail_refund(&failed);
    world.deliver().await;
}

/// Lets the tries with these numbers fail, one after the other, and waits until staff must decide about the order.
pub(super) async fn fail_tries(world: &World, order: &MadeOrder, tries: RangeInclusive<usize>) {
    for sent in tries {
        wait_for_try(world, sent).await;
        fail_try(world, sent).await;
    }
    world.wait_for(order, "NEEDS_ATTENTION").await;
}

/// Makes an order that got 150.00 of this currency instead of its price, and whose refund was given up.
pub(super) async fn with_wrong_money(world: &World, currency: &str) -> MadeOrder {
    world.fake.settle_refunds_later();
    let order = world.order(world.course.subject(0)).await;
    world.fake.customer_pays_other_money(&order.provider, 15_000, currency);
    world.deliver().await;
    fail_tries(world, &order, 1..=3).await;
    order
}

async fn a_refund_that_fails_is_tried_again_and_then_decided_by_support(world: World) {
    world.fake.settle_refunds_later();
    let (order, purchase) = paid(&world).await;
    let refund = world.support.refund(RefundInput::whole(&purchase)).await;
    for sent in 1..=3 {
        wait_for_try(&world, sent).await;
        assert_eq!(status_of(&world, refund.id()).await["status"], "REQUESTED");
        fail_try(&world, sent).await;
    }
    let asked = world.read(&order).await;
    assert_eq!(
        (&asked["status"], &asked["statusReason"]),
        (&json!("NEEDS_ATTENTION"), &json!("REFUND_FAILED"))
    );
    assert_eq!(status_of(&world, refund.id()).await["status"], "FAILED");
    assert_eq!(asked["purchase"]["status"], "REFUNDED");
    let told = "SELECT COUNT(*) FROM outbox WHERE kind = 'order_needs_attention'";
    assert_eq!(world.app.number(told).await, 1);
    // The purchase is refunded, so the order can no longer be granted. Support can send the refund again.
    assert_eq!(world.resolve(&order, "GRANT").await["userErrors"][0]["code"], "ORDER_NOT_GRANTABLE");
    assert_eq!(world.resolve(&order, "REFUND").await["order"]["status"], "REFUNDING");
    wait_until("another try", async || world.fake.books().refunds.len() == 4).await;
    let sent = world.fake.books().refunds[3].id.clone();
    world.fake.settle_refund(&sent);
    world.deliver().await;
    assert_eq!(world.read(&order).await["status"], "REFUNDED");
    assert_eq!(status_of(&world, refund.id()).await["status"], "SETTLED");
    world.assert_books().await;
}

async fn money_of_a_failed_refund_can_pay_for_the_order(world: World) {
    let order = with_wrong_money(&world, "INR").await;
    assert_eq!(world.resolve(&order, "GRANT").await["order"]["status"], "GRANTED");
    wait_for_try(&world, 4).await;
    let excess = world.fake.books().refunds[3].clone();
    assert_eq!(excess.amount, 5_000);
    world.fake.settle_refund(&excess.id);
    world.deliver().await;
    assert_eq!(world.read(&order).await["status"], "GRANTED");
    assert_eq!(world.cards().await, 2);
    world.assert_books().await;
}

async fn money_in_another_currency_cannot_pay_for_the_order(world: World) {
    let order = with_wrong_money(&world, "USD").await;
    assert_eq!(world.resolve(&order, "GRANT").await["userErrors"][0]["code"], "ORDER_NOT_GRANTABLE");
    assert_eq!(world.cards().await, 0);
}

async fn a_refund_goes_to_the_payment_that_still_has_money(world: World) {
    world.fake.settle_refunds_later();
    let order = world.order(world.course.subject(0)).await;
    let first = world.fake.customer_pays_other_money(&order.provider, 15_000, "INR").payment_id;
    world.deliver().await;
    wait_for_try(&world, 1).await;
    let refund = world.fake.books().refunds[0].id.clone();
    world.fake.settle_refund(&refund);
    world.deliver().await;
    world.wait_for(&order, "REFUNDED").await;
    let second = world.fake.customer_pays_again(&order.provider);
    world.deliver().await;
    fail_tries(&world, &order, 2..=4).await;
    assert_eq!(world.resolve(&order, "GRANT").await["order"]["status"], "GRANTED");
    world.assert_books().await;
    world.support.refund(RefundInput::whole(&world.purchase_of(&order).await)).await;
    wait_for_try(&world, 5).await;
    let books = world.fake.books();
    let payments: Vec<_> = books.refunds.iter().map(|refund| refund.payment_id.as_str()).collect();
    assert_eq!(payments, [&first, &second, &second, &second, &second]);
}
