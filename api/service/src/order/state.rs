//! The moves between the states of an order, and the times of its next checks.

use chrono::{DateTime, TimeDelta, Utc};
use jishu_entity::order::{self, OrderState};

/// The pause before the reconciler first checks an order that waits for its payment. It doubles with each check.
const FIRST_PENDING_PAUSE: TimeDelta = TimeDelta::seconds(15);
/// The longest pause between two checks of an order that waits for its payment, or of a paid order that could not be
/// granted.
const MAX_PENDING_PAUSE: TimeDelta = TimeDelta::minutes(5);
/// The pause before the first check of an order that expired or was cancelled, because money can still come. It doubles
/// with each check.
const FIRST_LATE_PAUSE: TimeDelta = TimeDelta::minutes(10);
/// The time after the end of an order for which the reconciler asks the provider for late money. After that time, only
/// a webhook or a returning buyer reports late money.
const LATE_CHECKS_PERIOD: TimeDelta = TimeDelta::days(3);
/// The pause before the first check of an order whose refunds are under way. It doubles with each check.
const FIRST_REFUND_PAUSE: TimeDelta = TimeDelta::minutes(1);
/// The longest pause between two checks of an order whose refunds are under way.
const MAX_REFUND_PAUSE: TimeDelta = TimeDelta::hours(6);
/// The pause after the first check of a paid order that could not be granted. It doubles with each further check. The
/// first check itself comes without a pause.
const FIRST_GRANT_PAUSE: TimeDelta = TimeDelta::seconds(5);

/// Tells whether an order may move from one state to another. Every move of an order is checked with this table.
#[must_use]
pub fn may_move(from: OrderState, to: OrderState) -> bool {
    use OrderState::{Cancelled, Expired, Granted, NeedsAttention, Paid, Pending, Refunded, Refunding};
    matches!(
        (from, to),
        (Pending, Paid | Expired | Cancelled)
            // Money came after the order was expired or cancelled.
            | (Expired | Cancelled, Paid)
            | (Paid, Granted | Refunding | NeedsAttention)
            | (Granted, Refunding)
            | (Refunding, Refunded | NeedsAttention)
            // More money came, money was refunded or taken back at the provider, or the bank sent a refund back.
            | (Refunded, Refunding)
            // Only a decision of staff moves an order that needs attention.
            | (NeedsAttention, Granted | Refunding)
    )
}

/// Tells whether an order in this state was not paid yet, so that a payment can pay it, even if the payment is late.
pub(super) fn waits_for_payment(state: OrderState) -> bool {
    matches!(state, OrderState::Pending | OrderState::Expired | OrderState::Cancelled)
}

/// Returns the time at which the reconciler checks an order next. `checks` is the number of checks since the
/// pauses between checks last began anew. Returns None if the reconciler has nothing to check.
pub(super) fn next_check(
    order: &order::Model,
    checks: i32,
    has_open_refunds: bool,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let doubled = |first: TimeDelta, most: TimeDelta, doublings: i32| {
        let doublings = u32::try_from(doublings).unwrap_or_default().min(16);
        now + (first * (1 << doublings)).min(most)
    };
    match order.state {
        // An order is checked at its expiry at the latest, because that check marks it as expired.
        OrderState::Pending => {
            let next = doubled(FIRST_PENDING_PAUSE, MAX_PENDING_PAUSE, checks);
            Some(if now < order.expires_at { next.min(order.expires_at) } else { next })
        }
        OrderState::Paid if checks == 0 => Some(now),
        OrderState::Paid => Some(doubled(FIRST_GRANT_PAUSE, MAX_PENDING_PAUSE, checks - 1)),
        OrderState::Expired | OrderState::Cancelled => {
            // The last check is at the end of the period, even if the pause before it is shorter then.
            let last = order.changed_at + LATE_CHECKS_PERIOD;
            let next = doubled(FIRST_LATE_PAUSE, LATE_CHECKS_PERIOD, checks).min(last);
            (order.provider_reference.is_some() && now < last).then_some(next)
        }
        OrderState::Refunding | OrderState::Granted | OrderState::Refunded | OrderState::NeedsAttention => {
            has_open_refunds.then(|| doubled(FIRST_REFUND_PAUSE, MAX_REFUND_PAUSE, checks))
        }
    }
}

