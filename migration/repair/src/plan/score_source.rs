//! Decides from which sitting or card the survivor takes its first and its latest score.

use crate::inspect::{CardGroup, CardRow, SittingRow, SittingSummary};

/// The source of the survivor's values about its first or its latest sitting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScoreSource {
    /// A sitting. Its date on the card is its start if `starts` is set, or else its end. Its paper has `total`
    /// questions.
    Sitting { id: i64, starts: bool, total: Option<i64> },
    /// A merged card.
    Card(i64),
}

/// Two scores or percentages that differ by less are equal.
const SCORE_TOLERANCE: f64 = 0.01;
/// Two values of the time taken, in seconds, that differ by at most this are equal.
const TIME_TAKEN_TOLERANCE: f64 = 1.0;

/// The sitting that the values of a card describe.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FirstOrLatest {
    First,
    Latest,
}

impl FirstOrLatest {
    /// Returns the card's values about this sitting.
    fn summary(self, card: &CardRow) -> &SittingSummary {
        match self {
            Self::First => &card.first,
            Self::Latest => &card.latest,
        }
    }

    /// Selects the first or the latest of sittings that are in order of their starts. If two sittings have an end,
    /// their ends decide, because the latest score is that of the sitting that ended last.
    fn sitting<'s>(self, ordered: impl DoubleEndedIterator<Item = &'s SittingRow>) -> Option<&'s SittingRow> {
        let nearer = |kept: &'s SittingRow, next: &'s SittingRow| match (&kept.completed, &next.completed) {
            (Some(kept_end), Some(end)) if self.prefers(kept_end, end) => kept,
            _ => next,
        };
        match self {
            Self::First => ordered.rev().reduce(nearer),
            Self::Latest => ordered.reduce(nearer),
        }
    }

    /// Returns whether `one` is earlier than `other` for the first sitting, or later for the latest sitting.
    fn prefers(self, one: &str, other: &str) -> bool {
        match self {
            Self::First => one < other,
            Self::Latest => one > other,
        }
    }

    /// Returns whether the card's values agree with this sitting.
    fn agrees(self, card: &CardRow, sitting: &SittingRow) -> bool {
        let summary = self.summary(card);
        let agree = |one: Option<f64>, other: Option<f64>| match (one, other) {
            (Some(one), Some(other)) => (one - other).abs() < SCORE_TOLERANCE,
            (Some(_) | None, None) => true,
            (None, Some(_)) => false,
        };
        let same_date = match &summary.date {
            Some(date) => !contradicts(date, sitting),
            None => sitting.sort_time().is_none(),
        };
        let same_time = match (summary.time_taken, sitting.time_taken) {
            (Some(one), Some(other)) => (one - other).abs() <= TIME_TAKEN_TOLERANCE,
            (one, other) => agree(one, other),
        };
        // A card has no percentage and no time taken of its first sitting.
        let same_details =
            self == Self::First || (agree(summary.percentage, sitting.percentage) && same_time);
        summary.score.is_some() && agree(summary.score, sitting.score) && same_date && same_details
    }
}

/// Returns whether a card's date is more than a day away from the sitting. A smaller difference may come from the
/// time zone of a server.
fn contradicts(date: &str, sitting: &SittingRow) -> bool {
    let day_of = |time: &Option<String>| time.as_deref().and_then(day);
    let Some(day) = day(date) else { return false };
    day_of(&sitting.time).is_some_and(|began| day < began - 1)
        || day_of(&sitting.completed).is_some_and(|ended| day > ended + 1)
}

/// Returns the number of a day in the Gregorian calendar.
fn day(time: &str) -> Option<i64> {
    let mut parts = time.get(..10)?.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    // Years are counted from March, so that a leap day is the last day of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    Some(
        365 * year + year.div_euclid(4) - year.div_euclid(100)
            + year.div_euclid(400)
            + (153 * month + 2) / 5
            + day,
    )
}

/// Returns where the survivor takes its first or latest score from. `None` if it already has the right values.
pub(super) fn score_source(
    group: &CardGroup,
    survivor: &CardRow,
    ordered: &[&SittingRow],
    end: FirstOrLatest,
) -> Option<ScoreSource> {
    let used = group.cards.iter().filter_map(|card| card.used).fold(0, i64::saturating_add);
    let some_deleted = used > i64::try_from(group.sittings.len()).unwrap_or(i64::MAX);
    let dated_card = best_dated_card(group, end);
    let from_card = |card: &CardRow| (card.id != survivor.id).then_some(ScoreSource::Card(card.id));
    let scored = ordered.iter().copied().filter(|sitting| sitting.is_scored());
    let Some(sitting) = end.sitting(scored) else { return dated_card.and_then(from_card) };
    // Only the cards still have the scores of deleted sittings.
    if some_deleted
        && let Some((card, date)) =
            dated_card.and_then(|card| Some((card, end.summary(card).date.as_deref()?)))
    {
        let known = match end {
            FirstOrLatest::First => sitting.started.as_deref().or(sitting.sort_time()),
            FirstOrLatest::Latest => sitting.completed.as_deref().max(sitting.sort_time()),
        };
        if known.is_none_or(|known| end.prefers(date, known)) {
            return from_card(card);
        }
    }
    let own = group.cards.iter().find(|card| card.id == sitting.card);
    match own {
        Some(card) if end.agrees(card, sitting) => from_card(card),
        _ => Some(ScoreSource::Sitting {
            id: sitting.id,
            starts: dates_are_starts(group, ordered, end),
            total: own.and_then(|card| card.total).filter(|total| *total > 0),
        }),
    }
}

/// Selects the card with the earliest or the latest date. Without any date it selects the first card with a score.
fn best_dated_card(group: &CardGroup, end: FirstOrLatest) -> Option<&CardRow> {
    let mut best: Option<&CardRow> = None;
    for card in &group.cards {
        let known = best.and_then(|best| end.summary(best).date.as_deref());
        let is_better = match (known, end.summary(card).date.as_deref()) {
            (Some(known), Some(date)) => end.prefers(date, known),
            (None, Some(_)) => true,
            (None, None) => {
                best.is_none_or(|best| end.summary(best).score.is_none()) && end.summary(card).score.is_some()
            }
            (Some(_), None) => false,
        };
        if is_better {
            best = Some(card);
        }
    }
    best
}

/// Returns whether the dates on the cards are the starts of sittings. Otherwise they are the ends.
fn dates_are_starts(group: &CardGroup, ordered: &[&SittingRow], end: FirstOrLatest) -> bool {
    group.cards.iter().any(|card| {
        let own = ordered.iter().copied().filter(|sitting| sitting.card == card.id && sitting.is_scored());
        end.sitting(own).is_some_and(|sitting| {
            let date = end.summary(card).date.as_deref();
            date.is_some() && date == sitting.started.as_deref() && date != sitting.completed.as_deref()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_across_months_and_years() {
        let between = |one: &str, other: &str| day(other).unwrap_or(0) - day(one).unwrap_or(0);
        assert_eq!(between("2024-02-28 23:00:00", "2024-03-01"), 2);
        assert_eq!(between("2023-02-28", "2023-03-01"), 1);
        assert_eq!(between("1999-12-31", "2000-01-01 00:00:00"), 1);
        assert_eq!(between("1900-01-01", "2000-01-01"), 36_524);
        assert_eq!((day("now"), day("2024-05")), (None, None));
    }
}
