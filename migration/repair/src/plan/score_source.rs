//! Decides from which sitting or card the survivor takes its first and its latest score.

use crate::inspect::{CardGroup, CardRow, SittingRow, SittingSummary};

/// The source of the survivor's values about its first or its latest sitting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScoreSource {
    /// The sitting `id`. The survivor gets the start of the sitting as its date if `starts` is true, or else the end.
    /// `questions` is the number of questions of the sitting's test, or `None` if it is unknown.
    Sitting { id: i64, starts: bool, questions: Option<i32> },
    /// The merged card with this id.
    Card(i64),
}

/// Two scores or percentages count as equal if their difference is less than this number.
const SCORE_TOLERANCE: f64 = 0.01;
/// Two values of the time taken count as equal if their difference is at most this number of seconds.
const TIME_TAKEN_TOLERANCE: f64 = 1.0;

/// Whether values of a card describe its first or its latest sitting.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FirstOrLatest {
    First,
    Latest,
}

impl FirstOrLatest {
    /// Returns the card's values about its first or its latest sitting.
    fn summary(self, card: &CardRow) -> &SittingSummary {
        match self {
            Self::First => &card.first,
            Self::Latest => &card.latest,
        }
    }

    /// Selects the first or the latest of sittings that are sorted by their starts. If two sittings have an end, their
    /// ends decide, because the latest score is that of the sitting that ended last. `None` if there are no sittings.
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

    /// Returns whether the card's values agree with this sitting: the score and the date, and for the latest sitting
    /// also the percentage and the time taken.
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
        // The table of cards has no columns for the percentage and the time taken of the first sitting.
        let same_details =
            self == Self::First || (agree(summary.percentage, sitting.percentage) && same_time);
        summary.score.is_some() && agree(summary.score, sitting.score) && same_date && same_details
    }
}

/// Returns whether a card's date is more than a day before the sitting or more than a day after its end. A smaller
/// difference may come from the time zone of a server.
fn contradicts(date: &str, sitting: &SittingRow) -> bool {
    let day_of = |time: &Option<String>| time.as_deref().and_then(day);
    let Some(day) = day(date) else { return false };
    day_of(&sitting.time).is_some_and(|began| day < began - 1)
        || day_of(&sitting.completed).is_some_and(|ended| day > ended + 1)
}

/// Returns the number of a day in the Gregorian calendar, for a time that begins with `year-month-day`. `None` for any
/// other text.
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

/// Returns the source of the survivor's first or latest score. `None` if the survivor already has the right values.
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
    // If sittings were deleted, only the cards still have the scores of these sittings.
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
            questions: own.and_then(|card| question_count(card, sitting)),
        }),
    }
}

/// Returns the number of questions of a sitting's test, as the sitting's own card states it. `None` if the card states
/// no number. Also `None` if the number cannot be right, because the score of the sitting is higher.
fn question_count(own: &CardRow, sitting: &SittingRow) -> Option<i32> {
    let count = own.total.and_then(|total| i32::try_from(total).ok()).filter(|count| *count > 0)?;
    sitting.score.is_some_and(|score| score <= f64::from(count)).then_some(count)
}

/// Selects the card whose first sitting has the earliest date, or the card whose latest sitting has the latest date, as
/// `end` says. If no card has a date, selects the first card with a score. `None` if no card has a date or a score.
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

/// Returns whether a date of a card shows that the application wrote the starts of sittings as the dates of cards.
/// Otherwise the application wrote the ends.
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
    fn a_test_has_at_least_as_many_questions_as_the_score() {
        let sitting = SittingRow { score: Some(4.0), ..SittingRow::default() };
        for (total, expected) in
            [(Some(5), Some(5)), (Some(4), Some(4)), (Some(3), None), (Some(0), None), (None, None)]
        {
            let card = CardRow { total, ..CardRow::default() };
            assert_eq!(question_count(&card, &sitting), expected, "{total:?}");
        }
    }

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