#[cfg(test)]
mod tests {
    use jishu_entity::order::OrderProvider;
    use jishu_entity::purchase::PurchaseType;
    use jishu_entity::{CourseId, OrderId, UserId};
    use sea_orm::Iterable;

    use super::*;

    #[test]
    fn the_table_has_these_moves_and_no_others() {
        use OrderState::{Cancelled, Expired, Granted, NeedsAttention, Paid, Pending, Refunded, Refunding};
        let listed = [
            (Pending, Paid),
            (Pending, Expired),
            (Pending, Cancelled),
            (Expired, Paid),
            (Cancelled, Paid),
            (Paid, Granted),
            (Paid, Refunding),
            (Paid, NeedsAttention),
            (Granted, Refunding),
            (Refunding, Refunded),
            (Refunding, NeedsAttention),
            (Refunded, Refunding),
            (NeedsAttention, Granted),
            (NeedsAttention, Refunding),
        ];
        for from in OrderState::iter() {
            for to in OrderState::iter() {
                assert_eq!(may_move(from, to), listed.contains(&(from, to)), "{from:?} {to:?}");
            }
        }
    }

    /// Makes an order in this state that was made and changed `at` this time, and can be paid for a day.
    fn order_in(state: OrderState, at: DateTime<Utc>) -> order::Model {
        order::Model {
            id: OrderId(1),
            user_id: UserId(1),
            course_id: CourseId(1),
            purchase_type: PurchaseType::SingleSubject,
            receipt_number: String::new(),
            reference: String::new(),
            idempotency_key: String::new(),
            request_hash: String::new(),
            provider: OrderProvider::Razorpay,
            provider_reference: Some(String::new()),
            payment_reference: None,
            amount: 1,
            subtotal: 1,
            tax: 0,
            tax_label: String::new(),
            tax_basis_points: 0,
            is_tax_included: true,
            currency: "INR".to_owned(),
            state,
            reason: None,
            purchase_id: None,
            created_at: at,
            expires_at: at + TimeDelta::days(1),
            paid_at: None,
            changed_at: at,
            disputed_at: None,
            due_at: None,
            checks: 0,
        }
    }

    #[test]
    fn the_first_pause_of_a_state_is_its_constant_and_then_doubles() {
        let now = DateTime::UNIX_EPOCH;
        for (state, first_check, first) in [
            (OrderState::Pending, 0, FIRST_PENDING_PAUSE),
            (OrderState::Expired, 0, FIRST_LATE_PAUSE),
            (OrderState::Refunding, 0, FIRST_REFUND_PAUSE),
            // A paid order is checked at once, so its first pause comes after 1 check.
            (OrderState::Paid, 1, FIRST_GRANT_PAUSE),
        ] {
            let order = order_in(state, now);
            for (further, pause) in [(0, first), (1, first * 2), (2, first * 4)] {
                let next = next_check(&order, first_check + further, true, now);
                assert_eq!(next, Some(now + pause), "{state:?} after {further} further checks");
            }
        }
        assert_eq!(next_check(&order_in(OrderState::Paid, now), 0, false, now), Some(now));
    }

    #[test]
    fn the_last_check_for_late_money_is_at_the_end_of_the_period() {
        let ended_at = DateTime::UNIX_EPOCH;
        for state in [OrderState::Expired, OrderState::Cancelled] {
            let order = order_in(state, ended_at);
            let (mut now, mut last, mut checks) = (ended_at, None, 0);
            while let Some(next) = next_check(&order, checks, false, now) {
                (now, last, checks) = (next, Some(next), checks + 1);
            }
            assert_eq!(last, Some(ended_at + LATE_CHECKS_PERIOD), "{state:?}");
        }
        let unmade = order::Model { provider_reference: None, ..order_in(OrderState::Expired, ended_at) };
        assert_eq!(next_check(&unmade, 0, false, ended_at), None, "the provider does not have the order");
    }
}
