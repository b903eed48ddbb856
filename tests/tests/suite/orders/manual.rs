//! Orders that are paid in cash or by a transfer.

use std::sync::Arc;

use chrono::TimeDelta;
use jishu_entity::user::Role;
use jishu_service::metrics::ExpositionFormat;
use jishu_tests::{Backend, PurchaseInput, RefundInput, TestApp};
use serde_json::{Value, json};

use super::assert_consistent;

const MARK: &str = "mutation ($input: MarkOrderPaidInput!) { markOrderPaid(input: $input) { outcome
    order { id status purchase { id } refunds { status reason } } userErrors { code path } } }";

/// The second flag makes the services count metrics. The test reads the counts without this address.
const FLAGS: [&str; 2] = ["--payments=manual", "--metrics-listen=127.0.0.1:9464"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_support_confirms_payments() {
    TestApp::run_with(Backend::Sqlite, &FLAGS, support_confirms_payments).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_support_confirms_payments() {
    TestApp::run_with(Backend::Postgres, &FLAGS, support_confirms_payments).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_support_confirms_payments() {
    TestApp::run_with(Backend::MariaDb, &FLAGS, support_confirms_payments).await;
}

async fn support_confirms_payments(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry", "Biology"]).cards(2).create(&app).await;
    let learner = app.staff("Asha", Role::Learner).await;
    let support = app.staff("Sam", Role::Support).await;
    let checkout = async |selection: PurchaseInput| {
        let input = json!({ "input": { "selection": selection.json() } });
        let made = learner.run_with(super::CHECKOUT, input).await;
        assert_eq!(*made.at("/checkout/payment"), Value::Null);
        assert_eq!(made.text("/checkout/order/provider"), "MANUAL");
        made.text("/checkout/order/id").to_owned()
    };
    let order = async |place: usize| checkout(course.subject(place)).await;
    let mark = async |order: &str, reference: &str| {
        let input = json!({ "input": { "orderId": order, "reference": reference } });
        support.run_with(MARK, input).await.at("/markOrderPaid").clone()
    };
    let (first, second) = (order(0).await, order(1).await);
    let input = json!({ "input": { "orderId": first, "reference": "UTR 1" } });
    assert_eq!(learner.fail(MARK, input).await.0, "FORBIDDEN");
    for outcome in ["CREATED", "EXISTING"] {
        let marked = mark(&first, " UTR 1 ").await;
        assert_eq!((&marked["outcome"], &marked["order"]["status"]), (&json!(outcome), &json!("GRANTED")));
    }
    assert_eq!(mark(&second, "UTR 1").await["userErrors"][0]["code"], "PAYMENT_REFERENCE_USED");
    assert_eq!(mark(&second, "").await["userErrors"][0]["code"], "PAYMENT_REFERENCE_INVALID");
    assert_eq!(mark("nothing", "UTR 9").await["userErrors"][0]["code"], "ORDER_NOT_FOUND");

    // The order is paid already, so a second reference is a mistake or a second payment. The server refuses the second
    // reference and records nothing.
    let rows = app.row_counts().await;
    let twice = mark(&first, "UTR 2").await;
    let refused = json!([{ "code": "ORDER_NOT_PENDING", "path": ["input", "orderId"] }]);
    assert_eq!((&twice["order"], &twice["userErrors"]), (&Value::Null, &refused));
    assert_eq!(app.row_counts().await, rows);
    let (third, overlapping) = (order(2).await, checkout(course.several(&[1, 2])).await);
    let (one, other) = tokio::join!(mark(&third, "UTR 4"), mark(&third, "UTR 5"));
    let (created, other) = if one["outcome"] == "CREATED" { (one, other) } else { (other, one) };
    assert_eq!((&created["outcome"], &other["userErrors"]), (&json!("CREATED"), &refused));
    assert_eq!(app.number("SELECT COUNT(*) FROM payment_refunds").await, 0);

    // The refund of a manual order is settled at once, because support gives the money back by hand.
    let marked = mark(&first, "UTR 1").await;
    let purchase = marked["order"]["purchase"]["id"].as_str().expect("a purchase").to_owned();
    let refunded = support.refund(RefundInput::whole(&purchase)).await;
    assert_eq!((refunded.outcome(), &refunded.refund()["status"]), ("CREATED", &json!("SETTLED")));

    // Two orders are marked as paid after they have expired and their buyer is deactivated, so support must decide.
    app.clock.advance(TimeDelta::minutes(30));
    jishu_tests::wait_until("the order expires", async || {
        app.number("SELECT COUNT(*) FROM orders WHERE state = 'expired'").await == 2
    })
    .await;
    app.execute("UPDATE users SET status = 'deactivated' WHERE role = 'learner'").await;
    let asked = mark(&second, "UTR 3").await;
    assert_eq!(asked["order"]["status"], "NEEDS_ATTENTION", "{asked:#}");
    assert_eq!(mark(&overlapping, "UTR 6").await["order"]["status"], "NEEDS_ATTENTION");
    let input = json!({ "orderId": second, "resolution": "REFUND_BY_HAND", "reason": "Given back in cash" });
    let over = support.run_with(super::RESOLVE, json!({ "input": input })).await;
    assert_eq!(over.text("/resolveOrder/order/status"), "REFUNDED");
    // The buyer owns one of the two subjects already, so support grants only the other subject.
    app.execute("UPDATE users SET status = 'active' WHERE role = 'learner'").await;
    let input =
        json!({ "orderId": overlapping, "resolution": "GRANT", "reason": "The account is active again" });
    support.run_with(super::RESOLVE, json!({ "input": input })).await;
    let status = "query ($id: ID!) { node(id: $id) { ... on Order { status statusReason } } }";
    let granted = support.run_with(status, json!({ "id": overlapping })).await;
    assert_eq!(*granted.at("/node"), json!({ "status": "GRANTED", "statusReason": "ALREADY_OWNED" }));

    assert_consistent(&app).await;
    let audited = "SELECT COUNT(*) FROM audit_events a JOIN users u ON u.id = a.actor_id WHERE u.role = 'support' \
                   AND a.action IN ('order.paid', 'order.resolved')";
    assert_eq!(app.number(audited).await, 6);

    let metrics = app.services.metrics.encode(ExpositionFormat::PrometheusText).expect("metrics");
    for (step, orders) in [("opened", 4), ("granted", 2)] {
        let sample = format!("jishu_orders_total{{step=\"{step}\"}} {orders}\n");
        assert!(metrics.contains(&sample), "{sample}{metrics}");
    }
}
