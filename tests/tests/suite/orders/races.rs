//! Many requests about one order at once: webhooks, returns of the buyer, reconcilers and checkouts.

use std::time::Duration;

use chrono::TimeDelta;
use jishu_service::order;
use jishu_tests::payments::Fault;
use jishu_tests::{RefundInput, wait_until};
use serde_json::json;

use super::{CONFIRM, World, assert_consistent, in_a_world};

in_a_world!(
    webhooks_return_and_reconciler_grant_once,
    disputes_arrive_with_their_payments,
    a_refund_that_begins_during_a_check_is_checked_later,
    sixty_four_checkouts_of_one_key_make_one_order,
);

/// Returns how often the test repeats: 2 times, or the value of the variable `ORDER_ROUNDS`.
fn rounds() -> usize {
    std::env::var("ORDER_ROUNDS").map_or(2, |rounds| rounds.parse().expect("a number"))
}

async fn webhooks_return_and_reconciler_grant_once(world: World) {
    let node = world.app.second_node().await;
    for round in 1..=rounds() {
        let client = world.app.learner(&format!("Buyer{round}")).await;
        let made = world.order_of(&client, world.course.several(&[0, 1])).await;
        let paid = world.fake.customer_pays(&made.provider);
        let events = world.fake.webhooks().take();
        let captured = events.iter().find(|event| event.kind == "payment.captured").expect("an event");
        // Makes the order due, so that the reconcilers ask the provider about it.
        world.app.execute("UPDATE orders SET due_at = created_at WHERE due_at IS NOT NULL").await;
        let input = json!({ "orderId": made.id, "paymentId": paid.payment_id, "signature": paid.signature });
        let webhooks = futures_util::future::join_all((0..64).map(|_| world.fake.webhooks().send(captured)));
        let returns = futures_util::future::join_all(
            (0..4).map(|_| client.run_with(CONFIRM, json!({ "input": input }))),
        );
        let (statuses, _, here, there) = tokio::join!(
            webhooks,
            returns,
            order::reconcile(&world.app.services),
            order::reconcile(&node.services)
        );
        here.expect("a look");
        there.expect("a look");
        // A busy server may respond 503 to a webhook. It accepts the webhook when it is sent again.
        assert!(statuses.contains(&Some(200)), "{statuses:?}");
        assert!(statuses.iter().all(|status| matches!(status, Some(200 | 503))), "{statuses:?}");
        for event in &events {
            assert_eq!(world.fake.webhooks().send(event).await, Some(200));
        }
        let granted = world.wait_for(&made, "GRANTED").await;
        assert_eq!(granted["refunds"], json!([]));
        assert_eq!(world.cards().await, i64::try_from(round).expect("few") * 4);
    }
    world.assert_books().await;
    node.stop().await;
}

/// A dispute is stored without an order if its payment is unknown, and the capture of the payment applies stored
/// disputes. If both are recorded at the same time, the dispute must reach the order nevertheless.
async fn disputes_arrive_with_their_payments(world: World) {
    let node = world.app.second_node().await;
    for round in 1..=rounds() {
        let mut events = Vec::new();
        let mut orders = Vec::new();
        for buyer in 1..=16 {
            let client = world.app.learner(&format!("Buyer{round}-{buyer}")).await;
            let made = world.order_of(&client, world.course.subject(0)).await;
            let paid = world.fake.customer_pays(&made.provider);
            let dispute = world.fake.customer_disputes(&paid.payment_id, 10_000);
            world.fake.decide_dispute(&dispute, false);
            let of_order = world.fake.webhooks().take();
            events.extend(of_order.into_iter().filter(|event| {
                ["payment.captured", "payment.dispute.created", "payment.dispute.lost"]
                    .contains(&&*event.kind)
            }));
            orders.push(made);
        }
        let sent = futures_util::future::join_all(events.iter().map(async |event| {
            // A busy server may respond 503. Then the provider sends the webhook again, until it is accepted.
            wait_until("the webhook is accepted", async || {
                let status = world.fake.webhooks().send(event).await;
                assert!(matches!(status, Some(200 | 503)), "{}: {status:?}", event.kind);
                status == Some(200)
            })
            .await;
        }));
        sent.await;
        for order in &orders {
            let over = world.wait_for(order, "REFUNDED").await;
            assert_eq!((&over["statusReason"], &over["disputedAt"]), (&json!("CHARGED_BACK"), &json!(null)));
        }
    }
    assert_consistent(&world.app).await;
    node.stop().await;
}

