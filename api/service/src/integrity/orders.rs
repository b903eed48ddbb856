//! The rules between orders, their payment events, their payment refunds, and their purchases.

use super::book_rule::BookRule;

/// The SQL for the money of the order `o` that the shop holds: the captured money, minus requested refunds and
/// chargebacks, plus refunds that failed.
macro_rules! held {
    () => {
        "COALESCE((SELECT SUM(CASE e.kind WHEN 'captured' THEN e.amount WHEN 'refund_failed' THEN e.amount \
         WHEN 'refund_requested' THEN -e.amount WHEN 'charged_back' THEN -e.amount ELSE 0 END) \
         FROM payment_events e WHERE e.order_id = o.id), 0)"
    };
}

/// The SQL for the missing money of the order `o` that support has accepted as lost.
macro_rules! written_off {
    () => {
        "COALESCE((SELECT SUM(w.amount) FROM payment_events w WHERE w.order_id = o.id AND w.kind = 'written_off'), 0)"
    };
}

/// The SQL for the cost of the purchase of the order `o`, minus the refunds of that purchase. 0 without a purchase.
macro_rules! value {
    () => {
        "(COALESCE((SELECT p.cost FROM purchases p WHERE p.id = o.purchase_id), 0) - COALESCE((SELECT SUM(r.amount) \
         FROM refunds r WHERE r.purchase_id = o.purchase_id), 0))"
    };
}

/// The SQL for the money of the order `o` that the shop should hold: the amount of the order if it is paid and not yet
/// granted, and otherwise the value of its purchase.
macro_rules! expected {
    () => {
        concat!("CASE WHEN o.state = 'paid' THEN o.amount ELSE ", value!(), " END")
    };
}

pub(super) const ORDER_RULES: [BookRule; 6] = [
    // An order that needs attention is left out, because its money may differ until staff has decided.
    BookRule {
        table: "orders",
        column: "amount",
        fault: "not matched by payments: in the state `paid`, the shop must hold this amount; in other states, the \
                shop must hold the cost of the order's purchase minus its refunds, or nothing if there is no \
                purchase; less than this only by an amount that was written off",
        broken: concat!(
            "SELECT o.id FROM orders o WHERE o.state <> 'needs_attention' AND (",
            held!(),
            " > ",
            expected!(),
            " OR ",
            held!(),
            " + ",
            written_off!(),
            " < ",
            expected!(),
            ")"
        ),
    },
    BookRule {
        table: "orders",
        column: "purchase_id",
        fault: "a purchase for which the order did not get enough money",
        broken: "SELECT o.id FROM orders o JOIN purchases p ON p.id = o.purchase_id WHERE p.cost > COALESCE((SELECT \
                 SUM(e.amount) FROM payment_events e WHERE e.order_id = o.id AND e.kind = 'captured'), 0)",
    },
    BookRule {
        table: "orders",
        column: "due_at",
        fault: "empty, although the order waits for a payment, its grant or a refund",
        broken: "SELECT o.id FROM orders o WHERE o.due_at IS NULL AND (o.state IN ('pending', 'paid') OR EXISTS \
                 (SELECT 1 FROM payment_refunds r WHERE r.order_id = o.id AND r.status = 'requested'))",
    },
    BookRule {
        table: "orders",
        column: "state",
        fault: "refunding, although no refund is under way",
        broken: "SELECT o.id FROM orders o WHERE o.state = 'refunding' AND NOT EXISTS (SELECT 1 FROM payment_refunds r \
                 WHERE r.order_id = o.id AND r.status = 'requested')",
    },
    BookRule {
        table: "orders",
        column: "id",
        fault: "the order whose payment refunds have another sum than the refunds among its payment events",
        broken: "SELECT o.id FROM orders o WHERE COALESCE((SELECT SUM(CASE e.kind WHEN 'refund_requested' THEN e.amount \
                 WHEN 'refund_failed' THEN -e.amount ELSE 0 END) FROM payment_events e WHERE e.order_id = o.id), 0) <> \
                 COALESCE((SELECT SUM(r.amount) FROM payment_refunds r WHERE r.order_id = o.id AND r.status IN \
                 ('requested', 'settled')), 0)",
    },
    BookRule {
        table: "payment_events",
        column: "order_id",
        fault: "empty in a report about a dispute, although an order has the payment and not this report",
        broken: "SELECT u.id FROM payment_events u JOIN payment_events c ON c.provider = u.provider AND c.payment = \
                 u.payment AND c.kind = 'captured' AND c.order_id IS NOT NULL WHERE u.order_id IS NULL AND u.kind IN \
                 ('dispute_opened', 'dispute_won', 'dispute_closed', 'charged_back') AND NOT EXISTS (SELECT 1 FROM \
                 payment_events e WHERE e.order_id = c.order_id AND e.kind = u.kind AND e.object = u.object)",
    },
];
