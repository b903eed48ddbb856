//! Computes how the cards of one test become one card, and the values of that card: a pure function.

use std::collections::BTreeMap;

use crate::repair::inspect::TableState;
use crate::repair::inspect::groups::{Card, Derived, Group, Sitting};

/// The optional columns and tables that exist.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Facts {
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

impl Facts {
    pub(crate) fn of(state: &TableState) -> Self {
        let sittings = state.sittings();
        let questions = state.questions();
        let sitting_has = |name: &str| sittings.as_ref().is_some_and(|sittings| sittings.has(name));
        Self {
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
    /// A sitting; the date is its start or its end.
    Sitting { id: i64, starts: bool },
    /// A merged card.
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

/// Settles a group whose first card is the survivor. Returns None for a group without cards.
pub(crate) fn settle(group: &Group, facts: Facts) -> Option<Settled> {
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

fn own_time(sitting: &Sitting) -> Option<&str> {
    sitting.time.as_deref().or(sitting.completed.as_deref())
}

/// Puts all sittings on the survivor, numbered from 1. A single card keeps its numbers if they are all different:
/// a gap may be a deleted sitting.
fn places(ordered: &[&Sitting], survivor: i64, merges: bool, facts: Facts) -> Vec<(i64, Place, Place)> {
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

/// Chooses the set of questions that stays: the one that the learner is sitting, or has sat most.
fn papers(settled: &mut Settled, group: &Group, survivor: &Card, stays_open: Option<&Sitting>, facts: Facts) {
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
        settled.paper = (kept.id != survivor.id).then_some(kept.id);
        settled.mark_generated = facts.generated && !kept.generated;
    } else if !facts.questions && facts.generated && !survivor.generated {
        settled.paper = group.cards.iter().find(|card| card.generated).map(|card| card.id);
    }
    if group.cards.len() == 1 {
        settled.mark_generated = false;
    }
}

/// Computes attempts used, attempts allowed and the status.
fn counts(settled: &mut Settled, group: &Group, survivor: &Card, stays_open: Option<&Sitting>, facts: Facts) {
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

fn status(group: &Group, survivor: &Card, stays_open: bool, exhausted: bool, facts: Facts) -> Option<String> {
    let is = |card: &Card, wanted: &str| {
        card.status.as_deref().is_some_and(|status| status.eq_ignore_ascii_case(wanted))
    };
    let any = |wanted: &str| group.cards.iter().any(|card| is(card, wanted));
    let word = |text: &str| Some(text.to_owned());
    let told = facts.open_is_told && !group.sittings.is_empty();
    if stays_open || (any("in_progress") && !told) {
        return word("in_progress");
    }
    if exhausted && any("disabled") {
        return word("disabled");
    }
    if is(survivor, "in_progress") || is(survivor, "available") {
        let sat = any("completed") || (told && group.sittings.iter().any(Sitting::is_completed));
        if sat || (exhausted && is(survivor, "in_progress")) {
            return word("completed");
        }
        return word("available");
    }
    survivor.status.clone()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    First,
    Latest,
}

impl End {
    fn of(self, card: &Card) -> &Derived {
        match self {
            Self::First => &card.first,
            Self::Latest => &card.latest,
        }
    }

    fn sitting<'s>(self, mut ordered: impl DoubleEndedIterator<Item = &'s Sitting>) -> Option<&'s Sitting> {
        match self {
            Self::First => ordered.next(),
            Self::Latest => ordered.next_back(),
        }
    }

    /// Whether the first date is nearer to this end than the second.
    fn prefers(self, one: &str, other: &str) -> bool {
        match self {
            Self::First => one < other,
            Self::Latest => one > other,
        }
    }

    /// Whether the card has the same values as this sitting.
    fn agrees(self, card: &Card, sitting: &Sitting) -> bool {
        let derived = self.of(card);
        let is = |one: Option<f64>, other: Option<f64>| match (one, other) {
            (Some(one), Some(other)) => (one - other).abs() < 0.01,
            (None, None) => true,
            (Some(_), None) => true,
            (None, Some(_)) => false,
        };
        let dated = derived.date.is_some() || own_time(sitting).is_none();
        let rest = self == Self::First
            || (is(derived.percentage, sitting.percentage) && is(derived.time_taken, sitting.time_taken));
        derived.score.is_some() && is(derived.score, sitting.score) && dated && rest
    }
}

/// Finds the source of the values about the first or latest sitting. None if the survivor already has them.
fn source(group: &Group, survivor: &Card, ordered: &[&Sitting], end: End) -> Option<Source> {
    let scored = || ordered.iter().copied().filter(|sitting| sitting.is_scored());
    let used = group.cards.iter().filter_map(|card| card.used).fold(0, i64::saturating_add);
    let deleted = used > i64::try_from(group.sittings.len()).unwrap_or(i64::MAX);
    // Only the cards have the values of deleted sittings.
    let mut told: Option<&Card> = None;
    for card in &group.cards {
        let better = match (told.and_then(|told| end.of(told).date.as_deref()), end.of(card).date.as_deref())
        {
            (Some(known), Some(date)) => end.prefers(date, known),
            (None, Some(_)) => true,
            (None, None) => {
                told.is_none_or(|told| end.of(told).score.is_none()) && end.of(card).score.is_some()
            }
            (Some(_), None) => false,
        };
        if better {
            told = Some(card);
        }
    }
    let from_card = |card: &Card| (card.id != survivor.id).then_some(Source::Card(card.id));
    let Some(sitting) = end.sitting(scored()) else { return told.and_then(from_card) };
    if deleted && let Some((card, date)) = told.and_then(|card| Some((card, end.of(card).date.as_deref()?))) {
        let known = match end {
            End::First => sitting.started.as_deref().or(own_time(sitting)),
            End::Latest => sitting.completed.as_deref().max(own_time(sitting)),
        };
        if known.is_none_or(|known| end.prefers(date, known)) {
            return from_card(card);
        }
    }
    let own = group.cards.iter().find(|card| card.id == sitting.card);
    match own {
        Some(card) if end.agrees(card, sitting) => from_card(card),
        _ => Some(Source::Sitting { id: sitting.id, starts: dates_are_starts(group, ordered, end) }),
    }
}

/// Whether the cards' dates are those on which sittings began. Otherwise the sittings ended then.
fn dates_are_starts(group: &Group, ordered: &[&Sitting], end: End) -> bool {
    group.cards.iter().any(|card| {
        let own = ordered.iter().copied().filter(|sitting| sitting.card == card.id && sitting.is_scored());
        end.sitting(own).is_some_and(|sitting| {
            let date = end.of(card).date.as_deref();
            date.is_some() && date == sitting.started.as_deref() && date != sitting.completed.as_deref()
        })
    })
}
