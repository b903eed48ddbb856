//! The rules of `api/docs/orders.md` for payments that come late or do not fit their order, for refunds at the
//! provider's console, and for disputes.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{CANCEL, MadeOrder, World, assert_consistent, in_a_world};

in_a_world!(
    captured_after_the_order_expired,
    captured_after_it_expired_and_dearer_by_then,
    paid_after_it_was_cancelled,
    the_subject_was_archived,
    bought_in_another_tab,
    granted_by_support_meanwhile,
    its_price_changed_since,
    the_buyer_was_deactivated,
    two_payments_for_one_order,
    a_payment_of_another_amount_or_currency,
    a_payment_for_another_order,
    authorised_after_it_failed,
    a_dispute_that_is_lost,
    a_dispute_that_is_won,
    two_disputes_about_one_order,
    a_lost_dispute_beside_an_open_one,
    a_dispute_without_its_order,
    a_refund_at_the_console,
    a_part_refunded_at_the_console,
    reports_before_the_payment_itself,
);

/// Returns the amount, the status and the reason of each refund of an order.
fn refunds(order: &Value) -> Vec<(&str, &str, &str)> {
    let text = |value: &'_ Value| -> &'static str {
        Box::leak(value.as_str().unwrap_or_default().to_owned().into_boxed_str())
    };
    let refunds = order["refunds"].as_array().expect("a list");
    refunds
        .iter()
        .map(|refund| (text(&refund["amount"]["amount"]), text(&refund["status"]), text(&refund["reason"])))
        .collect()
}

async fn expired(world: &World) -> MadeOrder {
    let order = world.order(world.course.subject(0)).await;
    world.app.clock.advance(TimeDelta::minutes(30));
    world.wait_for(&order, "EXPIRED").await;
    order
}

async fn captured_after_the_order_expired(world: World) {
    let order = expired(&world).await;
    world.fake.customer_pays(&order.provider);
    world.deliver().await;
    let granted = world.read(&order).await;
    assert_eq!(
        granted["status"], "GRANTED",
        "the late payment was not granted although the price is the same"
    );
    assert_eq!(world.cards().await, 2);
    world.assert_books().await;
}

async fn captured_after_it_expired_and_dearer_by_then(world: World) {
    let order = expired(&world).await;
    world.app.execute("UPDATE subjects SET list_price = list_price + 1").await;
    world.fake.customer_pays(&order.provider);
    world.deliver().await;
    let refunded = world.wait_for_refunds(&order, "SETTLED").await;
    assert_eq!(refunds(&refunded), [("100.00", "SETTLED", "PRICE_CHANGED")]);
    assert_eq!(world.wait_for(&order, "REFUNDED").await["purchase"], Value::Null);
    let mails = "SELECT COUNT(*) FROM outbox WHERE kind = 'payment_returned'";
    assert_eq!(world.app.number(mails).await, 1, "the buyer must get exactly one mail");
    world.assert_books().await;
}

async fn paid_after_it_was_cancelled(world: World) {
    let order = world.order(world.course.subject(0)).await;
    world.learner.run_with(CANCEL, json!({ "id": order.id })).await;
    assert_eq!(world.read(&order).await["status"], "CANCELLED");
    world.fake.customer_pays(&order.provider);
    world.deliver().await;
    assert_eq!(world.read(&order).await["status"], "GRANTED");
    world.assert_books().await;
}

async fn the_subject_was_archived(world: World) {
    let order = world.order(world.course.several(&[0, 1])).await;
    let (archived, at) = (world.course.subject_rows[0], "(SELECT created_at FROM courses LIMIT 1)");
    world.app.execute(&format!("UPDATE subjects SET archived_at = {at} WHERE id = {archived}")).await;
    world.fake.customer_pays(&order.provider);
    world.deliver().await;
    let partly = world.wait_for_refunds(&order, "SETTLED").await;
    assert_eq!((&partly["status"], &partly["statusReason"]), (&json!("GRANTED"), &json!("ARCHIVED")));
    assert_eq!(partly["purchase"]["subjects"], json!([{ "name": "Chemistry" }]));
    assert_eq!(refunds(&partly), [("100.00", "SETTLED", "ARCHIVED")]);
    world.assert_books().await;
}

