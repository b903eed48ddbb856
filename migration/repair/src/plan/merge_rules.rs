//! The rules by which the cards of a group become one card. The rules only compute a plan, and change nothing.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::card_counts::set_counts;
use super::group_plan::{AttemptNumber, AvailableColumns, DetachedSet, GroupPlan, SittingMove};
use super::score_source::{FirstOrLatest, score_source};
use crate::inspect::{CardGroup, CardRow, SittingRow};

/// Computes the plan for a group of cards. The first card of the group is the survivor. `None` for a group without
/// cards.
pub(crate) fn plan_group(group: &CardGroup, available: AvailableColumns<'_>) -> Option<GroupPlan> {
    let [survivor, others @ ..] = group.cards.as_slice() else { return None };
    let ordered = by_time(&group.sittings);
    let open: Vec<&SittingRow> = ordered.iter().copied().filter(|sitting| sitting.is_open()).collect();
    let stays_open = open.last().copied();
    let mut plan = GroupPlan {
        survivor: survivor.id,
        merged: others.iter().map(|card| card.id).collect(),
        sittings: sitting_moves(&ordered, survivor.id, !others.is_empty(), available),
        closed_sittings: open.iter().rev().skip(1).map(|sitting| sitting.id).collect(),
        ..GroupPlan::default()
    };
    question_sets(&mut plan, group, survivor, stays_open, available);
    set_counts(&mut plan, group, survivor, stays_open, available);
    plan.latest = score_source(group, survivor, &ordered, FirstOrLatest::Latest);
    plan.first = score_source(group, survivor, &ordered, FirstOrLatest::First);
    Some(plan)
}

/// Sorts sittings by time, then by id. A sitting without a time takes the time of the next sitting of its card that has
/// a time, or else the time of the previous sitting. If no sitting of a card has a time, the card's sittings come last.
fn by_time(sittings: &[SittingRow]) -> Vec<&SittingRow> {
    let mut of_cards: BTreeMap<i64, Vec<&SittingRow>> = BTreeMap::new();
    for sitting in sittings {
        of_cards.entry(sitting.card).or_default().push(sitting);
    }
    let mut ordered: Vec<(Option<&str>, &SittingRow)> = Vec::new();
    for own in of_cards.values_mut() {
        own.sort_by_key(|sitting| (sitting.number, sitting.id));
        let time = |sitting: &&&SittingRow| sitting.sort_time().is_some();
        for (position, sitting) in own.iter().enumerate() {
            let near = own[position..].iter().find(time).or_else(|| own[..position].iter().rev().find(time));
            ordered.push((near.and_then(|near| near.sort_time()), sitting));
        }
    }
    ordered.sort_by_key(|(time, sitting)| (time.is_none(), *time, sitting.id));
    ordered.into_iter().map(|(_, sitting)| sitting).collect()
}

/// Moves all sittings to the survivor, and numbers them from 1 in their order. The sittings of a card without
/// duplicates keep their numbers if all numbers are different and at least 1. A gap in these numbers may come from a
/// deleted sitting.
fn sitting_moves(
    ordered: &[&SittingRow],
    survivor: i64,
    merges: bool,
    available: AvailableColumns<'_>,
) -> Vec<SittingMove> {
    let mut numbers: Vec<_> = ordered.iter().map(|sitting| sitting.number).collect();
    numbers.sort_unstable();
    let has_duplicates = numbers.windows(2).any(|pair| pair[0] == pair[1]);
    let has_invalid = numbers.iter().any(|number| *number < Some(1));
    let renumber = available.sitting_numbers && (merges || has_duplicates || has_invalid);
    (1..)
        .zip(ordered)
        .map(|(number, sitting)| SittingMove {
            sitting: sitting.id,
            from: AttemptNumber { card: sitting.card, number: sitting.number },
            to: AttemptNumber {
                card: survivor,
                number: if renumber { Some(number) } else { sitting.number },
            },
        })
        .collect()
}

/// Selects the set of questions that stays: the set of the open sitting, or else the set that was used most. The other
/// sets are detached, or move to the survivor if a question cannot be without a card.
fn question_sets(
    plan: &mut GroupPlan,
    group: &CardGroup,
    survivor: &CardRow,
    stays_open: Option<&SittingRow>,
    available: AvailableColumns<'_>,
) {
    let weight = |card: &&CardRow| {
        let own = || group.sittings_of(card.id);
        let is_open = stays_open.is_some_and(|sitting| sitting.card == card.id);
        let completed = own().filter(|sitting| sitting.is_completed()).count();
        (is_open, completed, own().count(), card.questions, card.id == survivor.id, Reverse(card.id))
    };
    let kept = group.cards.iter().filter(|card| card.questions > 0).max_by_key(weight);
    if let Some(kept) = kept {
        if available.detachable_questions {
            plan.detached_sets = group
                .cards
                .iter()
                .filter(|card| card.questions > 0 && card.id != kept.id)
                .map(|card| DetachedSet { card: card.id, questions: card.questions })
                .collect();
        }
        let sets = group.cards.iter().filter(|card| card.questions > 0).map(|card| card.id);
        if !available.detachable_questions && sets.clone().count() > 1 {
            plan.shared_sets = sets.filter(|card| *card != survivor.id).collect();
        }
        plan.paper = (kept.id != survivor.id).then_some(kept.id);
        plan.mark_generated = available.generated && !kept.generated;
    } else if !available.questions && available.generated && !survivor.generated {
        plan.paper = group.cards.iter().find(|card| card.generated).map(|card| card.id);
    }
    if group.cards.len() == 1 {
        plan.mark_generated = false;
    }
}
