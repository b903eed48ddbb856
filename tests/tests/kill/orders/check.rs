//! Checks that the books of the server and of the provider agree, and that each captured amount is accounted for.

use std::collections::BTreeMap;

use jishu_service::integrity;
use jishu_tests::payments::{FakeRazorpay, RazorpayBooks};
use jishu_tests::{Backend, RULE_VIOLATIONS};
use sea_orm::{ConnectionTrait, DatabaseConnection, QueryResult, Statement};

use crate::world::World;

/// The sums of one order in one currency, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums {
    captured: i64,
    /// The sum of the refunds that are settled or under way.
    refunded: i64,
    charged_back: i64,
}

/// The sums of each order, by the receipt number of the order and by the currency.
type Books = BTreeMap<(String, String), Sums>;

/// An order in the server's database.
struct OrderRow {
    id: i64,
    buyer: i64,
    receipt: String,
    currency: String,
    state: String,
    /// The sum of the prices of the order's subjects that are not refunded.
    value: i64,
}

/// Selects the buyers of paid purchases that no order made. In the storm, each paid purchase must come from an order.
const UNPAID: &str = "SELECT p.user_id FROM purchases p LEFT JOIN orders o ON o.purchase_id = p.id WHERE o.id IS NULL AND p.cost > 0";

/// Violations of the rules of cards. [`RULE_VIOLATIONS`] has the violations of the rules of purchases, refunds and
/// expiry.
const CARDS: [(&str, &str); 2] = [
    (
        "a duplicate card",
        "SELECT purchase_id FROM mock_test_attempts GROUP BY purchase_id, subject_id, test_number HAVING COUNT(*) > 1",
    ),
    (
        "an entitlement with another number of cards than it granted",
        "SELECT e.purchase_id FROM entitlements e LEFT JOIN mock_test_attempts c ON c.purchase_id = e.purchase_id \
         AND c.subject_id = e.subject_id AND c.user_id = e.user_id AND c.test_number BETWEEN 1 AND e.test_cards \
         GROUP BY e.purchase_id, e.subject_id, e.test_cards HAVING COUNT(c.id) <> e.test_cards",
    ),
];

/// Returns all violations of the rules of the tables, of the server's own examination, and of [`wrong_orders`]. No
/// order may be under way meanwhile.
pub(crate) async fn violations(world: &World, fake: &FakeRazorpay) -> Vec<String> {
    let connection = world.connect().await;
    let mut violations = world.broken(&connection, &RULE_VIOLATIONS).await;
    violations.extend(world.broken(&connection, &CARDS).await);
    let found = integrity::examine(&connection).await.expect("the database can be examined");
    violations.extend(found.iter().map(ToString::to_string));
    violations.extend(wrong_orders(world, &connection, fake).await);
    connection.close().await.expect("closing");
    violations
}

/// Returns the violations of [`wrong_orders`] that concern this buyer.
pub(super) async fn violations_of(world: &World, fake: &FakeRazorpay, buyer: i64) -> Vec<String> {
    let connection = world.connect().await;
    let mut violations = wrong_orders(world, &connection, fake).await;
    connection.close().await.expect("closing");
    violations.retain(|violation| violation.contains(&format!(" of buyer {buyer}: ")));
    violations
}

/// Checks each order by the books of the provider and of the server: captured = value that is not refunded + refunds +
/// charged back. Also checks that both books have the same sums, and that each order is in a final state. The provider
/// must have no money for unknown orders, and each paid purchase must come from an order.
async fn wrong_orders(world: &World, connection: &DatabaseConnection, fake: &FakeRazorpay) -> Vec<String> {
    let mut violations = Vec::new();
    let (orders, ours) = (read_orders(world, connection).await, read_events(world, connection).await);
    let mut theirs = fake.read_books(sums_of);
    for order in orders {
        let name = format!("order {} of buyer {}: ", order.id, order.buyer);
        if !matches!(order.state.as_str(), "granted" | "refunded" | "expired" | "cancelled") {
            violations.push(format!("{name}the state {} is not final", order.state));
        }
        // The currencies of the order: its own, and those of its payments in both books.
        let own = (order.receipt.clone(), order.currency.clone());
        let mut currencies: Vec<String> = vec![order.currency.clone()];
        for books in [&ours, &theirs] {
            let others = books.range((order.receipt.clone(), String::new())..);
            let others = others.take_while(|((receipt, _), _)| *receipt == order.receipt);
            currencies.extend(others.map(|((_, currency), _)| currency.clone()));
        }
        currencies.sort();
        currencies.dedup();
        for currency in currencies {
            let key = (order.receipt.clone(), currency);
            let of_us = ours.get(&key).copied().unwrap_or_default();
            let of_them = theirs.remove(&key).unwrap_or_default();
            let value = if key == own { order.value } else { 0 };
            if of_us != of_them {
                violations.push(format!("{name}our books have {of_us:?}, the provider's {of_them:?}"));
            }
            for (whose, sums) in [("our", of_us), ("the provider's", of_them)] {
                if sums.captured != value + sums.refunded + sums.charged_back {
                    violations
                        .push(format!("{name}{whose} books: captured is not {value} + returned: {sums:?}"));
                }
            }
        }
    }
    let unknown =
        theirs.iter().filter(|(_, sums)| **sums != Sums::default()).map(|((receipt, _), _)| receipt);
    violations
        .extend(unknown.map(|receipt| format!("the provider has money for {receipt}, which is no order")));
    let unpaid = world.numbers(connection, UNPAID).await;
    violations.extend(unpaid.iter().map(|buyer| format!("a purchase of buyer {buyer}: no order made it")));
    violations
}

