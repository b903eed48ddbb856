//! Computes the attempts and the status of a survivor.

use super::group_plan::{AvailableColumns, GroupPlan};
use crate::inspect::{CardGroup, CardRow, SittingRow};

/// Sets the survivor's attempts used, attempts allowed and status in the plan, and whether one of the three changes.
pub(super) fn set_counts(
    plan: &mut GroupPlan,
    group: &CardGroup,
    survivor: &CardRow,
    stays_open: Option<&SittingRow>,
    available: AvailableColumns<'_>,
) {
    let known = group.cards.iter().any(|card| card.used.is_some()) || !group.sittings.is_empty();
    plan.used = (available.used && known).then(|| {
        let used = |card: &CardRow| {
            let completed = group.sittings_of(card.id).filter(|sitting| sitting.is_completed()).count();
            card.used.unwrap_or(0).max(i64::try_from(completed).unwrap_or(i64::MAX))
        };
        group.cards.iter().map(used).fold(0, i64::saturating_add)
    });
    // Some applications count an attempt when the sitting begins, others when it ends. If the open sitting is not
    // counted yet, the limit must leave an attempt for this sitting.
    let counts_later = stays_open
        .and_then(|open| group.cards.iter().find(|card| card.id == open.card))
        .is_some_and(|card| {
            card.used.unwrap_or(0) < i64::try_from(group.sittings_of(card.id).count()).unwrap_or(i64::MAX)
        });
    let highest = group.cards.iter().filter_map(|card| card.allowed).max();
    let needed = plan.used.unwrap_or(0).saturating_add(i64::from(counts_later));
    plan.allowed = highest.map(|allowed| allowed.max(needed)).filter(|_| available.allowed);
    plan.limit_raised = plan.allowed > highest;
    plan.status = if available.status {
        let exhausted = plan.allowed.is_some_and(|allowed| plan.used >= Some(allowed));
        status(group, survivor, stays_open.is_some(), exhausted, available)
    } else {
        None
    };
    let same_status = plan.status == survivor.status || !available.status;
    let same_used = plan.used.is_none() || plan.used == survivor.used;
    let same_allowed = plan.allowed.is_none() || plan.allowed == survivor.allowed;
    plan.counts_change = !(same_status && same_used && same_allowed);
    plan.used = plan.used.or(survivor.used);
    plan.allowed = plan.allowed.or(survivor.allowed);
}

/// Returns the new status of the survivor. `None` stands for null.
fn status(
    group: &CardGroup,
    survivor: &CardRow,
    stays_open: bool,
    exhausted: bool,
    available: AvailableColumns<'_>,
) -> Option<String> {
    let is = |card: &CardRow, wanted: &str| {
        card.status.as_deref().is_some_and(|status| status.eq_ignore_ascii_case(wanted))
    };
    let is_used = |card: &CardRow| card.used.unwrap_or(0) > 0 || group.sittings_of(card.id).next().is_some();
    // A disabled card that nobody used does not count, because it may have been disabled as a duplicate. If such
    // a card counted, the learner could lose the test of another card.
    let counts = |card: &&CardRow| is_used(card) || !is(card, "disabled");
    let any = |wanted: &str| group.cards.iter().filter(counts).any(|card| is(card, wanted));
    // The card whose status the survivor gets if no rule below gives another status.
    let source =
        if counts(&survivor) { survivor } else { group.cards.iter().find(counts).unwrap_or(survivor) };
    // If the survivor has this status already, its spelling stays.
    let word = |text: &str| {
        if is(survivor, text) { survivor.status.clone() } else { available.state.card_status(text) }
            .or_else(|| survivor.status.clone())
    };
    // If cards were used but have no sittings, it is unknown whether a sitting was open.
    let sittings_known =
        available.sitting_status && (!group.sittings.is_empty() || !group.cards.iter().any(is_used));
    if stays_open || (any("in_progress") && !sittings_known) {
        return word("in_progress");
    }
    // Some applications keep a card available until all its attempts are used. So this status of a card without
    // duplicates is right.
    if group.cards.len() == 1 && is(survivor, "available") {
        return survivor.status.clone();
    }
    if exhausted && any("disabled") {
        return word("disabled");
    }
    if is(source, "in_progress") || is(source, "available") {
        let was_completed =
            any("completed") || (sittings_known && group.sittings.iter().any(SittingRow::is_completed));
        if was_completed || (exhausted && is(source, "in_progress")) {
            return word("completed");
        }
        return word("available");
    }
    source.status.clone()
}
