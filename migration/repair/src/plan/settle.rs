//! Computes how the cards of one test become one card, and the values of that card: a pure function.

use std::collections::BTreeMap;

use super::ends::{End, source};
use crate::inspect::TableState;
use crate::inspect::groups::{Card, Group, Sitting};

/// Which of the optional columns and tables are there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'s> {
    state: &'s TableState,
    pub(crate) used: bool,
    pub(crate) allowed: bool,
    pub(crate) status: bool,
    pub(crate) generated: bool,
    /// Whether sittings show that they are open.
    pub(crate) open_is_told: bool,
    /// Whether sittings have numbers.
    pub(crate) numbers: bool,
    /// Whether the table of questions exists.
    pub(crate) questions: bool,
    /// Whether a question may be without a card.
    pub(crate) aside: bool,
}

impl<'s> Facts<'s> {
    pub(crate) fn of(state: &'s TableState) -> Self {
        let sittings = state.sittings();
        let questions = state.questions();
        let sitting_has = |name: &str| sittings.as_ref().is_some_and(|sittings| sittings.has(name));
        Self {
            state,
            used: state.has("attempts_used"),
            allowed: state.has("max_attempts"),
            status: state.has("status"),
            generated: state.has("questions_generated"),
            open_is_told: sitting_has("status"),
            numbers: sitting_has("attempt_number"),
            aside: questions.as_ref().is_some_and(|questions| questions.nullable),
            questions: questions.is_some(),
        }
    }
}

/// The source of the survivor's values about its first or its latest sitting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// From a sitting; its date is the start or the end of the sitting. Its paper has `total` questions.
    Sitting { id: i64, starts: bool, total: Option<i64> },
    /// From a merged card.
    Card(i64),
}

/// A sitting's position: its card and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) card: i64,
    pub(crate) number: Option<i64>,
}

/// The outcome for a group.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Settled {
    pub(crate) survivor: i64,
    pub(crate) merged: Vec<i64>,
    /// Sittings with their present and their new position, by time.
    pub(crate) places: Vec<(i64, Place, Place)>,
    /// Sittings that were open beside another one.
    pub(crate) closed: Vec<i64>,
    /// Cards whose questions are kept aside, with the number of questions.
    pub(crate) aside: Vec<(i64, i64)>,
    /// Merged cards whose questions come to stand beside another set, for a question cannot be without a card.
    pub(crate) together: Vec<i64>,
    /// The merged card whose paper stays.
    pub(crate) paper: Option<i64>,
    /// Whether the paper exists although the card does not say so.
    pub(crate) mark_generated: bool,
    pub(crate) used: Option<i64>,
    pub(crate) allowed: Option<i64>,
    pub(crate) status: Option<String>,
    /// Whether these three differ from the survivor's values.
    pub(crate) recount: bool,
    /// Whether the survivor's limit was raised to the number of attempts used.
    pub(crate) raised: bool,
    pub(crate) latest: Option<Source>,
    pub(crate) first: Option<Source>,
}

impl Settled {
    /// Whether nothing changes.
    pub(crate) fn is_nothing(&self) -> bool {
        self.merged.is_empty()
            && self.closed.is_empty()
            && self.moves().next().is_none()
            && !self.recomputes()
    }

    /// Whether the survivor's own columns change.
    pub(crate) fn recomputes(&self) -> bool {
        self.recount
            || self.mark_generated
            || self.paper.is_some()
            || self.latest.is_some()
            || self.first.is_some()
    }

    /// Returns the sittings whose position changes.
    pub(crate) fn moves(&self) -> impl Iterator<Item = &(i64, Place, Place)> {
        self.places.iter().filter(|(_, from, to)| from != to)
    }
}