/// Returns the sums of the provider's books.
fn sums_of(books: &RazorpayBooks) -> Books {
    let mut sums = Books::new();
    for order in &books.orders {
        let receipt = order.receipt.clone().unwrap_or_default();
        for payment in books.payments_of(order).filter(|payment| payment.captured) {
            let sum = sums.entry((receipt.clone(), payment.currency.clone())).or_default();
            sum.captured += payment.amount;
            let refunds = books.refunds_of(payment).filter(|refund| refund.status != "failed");
            sum.refunded += refunds.map(|refund| refund.amount).sum::<i64>();
        }
    }
    for dispute in books.disputes.iter().filter(|dispute| dispute.status == "lost") {
        let order = books.order(&books.payment(&dispute.payment_id).order_id);
        let receipt = order.receipt.clone().unwrap_or_default();
        sums.entry((receipt, dispute.currency.clone())).or_default().charged_back += dispute.amount;
    }
    sums
}

/// Returns the SQL for a sum that all databases return as a 64-bit number. The sum of no rows is 0.
fn whole(world: &World, sum: &str) -> String {
    let kind = if world.backend == Backend::MariaDb { "SIGNED" } else { "BIGINT" };
    format!("CAST(COALESCE({sum}, 0) AS {kind})")
}

async fn rows(connection: &DatabaseConnection, sql: String) -> Vec<QueryResult> {
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    connection.query_all_raw(statement).await.expect("the query runs")
}

fn column<T: sea_orm::TryGetable>(row: &QueryResult, place: usize) -> T {
    row.try_get_by_index(place).expect("a value")
}

/// Reads all orders of the server, with the value that is not refunded.
async fn read_orders(world: &World, connection: &DatabaseConnection) -> Vec<OrderRow> {
    let value = whole(world, "SUM(CASE WHEN l.refund_id IS NULL THEN e.price_paid END)");
    let sql = format!(
        "SELECT o.id, o.user_id, o.receipt_number, o.currency, o.state, {value} FROM orders o \
         LEFT JOIN entitlements e ON e.purchase_id = o.purchase_id LEFT JOIN refund_lines l \
         ON l.purchase_id = e.purchase_id AND l.subject_id = e.subject_id \
         GROUP BY o.id, o.user_id, o.receipt_number, o.currency, o.state"
    );
    let rows = rows(connection, sql).await;
    let order = |row: &QueryResult| OrderRow {
        id: column(row, 0),
        buyer: column(row, 1),
        receipt: column(row, 2),
        currency: column(row, 3),
        state: column(row, 4),
        value: column(row, 5),
    };
    rows.iter().map(order).collect()
}

/// Returns the sums of the payment events of all orders.
async fn read_events(world: &World, connection: &DatabaseConnection) -> Books {
    let sum = |plus: &str, minus: &str| {
        let amount = format!(
            "SUM(CASE WHEN p.kind = '{plus}' THEN p.amount WHEN p.kind = '{minus}' THEN -p.amount ELSE 0 END)"
        );
        whole(world, &amount)
    };
    let (captured, refunded) = (sum("captured", "none"), sum("refund_requested", "refund_failed"));
    let charged_back = sum("charged_back", "none");
    let sql = format!(
        "SELECT o.receipt_number, p.currency, {captured}, {refunded}, {charged_back} FROM payment_events p \
         JOIN orders o ON o.id = p.order_id WHERE p.amount IS NOT NULL GROUP BY o.receipt_number, p.currency"
    );
    let rows = rows(connection, sql).await;
    let line = |row: &QueryResult| {
        let sums = Sums { captured: column(row, 2), refunded: column(row, 3), charged_back: column(row, 4) };
        ((column(row, 0), column(row, 1)), sums)
    };
    rows.iter().map(line).collect()
}