/// The check of an order ends with a plan for its next check. If a refund of the order begins meanwhile, the plan must
/// not leave the refund without a check.
async fn a_refund_that_begins_during_a_check_is_checked_later(world: World) {
    world.fake.settle_refunds_later();
    for round in 0..rounds() {
        let client = world.app.learner(&format!("Buyer{round}")).await;
        let made = world.order_of(&client, world.course.several(&[0, 1])).await;
        world.fake.customer_pays(&made.provider);
        world.deliver().await;
        let purchase = world.purchase_of(&made).await;
        // The second payment goes back. The order stays granted, so that only its next check changes.
        world.fake.customer_pays_again(&made.provider);
        world.deliver().await;
        let sent =
            "SELECT COUNT(*) FROM payment_refunds WHERE provider_refund IS NOT NULL AND status = 'requested'";
        wait_until("the first refund", async || world.app.number(sent).await == 1).await;
        let first = world.fake.books().refunds[2 * round].id.clone();
        world.fake.settle_refund(&first);
        // The webhook about the settled refund is lost, so the reconciler asks the provider. The second refund begins
        // while it waits for the response.
        let _ = world.fake.webhooks().take();
        world.fake.faults().next("GET", "/refunds", Fault::Slow(Duration::from_millis(30)));
        world.app.execute("UPDATE orders SET due_at = created_at WHERE due_at IS NOT NULL").await;
        let refund = async {
            wait_until("a question", async || world.fake.faults().planned() == 0).await;
            let one = RefundInput::whole(&purchase).subjects(&[&world.course.subjects[0]]);
            world.support.refund(one).await;
        };
        let (checked, ()) = tokio::join!(order::reconcile(&world.app.services), refund);
        checked.expect("a check");
        wait_until("the second refund", async || world.fake.books().refunds.len() == 2 * round + 2).await;
        wait_until("both reports", async || world.app.number(sent).await == 1).await;
        let unplanned = "SELECT COUNT(*) FROM orders o JOIN payment_refunds r ON r.order_id = o.id WHERE o.due_at IS \
                         NULL AND r.status = 'requested'";
        assert_eq!(world.app.number(unplanned).await, 0, "nobody checks the second refund");
        let second = world.fake.books().refunds[2 * round + 1].id.clone();
        world.fake.settle_refund(&second);
        world.deliver().await;
        assert_eq!(world.read(&made).await["status"], "GRANTED");
        assert_eq!(world.app.number(sent).await, 0);
    }
    world.assert_books().await;
}

async fn sixty_four_checkouts_of_one_key_make_one_order(world: World) {
    world.app.clock.advance(TimeDelta::seconds(1));
    let input = world.course.subject(0).key("6f1c2a58-2222-4d6e-9a4e-000000000009");
    let made =
        futures_util::future::join_all((0..64).map(|_| world.checkout_as(&world.learner, &input))).await;
    let created = made.iter().filter(|made| made["outcome"] == "CREATED").count();
    assert_eq!(created, 1);
    for made in &made {
        let is_later = made["userErrors"][0]["code"] == "PAYMENT_PROVIDER_UNAVAILABLE";
        assert!(is_later || made["payment"]["providerOrderId"].is_string(), "{made:#}");
    }
    assert_eq!(world.fake.books().orders.len(), 1);
    assert_eq!(world.app.number("SELECT COUNT(*) FROM orders").await, 1);
}
