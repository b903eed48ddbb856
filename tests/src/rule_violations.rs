//! The violations of the rules of purchases, refunds and expiry. After any requests, the tables must contain no
//! violation.

/// Violations of the rules, each with a query that finds a row for each violation. The queries run on all three
/// databases.
pub const RULE_VIOLATIONS: [(&str, &str); 9] = [
    (
        "a subject owned twice",
        "SELECT user_id FROM entitlements WHERE ended_at IS NULL GROUP BY user_id, subject_id HAVING COUNT(*) > 1",
    ),
    (
        "a purchase with a cost that is not the sum of its subjects' prices",
        "SELECT p.id FROM purchases p JOIN entitlements e ON e.purchase_id = p.id GROUP BY p.id, p.cost \
         HAVING SUM(e.price_paid) <> p.cost",
    ),
    (
        "a purchase with a tax that is not the sum of its subjects' taxes",
        "SELECT p.id FROM purchases p JOIN entitlements e ON e.purchase_id = p.id GROUP BY p.id, p.tax \
         HAVING SUM(e.tax) <> p.tax",
    ),
    (
        "a purchase with a cost that is not the prices of its kept subjects plus its refunds",
        "SELECT p.id FROM purchases p JOIN entitlements e ON e.purchase_id = p.id LEFT JOIN refund_lines l \
         ON l.purchase_id = e.purchase_id AND l.subject_id = e.subject_id GROUP BY p.id, p.cost \
         HAVING p.cost <> SUM(CASE WHEN l.refund_id IS NULL THEN e.price_paid ELSE 0 END) + \
         COALESCE((SELECT SUM(r.amount) FROM refunds r WHERE r.purchase_id = p.id), 0)",
    ),
    (
        "a refund with an amount that is not the sum of its subjects' amounts",
        "SELECT r.id FROM refunds r LEFT JOIN refund_lines l ON l.refund_id = r.id GROUP BY r.id, r.amount \
         HAVING COALESCE(SUM(l.amount), -1) <> r.amount",
    ),
    (
        "a refunded subject with a live entitlement, or an entitlement that ended as refunded without a refund",
        "SELECT e.purchase_id FROM entitlements e LEFT JOIN refund_lines l \
         ON l.purchase_id = e.purchase_id AND l.subject_id = e.subject_id \
         WHERE (l.refund_id IS NOT NULL AND e.ended_at IS NULL) \
         OR (l.refund_id IS NULL AND e.end_reason = 'refunded')",
    ),
    (
        "a purchase with a status that does not agree with its refunded subjects",
        "SELECT p.id FROM purchases p JOIN entitlements e ON e.purchase_id = p.id LEFT JOIN refund_lines l \
         ON l.purchase_id = e.purchase_id AND l.subject_id = e.subject_id GROUP BY p.id, p.status \
         HAVING (p.status = 'refunded' AND COUNT(l.refund_id) <> COUNT(*)) \
         OR (p.status <> 'refunded' AND COUNT(l.refund_id) = COUNT(*))",
    ),
    (
        "an open sitting on an ended entitlement",
        "SELECT s.id FROM test_sessions s JOIN mock_test_attempts c ON c.id = s.mock_test_attempt_id \
         JOIN entitlements e ON e.purchase_id = c.purchase_id AND e.subject_id = c.subject_id \
         WHERE s.open_marker = 1 AND e.ended_at IS NOT NULL",
    ),
    (
        "a purchase, refund or expiry without exactly one audit event",
        "SELECT p.id FROM purchases p WHERE \
         (SELECT COUNT(*) FROM audit_events a WHERE a.target_type = 'purchases' AND a.target_id = p.id \
          AND a.action IN ('purchase.created', 'purchase.granted')) <> 1 \
         OR (SELECT COUNT(*) FROM audit_events a WHERE a.target_type = 'purchases' AND a.target_id = p.id \
          AND a.action = 'purchase.refunded') <> (SELECT COUNT(*) FROM refunds r WHERE r.purchase_id = p.id) \
         OR (SELECT COUNT(*) FROM audit_events a WHERE a.target_type = 'purchases' AND a.target_id = p.id \
          AND a.action = 'purchase.expired') <> (SELECT COUNT(DISTINCT e.purchase_id) FROM entitlements e \
          WHERE e.purchase_id = p.id AND e.end_reason = 'expired')",
    ),
];