async fn bought_in_another_tab(world: World) {
    let (first, second) =
        (world.order(world.course.subject(0)).await, world.order(world.course.subject(0)).await);
    world.fake.customer_pays(&second.provider);
    world.fake.customer_pays(&first.provider);
    world.deliver().await;
    assert_eq!(world.read(&second).await["status"], "GRANTED");
    let refunded = world.wait_for_refunds(&first, "SETTLED").await;
    assert_eq!(refunds(&refunded), [("100.00", "SETTLED", "ALREADY_OWNED")]);
    world.wait_for(&first, "REFUNDED").await;
    assert_eq!(world.cards().await, 2);
    world.assert_books().await;
}

async fn granted_by_support_meanwhile(world: World) {
    let order = world.order(world.course.several(&[0, 1])).await;
    let user = world.learner.run("{ viewer { id } }").await.text("/viewer/id").to_owned();
    let grant = "mutation ($input: GrantPurchaseInput!) { grantPurchase(input: $input) { outcome } }";
    let selection = world.course.subject(0).json().clone();
    let input = json!({ "userId": user, "selection": selection, "reason": "A prize" });
    world.support.run_with(grant, json!({ "input": input })).await;
    world.fake.customer_pays(&order.provider);
    world.deliver().await;
    let partly = world.wait_for_refunds(&order, "SETTLED").await;
    assert_eq!(partly["status"], "GRANTED");
    assert_eq!(refunds(&partly), [("100.00", "SETTLED", "ALREADY_OWNED")]);
    world.assert_books().await;
}

async fn its_price_changed_since(world: World) {
    let order = world.order(world.course.subject(0)).await;
    world.app.execute("UPDATE subjects SET list_price = 50000, total_mock_tests = 7").await;
    world.fake.customer_pays(&order.provider);
    world.deliver().await;
    let granted = world.read(&order).await;
    assert_eq!(granted["status"], "GRANTED");
    assert_eq!(
        granted["purchase"]["cost"]["amount"], "100.00",
        "a later price in the catalogue changed the price of the order"
    );
    assert_eq!(world.cards().await, 2, "a later change in the catalogue changed the cards of the order");
    world.assert_books().await;
}

async fn the_buyer_was_deactivated(world: World) {
    let order = world.order(world.course.subject(0)).await;
    world.app.execute("UPDATE users SET status = 'deactivated' WHERE role = 'learner'").await;
    world.fake.customer_pays(&order.provider);
    world.deliver().await;
    let refunded = world.wait_for_refunds(&order, "SETTLED").await;
    assert_eq!(refunds(&refunded), [("100.00", "SETTLED", "BUYER_INACTIVE")]);
    world.wait_for(&order, "REFUNDED").await;
    assert_eq!(world.cards().await, 0);
    world.assert_books().await;
}

async fn two_payments_for_one_order(world: World) {
    let order = world.order(world.course.subject(0)).await;
    world.fake.customer_pays(&order.provider);
    world.deliver().await;
    // The fake takes only one payment for an order. So the test changes the webhook of Ben's payment to name this
    // order.
    let ben = world.app.learner("Ben").await;
    let other = world.order_of(&ben, world.course.subject(0)).await;
    world.fake.customer_pays(&other.provider);
    let events = world.fake.webhooks().take();
    let captured = events.iter().find(|event| event.kind == "payment.captured").expect("an event");
    let second = world
        .forged(captured, |body| body["payload"]["payment"]["entity"]["order_id"] = json!(order.provider));
    for _ in 0..2 {
        assert_eq!(world.fake.webhooks().send(&second).await, Some(200));
    }
    let twice = world.wait_for_refunds(&order, "SETTLED").await;
    assert_eq!(twice["status"], "GRANTED");
    assert_eq!(refunds(&twice), [("100.00", "SETTLED", "PAID_TWICE")]);
    assert_eq!(world.cards().await, 2);
    world.assert_books().await;
}

async fn a_payment_of_another_amount_or_currency(world: World) {
    for (field, value) in [("amount", json!(9_900)), ("currency", json!("USD"))] {
        let order = world.order(world.course.subject(0)).await;
        world.fake.customer_pays(&order.provider);
        let events = world.fake.webhooks().take();
        let captured = events.iter().find(|event| event.kind == "payment.captured").expect("an event");
        let forged = world.forged(captured, |body| body["payload"]["payment"]["entity"][field] = value);
        assert_eq!(world.fake.webhooks().send(&forged).await, Some(200));
        let refunding = world.read(&order).await;
        assert_eq!(refunding["statusReason"], "AMOUNT_MISMATCH", "{field}");
        assert!(["REFUNDING", "REFUNDED"].contains(&refunding["status"].as_str().unwrap_or_default()));
        assert_eq!(refunding["purchase"], Value::Null);
    }
    assert_eq!(world.cards().await, 0);
}

