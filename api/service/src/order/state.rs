//! The states of an order, and the moves between them.

use chrono::{DateTime, TimeDelta, Utc};
use jishu_entity::order::{self, OrderState};

/// The pause before the first look at an order that waits for its payment.
const FIRST_PENDING_LOOK: TimeDelta = TimeDelta::seconds(15);
/// The longest pause between two looks at an order that waits for its payment.
const MAX_PENDING_LOOK: TimeDelta = TimeDelta::minutes(5);
/// The pause before the first look at an order that expired or was cancelled. Money can still come.
const FIRST_LATE_LOOK: TimeDelta = TimeDelta::minutes(10);
/// The time for which a server asks by itself whether late money came. After that time, only a webhook reports late money.
const LATE_LOOKS_END: TimeDelta = TimeDelta::days(3);
/// The pause before the first look at refunds that are under way.
const FIRST_REFUND_LOOK: TimeDelta = TimeDelta::minutes(1);
/// The longest pause between two looks at refunds.
const MAX_REFUND_LOOK: TimeDelta = TimeDelta::hours(6);
/// The pause before an order that is paid is granted again, after a failure.
const FIRST_GRANT_RETRY: TimeDelta = TimeDelta::seconds(5);

/// Tells whether an order may move from a state to another. Nothing else moves.
#[must_use]
pub fn may_move(from: OrderState, to: OrderState) -> bool {
    use OrderState::{Cancelled, Expired, Granted, NeedsAttention, Paid, Pending, Refunded, Refunding};
    matches!(
        (from, to),
        (Pending, Paid | Expired | Cancelled)
            // Late money.
            | (Expired | Cancelled, Paid)
            | (Paid, Granted | Refunding | NeedsAttention)
            | (Granted, Refunding)
            | (Refunding, Refunded | NeedsAttention)
            // More money came, or a bank sent a refund back.
            | (Refunded, Refunding)
            // Only staff.
            | (NeedsAttention, Granted | Refunding)
    )
}

/// Returns the time of the next look at an order, after it has been looked at `checks` times in its state. None if there
/// is nothing to look for.
pub(super) fn next_look(
    order: &order::Model,
    checks: i32,
    has_open_refunds: bool,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let doubled = |first: TimeDelta, most: TimeDelta| {
        let doublings = u32::try_from(checks).unwrap_or_default().min(16);
        now + (first * (1 << doublings)).min(most)
    };
    match order.state {
        // The look at its end decides that the order expires.
        OrderState::Pending => {
            let next = doubled(FIRST_PENDING_LOOK, MAX_PENDING_LOOK);
            Some(if now < order.expires_at { next.min(order.expires_at) } else { next })
        }
        OrderState::Paid if checks == 0 => Some(now),
        OrderState::Paid => Some(doubled(FIRST_GRANT_RETRY, MAX_PENDING_LOOK)),
        OrderState::Expired | OrderState::Cancelled => {
            let next = doubled(FIRST_LATE_LOOK, LATE_LOOKS_END);
            let has_provider_order = order.provider_reference.is_some();
            (has_provider_order && next <= order.changed_at + LATE_LOOKS_END).then_some(next)
        }
        OrderState::Refunding | OrderState::Granted | OrderState::Refunded | OrderState::NeedsAttention => {
            has_open_refunds.then(|| doubled(FIRST_REFUND_LOOK, MAX_REFUND_LOOK))
        }
    }
}

#[cfg(test)]
mod tests {
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
}
