//! Orders from the checkout to the cards of the purchase. Also checks repeated, free, unpaid and cancelled orders,
//! failures of the provider, webhooks that are refused, and who sees an order.

use chrono::TimeDelta;
use jishu_entity::order;
use jishu_tests::payments::{Fault, UnsentWebhook};
use jishu_tests::{Client, PURCHASE, wait_until};
use sea_orm::EntityTrait;
use serde_json::{Value, json};

use super::{CANCEL, CONFIRM, World, in_a_world};

in_a_world!(
    a_paid_order_is_granted_once_and_reported,
    a_checkout_is_repeated_by_its_key,
    the_return_of_the_buyer_grants_and_a_wrong_signature_does_not,
    what_costs_something_must_be_paid_and_what_is_free_is_granted,
    an_order_that_nobody_pays_expires_or_is_cancelled,
    a_payment_without_a_webhook_is_found_by_the_reconciler,
    a_checkout_that_lost_its_provider_goes_on,
    an_order_that_the_provider_does_not_make_is_checked_after_pauses,
    webhooks_that_do_not_verify_are_refused_and_foreign_ones_are_reported,
    orders_are_seen_by_their_buyers_and_by_support,
);

const KEY: &str = "6f1c2a58-2222-4d6e-9a4e-000000000001";

async fn a_paid_order_is_granted_once_and_reported(world: World) {
    let mut socket = world.app.socket_of(world.learner.token()).await;
    socket.subscribe("orders", "subscription { orderChanged { id status purchase { id } } }").await;
    world.app.watched_by(1).await;
    let order = world.order(world.course.several(&[0, 1])).await;
    assert_eq!(world.cards().await, 0);
    world.fake.customer_pays(&order.provider);
    let events = world.fake.webhooks().take();
    for _ in 0..3 {
        for event in &events {
            assert_eq!(world.fake.webhooks().send(event).await, Some(200));
        }
    }
    let granted = world.read(&order).await;
    assert_eq!((&granted["status"], &granted["statusReason"]), (&json!("GRANTED"), &Value::Null));
    assert_eq!(granted["purchase"]["cost"]["amount"], "200.00");
    assert_eq!(world.cards().await, 4);
    loop {
        let told = socket.hear().await["payload"]["data"]["orderChanged"].clone();
        if told["status"] == "GRANTED" {
            assert_eq!(told["id"], json!(order.id));
            assert_ne!(
                told["purchase"],
                Value::Null,
                "the event has no purchase, so the page cannot show the cards"
            );
            break;
        }
    }
    let trail = "SELECT COUNT(*) FROM audit_events WHERE target_type = 'orders'";
    assert_eq!(
        world.app.number(trail).await,
        3,
        "the audit trail does not have the three events of the order: created, paid and granted"
    );
    world.assert_books().await;
}

async fn a_checkout_is_repeated_by_its_key(world: World) {
    let input = world.course.subject(0).key(KEY).cost("100.00");
    let first = world.checkout_as(&world.learner, &input).await;
    assert_eq!(first["payment"]["amount"], json!({ "amount": "100.00", "currency": "INR" }));
    let again = world.checkout_as(&world.learner, &input).await;
    assert_eq!((&first["outcome"], &again["outcome"]), (&json!("CREATED"), &json!("EXISTING")));
    assert_eq!((&again["order"], &again["payment"]), (&first["order"], &first["payment"]));
    assert_eq!(world.fake.books().orders.len(), 1);
    let reused = world.checkout_as(&world.learner, &world.course.subject(1).key(KEY)).await;
    assert_eq!(reused["userErrors"][0]["code"], "IDEMPOTENCY_KEY_REUSED");
    let changed = world.checkout_as(&world.learner, &world.course.subject(0).cost("1.00")).await;
    assert_eq!(changed["userErrors"][0]["code"], "PRICE_CHANGED");
    let rows = "SELECT COUNT(*) FROM orders";
    assert_eq!(world.app.number(rows).await, 1);
}

async fn confirm(client: &Client, input: Value) -> Value {
    client.run_with(CONFIRM, json!({ "input": input })).await.at("/confirmPayment").clone()
}

async fn the_return_of_the_buyer_grants_and_a_wrong_signature_does_not(world: World) {
    let order = world.order(world.course.subject(0)).await;
    let paid = world.fake.customer_pays(&order.provider);
    let input = |signature: &str| json!({ "orderId": order.id, "paymentId": paid.payment_id, "signature": signature });
    let forged = confirm(&world.learner, input(&"0".repeat(64))).await;
    assert_eq!(forged["userErrors"][0]["code"], "PAYMENT_NOT_VERIFIED");
    let ben = world.app.learner("Ben").await;
    let foreign = confirm(&ben, input(&paid.signature)).await;
    assert_eq!(foreign["userErrors"][0]["code"], "ORDER_NOT_FOUND");
    assert_eq!(world.read(&order).await["status"], "PENDING");
    for _ in 0..2 {
        let confirmed = confirm(&world.learner, input(&paid.signature)).await;
        assert_eq!(confirmed, json!({ "order": { "status": "GRANTED" }, "userErrors": [] }));
    }
    world.deliver().await;
    assert_eq!(world.cards().await, 2);
    world.assert_books().await;
}