async fn a_payment_for_another_order(world: World) {
    let (mine, other) =
        (world.order(world.course.subject(0)).await, world.order(world.course.subject(1)).await);
    let paid = world.fake.customer_pays(&other.provider);
    let input = json!({ "orderId": mine.id, "paymentId": paid.payment_id, "signature": paid.signature });
    let refused = world.learner.run_with(super::CONFIRM, json!({ "input": input })).await;
    assert_eq!(refused.text("/confirmPayment/userErrors/0/code"), "PAYMENT_NOT_VERIFIED");
    world.deliver().await;
    assert_eq!(world.read(&mine).await["status"], "PENDING");
    assert_eq!(world.read(&other).await["status"], "GRANTED");
    world.assert_books().await;
}

async fn authorised_after_it_failed(world: World) {
    let order = world.order(world.course.subject(0)).await;
    let payment = world.fake.customer_fails(&order.provider, "payment_timed_out");
    world.deliver().await;
    assert_eq!(world.read(&order).await["status"], "PENDING");
    world.fake.bank_authorizes_late(&payment);
    // The server captures the payment when it receives the webhook about the authorisation.
    world.deliver().await;
    assert_eq!(world.read(&order).await["status"], "GRANTED");
    world.deliver().await;
    assert_eq!(world.cards().await, 2);
    world.assert_books().await;
}

async fn disputed(world: &World) -> (MadeOrder, String) {
    let order = world.order(world.course.subject(0)).await;
    let paid = world.fake.customer_pays(&order.provider);
    world.deliver().await;
    let dispute = world.fake.customer_disputes(&paid.payment_id, 10_000);
    world.deliver().await;
    assert_ne!(world.read(&order).await["disputedAt"], Value::Null);
    let purchase = world.purchase_of(&order).await;
    let refused = world.support.refund(jishu_tests::RefundInput::whole(&purchase)).await;
    assert_eq!(refused.refused_as().0, "ORDER_DISPUTED");
    let mails = "SELECT COUNT(*) FROM outbox WHERE kind = 'order_needs_attention'";
    assert_eq!(world.app.number(mails).await, 1, "support did not get exactly one mail about the dispute");
    (order, dispute)
}

async fn a_dispute_that_is_lost(world: World) {
    let (order, dispute) = disputed(&world).await;
    world.fake.decide_dispute(&dispute, false);
    world.deliver().await;
    let over = world.read(&order).await;
    assert_eq!((&over["status"], &over["statusReason"]), (&json!("REFUNDED"), &json!("CHARGED_BACK")));
    assert_eq!((&over["purchase"]["status"], &over["refunds"]), (&json!("REFUNDED"), &json!([])));
    let live = "SELECT COUNT(*) FROM entitlements WHERE ended_at IS NULL";
    assert_eq!(world.app.number(live).await, 0, "a refunded subject still gives access");
    assert_consistent(&world.app).await;
}

async fn a_dispute_that_is_won(world: World) {
    let (order, dispute) = disputed(&world).await;
    world.fake.decide_dispute(&dispute, true);
    world.deliver().await;
    let over = world.read(&order).await;
    assert_eq!((&over["status"], &over["disputedAt"]), (&json!("GRANTED"), &Value::Null));
    world.assert_books().await;
}

/// Makes a granted order with two open disputes, which are about its whole price together.
async fn with_two_disputes(world: &World) -> (MadeOrder, [String; 2]) {
    let order = world.order(world.course.subject(0)).await;
    let paid = world.fake.customer_pays(&order.provider);
    world.deliver().await;
    let disputes = [4_000, 6_000].map(|amount| world.fake.customer_disputes(&paid.payment_id, amount));
    world.deliver().await;
    (order, disputes)
}

async fn two_disputes_about_one_order(world: World) {
    let (order, disputes) = with_two_disputes(&world).await;
    world.fake.decide_dispute(&disputes[1], true);
    world.deliver().await;
    assert_ne!(world.read(&order).await["disputedAt"], Value::Null, "one dispute is still open");
    world.fake.decide_dispute(&disputes[0], true);
    world.deliver().await;
    let over = world.read(&order).await;
    assert_eq!((&over["status"], &over["disputedAt"]), (&json!("GRANTED"), &Value::Null));
    world.assert_books().await;
}

