//! Orders of users whose accounts are deleted: late money still goes back, and no text names the user.

use std::sync::Arc;

use jishu_entity::user::Role;
use jishu_service::integrity;
use jishu_tests::{Backend, RefundInput, TestApp, global_id};
use serde_json::{Value, json};

use super::export::missing;
use super::newer_columns::ORDERS;
use super::{MARK, PASSWORD, delete, export_of, mentions, register, send};
use crate::orders::{CHECKOUT, RESOLVE, World, in_a_world};

const MARK_PAID: &str = "mutation ($input: MarkOrderPaidInput!) { markOrderPaid(input: $input) {
    order { status } userErrors { code path } } }";

in_a_world!(money_of_deleted_buyers_goes_back);

async fn money_of_deleted_buyers_goes_back(world: World) {
    let admin = world.app.staff("Ada", Role::Admin).await;
    let learner = register(&world.app, &format!("{MARK}@example.com"), 1990).await;
    let id = learner.run("{ viewer { id } }").await.text("/viewer/id").to_owned();
    let granted = world.order_of(&learner, world.course.subject(0)).await;
    world.fake.customer_pays(&granted.provider);
    world.deliver().await;
    world.wait_for(&granted, "GRANTED").await;
    let purchase = learner.run("{ viewer { purchases { edges { node { id } } } } }").await;
    let purchase = purchase.text("/viewer/purchases/edges/0/node/id").to_owned();
    let open = world.order_of(&learner, world.course.subject(1)).await;

    // The account is deleted while the refund may still be on its way to the provider.
    world.support.refund(RefundInput::whole(&purchase)).await;
    let gone = send(&admin, "deleteUser", &format!("(userId: \"{id}\")"), "deleted").await;
    assert_eq!(gone, json!({ "deleted": true, "userErrors": [] }));
    world.wait_for_refunds(&granted, "SETTLED").await;
    world.wait_for(&granted, "REFUNDED").await;

    // The payment form was still open, so the payment arrives after the deletion of the account.
    let cards = world.cards().await;
    world.fake.customer_pays(&open.provider);
    world.deliver().await;
    let refunded = world.wait_for_refunds(&open, "SETTLED").await;
    assert_eq!(refunded["refunds"][0]["reason"], "BUYER_INACTIVE", "{refunded:#}");
    world.wait_for(&open, "REFUNDED").await;
    assert_eq!(world.cards().await, cards);
    world.assert_books().await;
    // No mail reports the refund, because a deleted account has no address.
    assert_eq!(world.app.number("SELECT COUNT(*) FROM outbox WHERE kind = 'payment_returned'").await, 0);
    assert_eq!(mentions(&world.app, MARK).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_texts_about_orders_go() {
    TestApp::run_with(Backend::Sqlite, &["--payments=manual"], texts_about_orders_go).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_texts_about_orders_go() {
    TestApp::run_with(Backend::Postgres, &["--payments=manual"], texts_about_orders_go).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_texts_about_orders_go() {
    TestApp::run_with(Backend::MariaDb, &["--payments=manual"], texts_about_orders_go).await;
}

async fn texts_about_orders_go(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry", "Biology"]).cards(2).create(&app).await;
    let learner = register(&app, "leaver@example.com", 1990).await;
    let support = app.staff("Sam", Role::Support).await;
    let mut orders = Vec::new();
    for place in 0..3 {
        let input = json!({ "input": { "selection": course.subject(place).json() } });
        let made = learner.run_with(CHECKOUT, input).await;
        orders.push(made.text("/checkout/order/id").to_owned());
    }
    let mark = async |order: &str, reference: &str| {
        let input = json!({ "input": { "orderId": order, "reference": reference } });
        let marked = support.run_with(MARK_PAID, input).await.at("/markOrderPaid").clone();
        assert_eq!(marked["userErrors"], json!([]), "{marked}");
        marked["order"]["status"].clone()
    };
    let resolve = async |order: &str, reason: &str| {
        let input = json!({ "orderId": order, "resolution": "REFUND_BY_HAND", "reason": reason });
        let resolved = support.run_with(RESOLVE, json!({ "input": input })).await;
        assert_eq!(resolved.text("/resolveOrder/order/status"), "REFUNDED");
    };
    // The second order is paid while the account is deactivated.
    assert_eq!(mark(&orders[0], &format!("From {MARK}")).await, "GRANTED");
    let set_status = async |status: &str| {
        app.execute(&format!("UPDATE users SET status = '{status}' WHERE email = 'leaver@example.com'"))
            .await;
    };
    set_status("deactivated").await;
    assert_eq!(mark(&orders[1], &format!("{MARK}, cash")).await, "NEEDS_ATTENTION");
    resolve(&orders[1], &format!("{MARK} was here")).await;
    set_status("active").await;
    let (status, text) = export_of(&app, learner.token()).await;
    assert_eq!(status, 200, "{text}");
    let export: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(missing(&export, ORDERS), Vec::<&str>::new(), "{export:#}");
    assert_eq!(export["orders"][0]["paymentReference"], format!("From {MARK}"));
    assert_eq!(export["orders"][0]["decisions"], json!([]));
    let decision = &export["orders"][1]["decisions"][0];
    assert_eq!(decision["resolution"], "RefundByHand", "{export:#}");
    assert_eq!(decision["reason"], format!("{MARK} was here"));
    // `MARK` is now in rows of several tables, because the references and the reason of support contain it.
    assert!(mentions(&app, MARK).await.len() >= 8);

    let deleted = delete(&learner, PASSWORD).await;
    assert_eq!(*deleted.at("/deleteAccount"), json!({ "deleted": true, "userErrors": [] }));
    assert_eq!(mentions(&app, MARK).await, Vec::<String>::new());
    let kept = "SELECT COUNT(*) FROM audit_events WHERE action = 'order.resolved' AND state_after LIKE '%Erased with%'";
    assert_eq!(app.number(kept).await, 1);
    let linked = "SELECT COUNT(*) FROM orders o JOIN payment_events e ON e.order_id = o.id AND e.payment = \
                  o.payment_reference AND e.fact LIKE 'captured:erased:%' WHERE e.kind = 'captured'";
    assert_eq!(app.number(linked).await, 2, "an order is no longer linked to its payment event");

    // A payment after the deletion must go back by hand. The granted purchase can still be refunded.
    assert_eq!(mark(&orders[2], "UTR 9").await, "NEEDS_ATTENTION");
    resolve(&orders[2], "Given back in cash").await;
    let purchase = export["purchases"][0]["id"].as_i64().expect("a number");
    let refunded = support.refund(RefundInput::whole(&global_id("Purchase", purchase))).await;
    assert_eq!((refunded.outcome(), &refunded.refund()["status"]), ("CREATED", &json!("SETTLED")));
    let found = integrity::examine(app.connection()).await.expect("the database can be examined");
    assert!(found.is_empty(), "{found:?}");
}