async fn what_costs_something_must_be_paid_and_what_is_free_is_granted(world: World) {
    let refused = world.learner.buy(world.course.subject(0)).await;
    assert_eq!(refused.refused_as().0, "PAYMENT_REQUIRED");
    assert!(refused.refusal().message.contains("`checkout`"));
    world.app.execute("UPDATE subjects SET list_price = 0").await;
    let free = world.checkout_as(&world.learner, &world.course.subject(0)).await;
    assert_eq!((&free["order"]["status"], &free["order"]["provider"]), (&json!("GRANTED"), &json!("FREE")));
    assert_eq!(free["payment"], Value::Null);
    let owned = world.checkout_as(&world.learner, &world.course.subject(0)).await;
    assert_eq!((&owned["outcome"], &owned["order"]), (&json!("OWNED"), &Value::Null));
    assert_eq!(owned["owned"]["id"], free["order"]["purchase"]["id"]);
    // A free subject can also be bought with `purchase`, without an order.
    assert_eq!(world.learner.buy(world.course.subject(1)).await.outcome(), ("CREATED", 2, 2));
    assert_eq!(world.fake.requests().len(), 0);
    world.assert_books().await;
}

async fn an_order_that_nobody_pays_expires_or_is_cancelled(world: World) {
    let (late, cancelled) =
        (world.order(world.course.subject(0)).await, world.order(world.course.subject(1)).await);
    for _ in 0..2 {
        let answer = world.learner.run_with(CANCEL, json!({ "id": cancelled.id })).await;
        assert_eq!(
            *answer.at("/cancelOrder"),
            json!({ "order": { "status": "CANCELLED" }, "userErrors": [] })
        );
    }
    world.app.clock.advance(TimeDelta::minutes(30));
    world.wait_for(&late, "EXPIRED").await;
    let refused = world.learner.run_with(CANCEL, json!({ "id": late.id })).await;
    assert_eq!(refused.text("/cancelOrder/userErrors/0/code"), "ORDER_NOT_PENDING");
    assert_eq!(world.cards().await, 0);
    world.assert_books().await;
}

async fn a_payment_without_a_webhook_is_found_by_the_reconciler(world: World) {
    let order = world.order(world.course.subject(0)).await;
    world.fake.customer_pays(&order.provider);
    assert!(!world.fake.webhooks().take().is_empty(), "the provider has queued no webhook to lose");
    world.app.clock.advance(TimeDelta::minutes(1));
    world.wait_for(&order, "GRANTED").await;
    world.assert_books().await;
}

async fn a_checkout_that_lost_its_provider_goes_on(world: World) {
    let input = world.course.subject(0).key(KEY);
    // The provider makes the order, but its response is lost.
    world.fake.faults().times(1, "POST", "/orders", Fault::LoseResponse);
    let refused = world.checkout_as(&world.learner, &input).await;
    assert_eq!(refused["userErrors"][0]["code"], "PAYMENT_PROVIDER_UNAVAILABLE");
    let again = world.checkout_as(&world.learner, &input).await;
    assert_eq!(again["outcome"], "EXISTING");
    assert_eq!(
        world.fake.books().orders.len(),
        1,
        "the provider does not have exactly one order, so the second checkout did not find it by its receipt"
    );
    assert_eq!(again["payment"]["providerOrderId"], json!(world.fake.books().orders[0].id));

    // The provider closes the connection before it makes the order. Later, the reconciler makes the order at the
    // provider.
    let other = world.course.subject(1).key("6f1c2a58-2222-4d6e-9a4e-000000000002");
    world.fake.faults().times(1, "POST", "/orders", Fault::CloseBeforeWork);
    let refused = world.checkout_as(&world.learner, &other).await;
    assert_eq!(refused["userErrors"][0]["code"], "PAYMENT_PROVIDER_UNAVAILABLE");
    wait_until("an order at the provider", async || world.fake.books().orders.len() == 2).await;
    assert_eq!(world.checkout_as(&world.learner, &other).await["userErrors"], json!([]));
    assert_eq!(world.fake.books().orders.len(), 2);
}