async fn a_lost_dispute_beside_an_open_one(world: World) {
    let (order, disputes) = with_two_disputes(&world).await;
    let opened_at = world.read(&order).await["disputedAt"].clone();
    world.fake.decide_dispute(&disputes[0], false);
    world.deliver().await;
    let asked = world.wait_for(&order, "NEEDS_ATTENTION").await;
    assert_eq!(asked["disputedAt"], opened_at);
    // The rest of the money must not go back while the bank may take it.
    for resolution in ["GRANT", "REFUND"] {
        let refused = world.resolve(&order, resolution).await;
        assert_eq!(refused["userErrors"][0]["code"], "ORDER_DISPUTED", "{resolution}");
    }
    world.fake.decide_dispute(&disputes[1], false);
    world.deliver().await;
    assert_eq!(world.read(&order).await["disputedAt"], Value::Null);
    assert_eq!(world.resolve(&order, "REFUND").await["order"]["status"], "REFUNDED");
    assert_eq!(world.read(&order).await["refunds"], json!([]), "the bank took all the money");
    assert_consistent(&world.app).await;
}

async fn a_dispute_without_its_order(world: World) {
    disputed(&world).await;
    let lost = "UPDATE payment_events SET order_id = NULL WHERE kind = 'dispute_opened'";
    world.app.execute(lost).await;
    let found = jishu_service::integrity::examine(world.app.connection()).await.expect("examined");
    let [found] = &found[..] else { panic!("{found:?}") };
    assert!(found.to_string().contains("payment_events"), "{found}");
}

async fn a_refund_at_the_console(world: World) {
    let order = world.order(world.course.subject(0)).await;
    let paid = world.fake.customer_pays(&order.provider);
    world.deliver().await;
    world.fake.refund_at_console(&paid.payment_id, 10_000);
    world.deliver().await;
    let over = world.read(&order).await;
    assert_eq!((&over["status"], &over["purchase"]["status"]), (&json!("REFUNDED"), &json!("REFUNDED")));
    assert_eq!(refunds(&over), [("100.00", "SETTLED", "CONSOLE_REFUND")]);
    world.assert_books().await;
}

async fn a_part_refunded_at_the_console(world: World) {
    let order = world.order(world.course.subject(0)).await;
    let paid = world.fake.customer_pays(&order.provider);
    world.deliver().await;
    world.fake.refund_at_console(&paid.payment_id, 4_000);
    world.deliver().await;
    let asked = world.read(&order).await;
    assert_eq!(
        (&asked["status"], &asked["statusReason"]),
        (&json!("NEEDS_ATTENTION"), &json!("CONSOLE_REFUND"))
    );
    assert_eq!(
        asked["purchase"]["status"], "ACTIVE",
        "the purchase has ended although nobody knows which subject was meant"
    );
    let refused = world.support.run_with(
        super::RESOLVE,
        json!({ "input": { "orderId": order.id, "resolution": "GRANT", "reason": " " } }),
    );
    assert_eq!(refused.await.text("/resolveOrder/userErrors/0/code"), "REASON_INVALID");
    assert_eq!(world.resolve(&order, "REFUND").await["userErrors"], json!([]));
    let over = world.wait_for_refunds(&order, "SETTLED").await;
    assert_eq!(over["purchase"]["status"], "REFUNDED");
    let decided = "SELECT COUNT(*) FROM refunds r JOIN audit_events a ON a.actor_id = r.requested_by \
                   JOIN users u ON u.id = r.requested_by WHERE a.action = 'purchase.refunded' AND u.name = 'Sam'";
    assert_eq!(world.app.number(decided).await, 1, "the refund does not name who decided");
    assert_eq!(world.fake.books().kept(), 0);
    assert_eq!(world.resolve(&order, "GRANT").await["userErrors"][0]["code"], "ORDER_NEEDS_NO_ATTENTION");
    world.assert_books().await;
}

async fn reports_before_the_payment_itself(world: World) {
    let order = world.order(world.course.subject(0)).await;
    let paid = world.fake.customer_pays(&order.provider);
    world.fake.refund_at_console(&paid.payment_id, 10_000);
    let mut events = world.fake.webhooks().take();
    events.reverse();
    for event in &events {
        assert_eq!(world.fake.webhooks().send(event).await, Some(200), "{}", event.kind);
    }
    let over = world.wait_for(&order, "REFUNDED").await;
    assert_eq!((&over["purchase"], world.cards().await), (&Value::Null, 0));
    world.assert_books().await;
}