/// Settles a group whose survivor stands first. None for a group without cards.
pub(crate) fn settle(group: &Group, facts: Facts<'_>) -> Option<Settled> {
    let [survivor, others @ ..] = group.cards.as_slice() else { return None };
    let ordered = by_time(&group.sittings);
    let open: Vec<&Sitting> = ordered.iter().copied().filter(|sitting| sitting.is_open()).collect();
    let stays_open = open.last().copied();
    let mut settled = Settled {
        survivor: survivor.id,
        merged: others.iter().map(|card| card.id).collect(),
        places: places(&ordered, survivor.id, !others.is_empty(), facts),
        closed: open.iter().rev().skip(1).map(|sitting| sitting.id).collect(),
        ..Settled::default()
    };
    papers(&mut settled, group, survivor, stays_open, facts);
    counts(&mut settled, group, survivor, stays_open, facts);
    settled.latest = source(group, survivor, &ordered, End::Latest);
    settled.first = source(group, survivor, &ordered, End::First);
    Some(settled)
}

/// Sorts sittings by time, then by id. A sitting without a time takes that of the next one of its card.
fn by_time(sittings: &[Sitting]) -> Vec<&Sitting> {
    let mut of_cards: BTreeMap<i64, Vec<&Sitting>> = BTreeMap::new();
    for sitting in sittings {
        of_cards.entry(sitting.card).or_default().push(sitting);
    }
    let mut ordered: Vec<(Option<&str>, &Sitting)> = Vec::new();
    for own in of_cards.values_mut() {
        own.sort_by_key(|sitting| (sitting.number, sitting.id));
        let time = |sitting: &&&Sitting| own_time(sitting).is_some();
        for (position, sitting) in own.iter().enumerate() {
            let near = own[position..].iter().find(time).or_else(|| own[..position].iter().rev().find(time));
            ordered.push((near.and_then(|near| own_time(near)), sitting));
        }
    }
    ordered.sort_by_key(|(time, sitting)| (time.is_none(), *time, sitting.id));
    ordered.into_iter().map(|(_, sitting)| sitting).collect()
}

pub(super) fn own_time(sitting: &Sitting) -> Option<&str> {
    sitting.time.as_deref().or(sitting.completed.as_deref())
}

/// All sittings on the survivor, numbered from 1. Those of a card alone keep numbers that are all different:
/// a gap may be a sitting that was deleted.
fn places(ordered: &[&Sitting], survivor: i64, merges: bool, facts: Facts<'_>) -> Vec<(i64, Place, Place)> {
    let mut numbers: Vec<_> = ordered.iter().map(|sitting| sitting.number).collect();
    numbers.sort_unstable();
    let wrong =
        numbers.windows(2).any(|pair| pair[0] == pair[1]) || numbers.iter().any(|number| *number < Some(1));
    let renumber = facts.numbers && (merges || wrong);
    (1..)
        .zip(ordered)
        .map(|(number, sitting)| {
            let from = Place { card: sitting.card, number: sitting.number };
            let number = if renumber { Some(number) } else { sitting.number };
            (sitting.id, from, Place { card: survivor, number })
        })
        .collect()
}

/// Of several sets of questions the one stays that the learner is at, or has sat most.
fn papers(
    settled: &mut Settled,
    group: &Group,
    survivor: &Card,
    stays_open: Option<&Sitting>,
    facts: Facts<'_>,
) {
    let weight = |card: &&Card| {
        let own = || group.sittings_of(card.id);
        let is_open = stays_open.is_some_and(|sitting| sitting.card == card.id);
        let completed = own().filter(|sitting| sitting.is_completed()).count();
        (
            is_open,
            completed,
            own().count(),
            card.questions,
            card.id == survivor.id,
            std::cmp::Reverse(card.id),
        )
    };
    let kept = group.cards.iter().filter(|card| card.questions > 0).max_by_key(weight);
    if let Some(kept) = kept {
        if facts.aside {
            settled.aside = group
                .cards
                .iter()
                .filter(|card| card.questions > 0 && card.id != kept.id)
                .map(|card| (card.id, card.questions))
                .collect();
        }
        let sets = group.cards.iter().filter(|card| card.questions > 0).map(|card| card.id);
        if !facts.aside && sets.clone().count() > 1 {
            settled.together = sets.filter(|card| *card != survivor.id).collect();
        }
        settled.paper = (kept.id != survivor.id).then_some(kept.id);
        settled.mark_generated = facts.generated && !kept.generated;
    } else if !facts.questions && facts.generated && !survivor.generated {
        settled.paper = group.cards.iter().find(|card| card.generated).map(|card| card.id);
    }
    if group.cards.len() == 1 {
        settled.mark_generated = false;
    }
}