async fn an_order_that_the_provider_does_not_make_is_checked_after_pauses(world: World) {
    let input = world.course.subject(0).key(KEY);
    // The checkout and the first two checks of the reconciler fail.
    world.fake.faults().times(3, "POST", "/orders", Fault::CloseBeforeWork);
    let refused = world.checkout_as(&world.learner, &input).await;
    assert_eq!(refused["userErrors"][0]["code"], "PAYMENT_PROVIDER_UNAVAILABLE");
    let second_check_at = Some(world.app.services.clock.now() + TimeDelta::seconds(30));
    wait_until("a pause before the second check", async || {
        let order = order::Entity::find().one(world.app.connection()).await.expect("the query runs");
        let order = order.expect("an order");
        order.checks == 1 && order.due_at == second_check_at
    })
    .await;
    assert_eq!(world.fake.faults().planned(), 1);
    world.app.clock.advance(TimeDelta::seconds(30));
    wait_until("the second check", async || world.fake.faults().planned() == 0).await;

    // A buyer who sends the checkout again does not have to wait for the reconciler's third check.
    let again = world.checkout_as(&world.learner, &input).await;
    assert_eq!((&again["outcome"], &again["userErrors"]), (&json!("EXISTING"), &json!([])));
    assert_eq!(world.fake.books().orders.len(), 1);
}

async fn webhooks_that_do_not_verify_are_refused_and_foreign_ones_are_reported(world: World) {
    let order = world.order(world.course.subject(0)).await;
    world.fake.customer_pays(&order.provider);
    let events = world.fake.webhooks().take();
    let captured = events.iter().find(|event| event.kind == "payment.captured").expect("an event");
    let post = async |path: &str, event: &UnsentWebhook, signature: Option<&str>| {
        let request = world.app.http().post(world.app.url(path)).body(event.body.clone());
        let request = match signature {
            Some(signature) => request.header("x-razorpay-signature", signature),
            None => request,
        };
        request.send().await.expect("a response").status().as_u16()
    };
    let path = "/webhooks/payments/razorpay";
    assert_eq!(post(path, captured, None).await, 401);
    assert_eq!(post(path, captured, Some(&"0".repeat(64))).await, 401);
    assert_eq!(post("/webhooks/payments/stripe", captured, None).await, 404);
    assert_eq!(post("/webhooks/payments/other", captured, None).await, 404);
    let huge = UnsentWebhook { body: vec![b'x'; 300 * 1024], ..captured.clone() };
    assert_eq!(post(path, &huge, None).await, 413);
    assert_eq!(world.read(&order).await["status"], "PENDING");

    let foreign = world.forged(captured, |body| {
        body["payload"]["payment"]["entity"]["order_id"] = json!("order_OfAnotherSystem");
        body["payload"]["payment"]["entity"]["id"] = json!("pay_OfAnotherSystem");
    });
    for _ in 0..2 {
        assert_eq!(world.fake.webhooks().send(&foreign).await, Some(200));
    }
    let stored =
        "SELECT COUNT(*) FROM payment_events WHERE order_id IS NULL AND payment = 'pay_OfAnotherSystem'";
    assert_eq!(world.app.number(stored).await, 1);
    let told = "SELECT COUNT(*) FROM audit_events WHERE action = 'payment.unmatched'";
    assert_eq!(world.app.number(told).await, 1);
    assert_eq!(world.cards().await, 0);
}

async fn orders_are_seen_by_their_buyers_and_by_support(world: World) {
    let order = world.order(world.course.subject(0)).await;
    let mine = "{ viewer { orders { totalCount edges { node { id } } } } }";
    let answer = world.learner.run(mine).await;
    assert_eq!(answer.text("/viewer/orders/edges/0/node/id"), order.id);
    assert_eq!(answer.number("/viewer/orders/totalCount"), 1);
    let ben = world.app.learner("Ben").await;
    assert_eq!(ben.run(mine).await.number("/viewer/orders/totalCount"), 0);
    let node = "query ($id: ID!) { node(id: $id) { id } }";
    assert_eq!(*ben.run_with(node, json!({ "id": order.id })).await.at("/node"), Value::Null);
    let all = "query ($status: OrderStatus) { orders(status: $status) { totalCount edges { node { id
        paymentEvents { kind } user { email } } } } }";
    let pending = world.support.run_with(all, json!({ "status": "PENDING" })).await;
    assert_eq!(pending.number("/orders/totalCount"), 1);
    let attention = world.support.run_with(all, json!({ "status": "NEEDS_ATTENTION" })).await;
    assert_eq!(attention.number("/orders/totalCount"), 0);
    assert_eq!(ben.fail(all, Value::Null).await.0, "FORBIDDEN");
    let events = "query ($id: ID!) { node(id: $id) { ... on Order { paymentEvents { kind } } } }";
    assert_eq!(world.learner.fail(events, json!({ "id": order.id })).await.0, "FORBIDDEN");
    // A client that is not signed in can neither check out nor buy.
    let input = json!({ "input": { "selection": world.course.subject(0).json() } });
    assert_eq!(world.app.anonymous().fail(super::CHECKOUT, input).await.0, "UNAUTHENTICATED");
    let purchase = json!({ "input": world.course.subject(0).json() });
    assert_eq!(world.app.anonymous().fail(PURCHASE, purchase).await.0, "UNAUTHENTICATED");
}
