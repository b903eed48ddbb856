//! The conditions that the books of the server and of the provider must meet.

use std::collections::BTreeMap;

use jishu_service::integrity;
use jishu_tests::payments::{FakeRazorpay, RazorpayBooks};
use jishu_tests::{BOOKS, Backend};
use sea_orm::{ConnectionTrait, DatabaseConnection, QueryResult, Statement};

use crate::world::World;

/// Money of one order in one currency, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums {
    captured: i64,
    /// Refunds that are settled or under way.
    refunded: i64,
    charged_back: i64,
}

/// The sums of each order, by the number of its receipt and by the currency.
type Books = BTreeMap<(String, String), Sums>;

/// An order of the server.
struct OrderRow {
    id: i64,
    buyer: i64,
    receipt: String,
    currency: String,
    state: String,
    /// The cost of its purchase, without the refunded amount.
    value: i64,
}

/// Purchases that no order made. Nothing is free in the storm.
const UNPAID: &str = "SELECT p.user_id FROM purchases p LEFT JOIN orders o ON o.purchase_id = p.id WHERE o.id IS NULL AND p.cost > 0";

/// Rules of the cards. [`BOOKS`] has those of purchases and refunds.
const CARDS: [(&str, &str); 2] = [
    (
        "a duplicate card",
        "SELECT purchase_id FROM mock_test_attempts GROUP BY purchase_id, subject_id, test_number HAVING COUNT(*) > 1",
    ),
    (
        "an entitlement without exactly its cards",
        "SELECT e.purchase_id FROM entitlements e LEFT JOIN mock_test_attempts c ON c.purchase_id = e.purchase_id \
         AND c.subject_id = e.subject_id AND c.user_id = e.user_id AND c.test_number BETWEEN 1 AND e.test_cards \
         GROUP BY e.purchase_id, e.subject_id, e.test_cards HAVING COUNT(c.id) <> e.test_cards",
    ),
];

/// Returns all violations: of the rules of the tables, and of the promise for each order. No order may be under way.
pub(crate) async fn wrong(world: &World, fake: &FakeRazorpay) -> Vec<String> {
    let connection = world.connect().await;
    let mut wrong = world.broken(&connection, &BOOKS).await;
    wrong.extend(world.broken(&connection, &CARDS).await);
    let found = integrity::examine(&connection).await.expect("the database can be examined");
    wrong.extend(found.iter().map(ToString::to_string));
    wrong.extend(wrong_orders(world, &connection, fake).await);
    connection.close().await.expect("closing");
    wrong
}

/// Returns the violations of the promise that concern a buyer.
pub(super) async fn wrong_of(world: &World, fake: &FakeRazorpay, buyer: i64) -> Vec<String> {
    let connection = world.connect().await;
    let mut wrong = wrong_orders(world, &connection, fake).await;
    connection.close().await.expect("closing");
    wrong.retain(|wrong| wrong.contains(&format!(" of buyer {buyer}: ")));
    wrong
}

/// Compares, for each order, what the provider captured with what became of it, from the provider's own books and from ours:
/// captured = value that is not refunded + refunds + charged back.
async fn wrong_orders(world: &World, connection: &DatabaseConnection, fake: &FakeRazorpay) -> Vec<String> {
    let mut wrong = Vec::new();
    let (orders, ours) = (read_orders(world, connection).await, read_events(world, connection).await);
    let mut theirs = fake.read_books(sums_of);
    for order in orders {
        let name = format!("order {} of buyer {}: ", order.id, order.buyer);
        if !matches!(order.state.as_str(), "granted" | "refunded" | "expired" | "cancelled") {
            wrong.push(format!("{name}it is between states: {}", order.state));
        }
        // Most have only money in their own currency.
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
                wrong.push(format!("{name}we have {of_us:?}, and the provider {of_them:?}"));
            }
            for (whose, sums) in [("ours", of_us), ("the provider's", of_them)] {
                if sums.captured != value + sums.refunded + sums.charged_back {
                    wrong.push(format!("{name}{value} is granted, and the money is not ({whose}): {sums:?}"));
                }
            }
        }
    }
    let unknown =
        theirs.iter().filter(|(_, sums)| **sums != Sums::default()).map(|((receipt, _), _)| receipt);
    wrong.extend(unknown.map(|receipt| format!("the provider has money for {receipt}, which is not ours")));
    let unpaid = world.numbers(connection, UNPAID).await;
    wrong.extend(unpaid.iter().map(|buyer| format!("a purchase of buyer {buyer}: no order made it")));
    wrong
}

/// Sums the books of the provider.
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

/// Writes a sum that all databases return as a 64-bit number.
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

/// Reads all orders, with the value of their purchases.
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

/// Sums the payment events of all orders.
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
