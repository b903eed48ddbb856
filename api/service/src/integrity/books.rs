//! The rules between the rows of purchases, refunds and sittings. No constraint of the database can enforce these
//! rules.

use sea_orm::{ConnectionTrait, DbErr, Statement};

use super::book_rule::BookRule;
use super::orders::ORDER_RULES;
use super::{BadValue, MAX_ROWS_PER_TABLE, columns_of};

const BOOK_RULES: [BookRule; 5] = [
    BookRule {
        table: "purchases",
        column: "tax",
        fault: "not the sum of the taxes of the purchase's subjects",
        broken: "SELECT p.id FROM purchases p JOIN entitlements e ON e.purchase_id = p.id GROUP BY p.id, p.tax \
                 HAVING SUM(e.tax) <> p.tax",
    },
    // The old system stored no refunds, so a refunded purchase without any refund is allowed.
    BookRule {
        table: "purchases",
        column: "status",
        fault: "not the status that follows from the purchase's refunded subjects",
        broken: "SELECT p.id FROM purchases p JOIN entitlements e ON e.purchase_id = p.id LEFT JOIN refund_lines l \
                 ON l.purchase_id = e.purchase_id AND l.subject_id = e.subject_id GROUP BY p.id, p.status HAVING \
                 (p.status = 'refunded' AND COUNT(l.refund_id) BETWEEN 1 AND COUNT(*) - 1) \
                 OR (p.status <> 'refunded' AND COUNT(l.refund_id) = COUNT(*))",
    },
    BookRule {
        table: "refunds",
        column: "amount",
        fault: "not the sum of the amounts of the refund's subjects",
        broken: "SELECT r.id FROM refunds r LEFT JOIN refund_lines l ON l.refund_id = r.id GROUP BY r.id, r.amount \
                 HAVING COALESCE(SUM(l.amount), -1) <> r.amount",
    },
    BookRule {
        table: "refunds",
        column: "purchase_id",
        fault: "the purchase of a refunded subject whose entitlement has not ended, or whose price is not the refunded amount",
        broken: "SELECT DISTINCT l.refund_id FROM refund_lines l JOIN entitlements e ON e.purchase_id = l.purchase_id \
                 AND e.subject_id = l.subject_id WHERE e.ended_at IS NULL OR l.amount <> e.price_paid",
    },
    BookRule {
        table: "test_sessions",
        column: "status",
        fault: "open, although the entitlement to the sitting's card has ended",
        broken: "SELECT s.id FROM test_sessions s JOIN mock_test_attempts c ON c.id = s.mock_test_attempt_id \
                 JOIN entitlements e ON e.purchase_id = c.purchase_id AND e.subject_id = c.subject_id \
                 WHERE s.open_marker = 1 AND e.ended_at IS NOT NULL",
    },
];

/// Finds the rows that break a rule of purchases, refunds, sittings or orders. Returns nothing if the database does not
/// have the tables of refunds yet, and leaves out the rules of orders if it does not have the tables of orders yet.
pub(super) async fn find_broken(connection: &impl ConnectionTrait) -> Result<Vec<BadValue>, DbErr> {
    if columns_of(connection, "refund_lines").await?.is_empty() {
        return Ok(Vec::new());
    }
    let has_orders = !columns_of(connection, "payment_refunds").await?.is_empty();
    let of_orders = ORDER_RULES.into_iter().filter(|_| has_orders);
    let mut found = Vec::new();
    for rule in BOOK_RULES.into_iter().chain(of_orders) {
        let text = format!("{} LIMIT {MAX_ROWS_PER_TABLE}", rule.broken);
        let statement = Statement::from_string(connection.get_database_backend(), text);
        for row in connection.query_all_raw(statement).await? {
            let id: i64 = row.try_get_by_index(0)?;
            found.push(BadValue {
                table: rule.table,
                row: format!("id {id}"),
                column: rule.column.to_owned(),
                value: rule.fault.to_owned(),
            });
        }
    }
    Ok(found)
}