/// Attempts used, attempts allowed and the status.
fn counts(
    settled: &mut Settled,
    group: &Group,
    survivor: &Card,
    stays_open: Option<&Sitting>,
    facts: Facts<'_>,
) {
    let known = group.cards.iter().any(|card| card.used.is_some()) || !group.sittings.is_empty();
    settled.used = (facts.used && known).then(|| {
        let used = |card: &Card| {
            let completed = group.sittings_of(card.id).filter(|sitting| sitting.is_completed()).count();
            card.used.unwrap_or(0).max(i64::try_from(completed).unwrap_or(i64::MAX))
        };
        group.cards.iter().map(used).fold(0, i64::saturating_add)
    });
    // Some applications count a sitting when it begins, others when it ends.
    let counts_later = stays_open
        .and_then(|open| group.cards.iter().find(|card| card.id == open.card))
        .is_some_and(|card| {
            card.used.unwrap_or(0) < i64::try_from(group.sittings_of(card.id).count()).unwrap_or(i64::MAX)
        });
    let highest = group.cards.iter().filter_map(|card| card.allowed).max();
    let needed = settled.used.unwrap_or(0).saturating_add(i64::from(counts_later));
    settled.allowed = highest.map(|allowed| allowed.max(needed)).filter(|_| facts.allowed);
    settled.raised = settled.allowed > highest;
    settled.status = if facts.status {
        let exhausted = settled.allowed.is_some_and(|allowed| settled.used >= Some(allowed));
        status(group, survivor, stays_open.is_some(), exhausted, facts)
    } else {
        None
    };
    let same_status = settled.status == survivor.status || !facts.status;
    let same_used = settled.used.is_none() || settled.used == survivor.used;
    let same_allowed = settled.allowed.is_none() || settled.allowed == survivor.allowed;
    settled.recount = !(same_status && same_used && same_allowed);
    settled.used = settled.used.or(survivor.used);
    settled.allowed = settled.allowed.or(survivor.allowed);
}

fn status(
    group: &Group,
    survivor: &Card,
    stays_open: bool,
    exhausted: bool,
    facts: Facts<'_>,
) -> Option<String> {
    let is = |card: &Card, wanted: &str| {
        card.status.as_deref().is_some_and(|status| status.eq_ignore_ascii_case(wanted))
    };
    let is_used = |card: &Card| card.used.unwrap_or(0) > 0 || group.sittings_of(card.id).next().is_some();
    // A card that nobody sat may have been disabled because it is the surplus one. The learner keeps the test
    // that the other card gives.
    let counts = |card: &&Card| is_used(card) || !is(card, "disabled");
    let any = |wanted: &str| group.cards.iter().filter(counts).any(|card| is(card, wanted));
    let speaks =
        if counts(&survivor) { survivor } else { group.cards.iter().find(counts).unwrap_or(survivor) };
    // A status that is right stays as it is spelled.
    let word = |text: &str| {
        if is(survivor, text) { survivor.status.clone() } else { facts.state.card_status(text) }
            .or_else(|| survivor.status.clone())
    };
    // Without a sitting nobody knows, unless nobody sat the test.
    let told = facts.open_is_told && (!group.sittings.is_empty() || !group.cards.iter().any(is_used));
    if stays_open || (any("in_progress") && !told) {
        return word("in_progress");
    }
    // Some applications call a card available until its attempts are used up.
    if group.cards.len() == 1 && is(survivor, "available") {
        return survivor.status.clone();
    }
    if exhausted && any("disabled") {
        return word("disabled");
    }
    if is(speaks, "in_progress") || is(speaks, "available") {
        let sat = any("completed") || (told && group.sittings.iter().any(Sitting::is_completed));
        if sat || (exhausted && is(speaks, "in_progress")) {
            return word("completed");
        }
        return word("available");
    }
    speaks.status.clone()
}
