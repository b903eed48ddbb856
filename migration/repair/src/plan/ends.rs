//! Of which sitting a card tells as its first and as its latest.

use super::settle::{Source, own_time};
use crate::inspect::groups::{Card, Derived, Group, Sitting};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
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

    /// The first or the latest of sittings that are in order of their starts. Where two have an end, the ends
    /// decide: a card tells of the sitting that was handed in last, which may have begun before the other one.
    fn sitting<'s>(self, ordered: impl DoubleEndedIterator<Item = &'s Sitting>) -> Option<&'s Sitting> {
        let nearer = |kept: &'s Sitting, next: &'s Sitting| match (&kept.completed, &next.completed) {
            (Some(kept_end), Some(end)) if self.prefers(kept_end, end) => kept,
            _ => next,
        };
        match self {
            Self::First => ordered.rev().reduce(nearer),
            Self::Latest => ordered.reduce(nearer),
        }
    }

    /// Whether the one date is nearer to this end than the other.
    fn prefers(self, one: &str, other: &str) -> bool {
        match self {
            Self::First => one < other,
            Self::Latest => one > other,
        }
    }

    /// Whether the card says of this sitting what the sitting says itself.
    fn agrees(self, card: &Card, sitting: &Sitting) -> bool {
        let derived = self.of(card);
        let is = |one: Option<f64>, other: Option<f64>| match (one, other) {
            (Some(one), Some(other)) => (one - other).abs() < 0.01,
            (None, None) => true,
            (Some(_), None) => true,
            (None, Some(_)) => false,
        };
        let dated = match &derived.date {
            Some(date) => !contradicts(date, sitting),
            None => own_time(sitting).is_none(),
        };
        let same_time = match (derived.time_taken, sitting.time_taken) {
            (Some(one), Some(other)) => (one - other).abs() <= 1.0,
            (one, other) => is(one, other),
        };
        let rest = self == Self::First || (is(derived.percentage, sitting.percentage) && same_time);
        derived.score.is_some() && is(derived.score, sitting.score) && dated && rest
    }
}

/// Whether a card's date is more than a day away from the sitting. Less may be the time zone of a server.
fn contradicts(date: &str, sitting: &Sitting) -> bool {
    let day_of = |time: &Option<String>| time.as_deref().and_then(day);
    let Some(day) = day(date) else { return false };
    day_of(&sitting.time).is_some_and(|began| day < began - 1)
        || day_of(&sitting.completed).is_some_and(|ended| day > ended + 1)
}

/// The number of a day, by the Gregorian calendar.
fn day(time: &str) -> Option<i64> {
    let mut parts = time.get(..10)?.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    // Years begin in March, so that a leap day is the last of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    Some(
        365 * year + year.div_euclid(4) - year.div_euclid(100)
            + year.div_euclid(400)
            + (153 * month + 2) / 5
            + day,
    )
}

/// Where the survivor learns of its first or latest sitting. None where it says the right thing already.
pub(super) fn source(group: &Group, survivor: &Card, ordered: &[&Sitting], end: End) -> Option<Source> {
    let scored = || ordered.iter().copied().filter(|sitting| sitting.is_scored());
    let used = group.cards.iter().filter_map(|card| card.used).fold(0, i64::saturating_add);
    let deleted = used > i64::try_from(group.sittings.len()).unwrap_or(i64::MAX);
    // Of sittings that were deleted only the cards can tell.
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
        _ => Some(Source::Sitting {
            id: sitting.id,
            starts: dates_are_starts(group, ordered, end),
            total: own.and_then(|card| card.total).filter(|total| *total > 0),
        }),
    }
}

/// Whether the cards' dates are those on which sittings began; else they ended then.
fn dates_are_starts(group: &Group, ordered: &[&Sitting], end: End) -> bool {
    group.cards.iter().any(|card| {
        let own = ordered.iter().copied().filter(|sitting| sitting.card == card.id && sitting.is_scored());
        end.sitting(own).is_some_and(|sitting| {
            let date = end.of(card).date.as_deref();
            date.is_some() && date == sitting.started.as_deref() && date != sitting.completed.as_deref()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_over_the_ends_of_months_and_years() {
        let between = |one: &str, other: &str| day(other).unwrap_or(0) - day(one).unwrap_or(0);
        assert_eq!(between("2024-02-28 23:00:00", "2024-03-01"), 2);
        assert_eq!(between("2023-02-28", "2023-03-01"), 1);
        assert_eq!(between("1999-12-31", "2000-01-01 00:00:00"), 1);
        assert_eq!(between("1900-01-01", "2000-01-01"), 36_524);
        assert_eq!((day("now"), day("2024-05")), (None, None));
    }
}
