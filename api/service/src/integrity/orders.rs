//! The rules between orders, their money, and the purchases that they made.

use super::book_rule::BookRule;

/// The captured money of an order that is neither on its way back nor charged back.
macro_rules! held {
    () => {
        "COALESCE((SELECT SUM(CASE e.kind WHEN 'captured' THEN e.amount WHEN 'written_off' THEN e.amount \
         WHEN 'refund_failed' THEN e.amount WHEN 'refund_requested' THEN -e.amount WHEN 'charged_back' \
         THEN -e.amount ELSE 0 END) FROM payment_events e WHERE e.order_id = o.id), 0)"
    };
}

/// The value of the purchase of an order that was not refunded.
macro_rules! value {
    () => {
        "(COALESCE((SELECT p.cost FROM purchases p WHERE p.id = o.purchase_id), 0) - COALESCE((SELECT SUM(r.amount) \
         FROM refunds r WHERE r.purchase_id = o.purchase_id), 0))"
    };
}

pub(super) const ORDER_RULES: [BookRule; 5] = [
    // Staff must decide about an order that needs attention, so it is left out.
    BookRule {
        table: "orders",
        column: "amount",
        fault: "different from the captured money, or from the value that was granted, given back or charged back",
        broken: concat!(
            "SELECT o.id FROM orders o WHERE o.state <> 'needs_attention' AND ",
            held!(),
            " <> CASE WHEN o.state = 'paid' THEN o.amount ELSE ",
            value!(),
            " END"
        ),
    },
    BookRule {
        table: "orders",
        column: "purchase_id",
        fault: "that of a purchase for which not enough money was captured",
        broken: "SELECT o.id FROM orders o JOIN purchases p ON p.id = o.purchase_id WHERE p.cost > COALESCE((SELECT \
                 SUM(e.amount) FROM payment_events e WHERE e.order_id = o.id AND e.kind = 'captured'), 0)",
    },
    BookRule {
        table: "orders",
        column: "due_at",
        fault: "empty, although the order waits for something",
        broken: "SELECT o.id FROM orders o WHERE o.due_at IS NULL AND (o.state IN ('pending', 'paid') OR EXISTS \
                 (SELECT 1 FROM payment_refunds r WHERE r.order_id = o.id AND r.status = 'requested'))",
    },
    BookRule {
        table: "orders",
        column: "state",
        fault: "refunding, and no refund is under way",
        broken: "SELECT o.id FROM orders o WHERE o.state = 'refunding' AND NOT EXISTS (SELECT 1 FROM payment_refunds r \
                 WHERE r.order_id = o.id AND r.status = 'requested')",
    },
    BookRule {
        table: "orders",
        column: "id",
        fault: "that of refunds whose amounts are not those of the payment events",
        broken: "SELECT o.id FROM orders o WHERE COALESCE((SELECT SUM(CASE e.kind WHEN 'refund_requested' THEN e.amount \
                 WHEN 'refund_failed' THEN -e.amount ELSE 0 END) FROM payment_events e WHERE e.order_id = o.id), 0) <> \
                 COALESCE((SELECT SUM(r.amount) FROM payment_refunds r WHERE r.order_id = o.id AND r.status IN \
                 ('requested', 'settled')), 0)",
    },
];
