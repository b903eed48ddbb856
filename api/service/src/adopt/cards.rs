//! Decides how the cards of one test are carried. Duplicate cards become one card.

use std::cmp::Reverse;

use chrono::{DateTime, Utc};
use jishu_entity::mock_test_attempt::CardStatus;
use jishu_entity::test_session::SessionStatus;
use rust_decimal::Decimal;

use super::courses::OLD_DEFAULTS;
use super::old::OldRow;
use super::sittings::{SittingPlan, hundredths, percentage};

/// A card of the old system.
#[derive(Clone, Debug, Default)]
pub(super) struct OldCard {
    pub(super) id: i64,
    pub(super) purchase: i64,
    pub(super) user: Option<i64>,
    pub(super) subject: Option<i64>,
    pub(super) number: Option<i64>,
    max_attempts: Option<i64>,
    used: Option<i64>,
    pub(super) questions: Option<i64>,
    latest_score: Option<Decimal>,
    pub(super) latest_date: Option<DateTime<Utc>>,
    first_score: Option<Decimal>,
    first_date: Option<DateTime<Utc>>,
    status: Option<String>,
}

impl From<&OldRow> for OldCard {
    fn from(row: &OldRow) -> Self {
        Self {
            id: row.id(),
            purchase: row.integer("purchase_id").unwrap_or_default(),
            user: row.integer("user_id"),
            subject: row.integer("subject_id"),
            number: row.integer("test_number"),
            max_attempts: row.integer("max_attempts"),
            used: row.integer("attempts_used"),
            questions: row.integer("total_questions"),
            latest_score: row.decimal("latest_score"),
            latest_date: row.time("latest_attempt_date"),
            first_score: row.decimal("first_attempt_score"),
            first_date: row.time("first_attempt_date"),
            status: row.word("status"),
        }
    }
}

impl OldCard {
    /// Returns the number of questions of the test: the number that the card states, or else `made`, the number of
    /// questions that were made for the card, or else the old default.
    pub(super) fn question_count(&self, made: usize) -> i32 {
        let stated = self.questions.and_then(|count| i32::try_from(count).ok());
        let made = i32::try_from(made).ok().filter(|made| *made > 0);
        stated.filter(|count| (1..=1_000).contains(count)).or(made).unwrap_or(OLD_DEFAULTS.1)
    }

    fn used(&self) -> i32 {
        self.used.and_then(|used| i32::try_from(used).ok()).unwrap_or_default().clamp(0, 1_000)
    }

    /// Returns the time at which the card was first used, or else last used. None if neither is known.
    pub(super) fn any_date(&self) -> Option<DateTime<Utc>> {
        self.first_date.or(self.latest_date)
    }
}

/// The values of the card that the cards of one test become. Scores are in hundredths of a mark, and the percentage is
/// in hundredths of a per cent.
#[derive(Clone, Debug)]
pub(super) struct CardPlan {
    pub(super) max_attempts: i32,
    pub(super) used: i32,
    pub(super) status: CardStatus,
    pub(super) latest_attempt_at: Option<DateTime<Utc>>,
    pub(super) latest_score: Option<i32>,
    pub(super) latest_percentage: Option<i32>,
    pub(super) first_score: Option<i32>,
    pub(super) best_score: Option<i32>,
    /// The sittings in order, each with its attempt number.
    pub(super) sittings: Vec<(i32, SittingPlan)>,
    /// Remarks about the card for the report.
    pub(super) notes: Vec<String>,
}

/// Sorts the cards of one test, so that the card that stays comes first: the card with the most attempts used, and
/// among equals the one with the lowest id.
pub(super) fn survivor_first(cards: &mut [OldCard]) {
    cards.sort_by_key(|card| (Reverse(card.used()), card.id));
}

/// Computes the values of the card that the cards of one test become. The first of `cards` stays.
pub(super) fn plan(cards: &[OldCard], mut sittings: Vec<SittingPlan>) -> CardPlan {
    let mut notes = Vec::new();
    sittings.sort_by_key(|sitting| (sitting.started_at, sitting.id));
    let sittings = numbered(cards.len() == 1, sittings);
    let counted: i32 = cards.iter().map(OldCard::used).sum();
    let last_number = sittings.last().map_or(0, |(number, _)| *number);
    let used = counted.max(last_number);
    let were_deleted = counted > i32::try_from(sittings.len()).unwrap_or(i32::MAX);

    let allowed = cards.iter().filter_map(|card| card.max_attempts).max().unwrap_or(OLD_DEFAULTS.2.into());
    let allowed = i32::try_from(allowed.clamp(0, 1_000)).unwrap_or(OLD_DEFAULTS.2);
    // A duplicate card that nobody used may have been disabled because it was a duplicate, so its status does not
    // count.
    let is_disabled =
        |card: &OldCard| card.status.as_deref() == Some("disabled") && (cards.len() == 1 || card.used() > 0);
    let is_disabled = cards.iter().any(is_disabled);
    if is_disabled {
        notes.push(
            "This card, or a used card that was merged into it, was disabled. So this card has no attempts left."
                .to_owned(),
        );
    }
    let max_attempts = if is_disabled { used } else { allowed.max(used) };
    let status = match used {
        used if used >= max_attempts => CardStatus::Exhausted,
        0 => CardStatus::Available,
        _ => CardStatus::Completed,
    };
    let known = ["available", "in_progress", "completed", "disabled"];
    for other in
        cards.iter().filter_map(|card| card.status.as_deref()).filter(|status| !known.contains(status))
    {
        notes.push(format!(
            "The status `{other}` of this card, or of a card that was merged into it, is unknown. The new status \
             follows from the used attempts."
        ));
    }
    let scores = scores(cards, &sittings, were_deleted, &mut notes);
    let sat_at = sittings.iter().map(|(_, sitting)| sitting.started_at).max();
    CardPlan {
        max_attempts,
        used,
        status,
        latest_attempt_at: sat_at.or_else(|| cards.iter().filter_map(|card| card.latest_date).max()),
        latest_score: scores.latest,
        latest_percentage: scores.latest_percentage,
        first_score: scores.first,
        best_score: scores.best,
        sittings,
        notes,
    }
}

/// Gives attempt numbers to sittings that are sorted by time. The sittings of a single card keep their old numbers if
/// these are 1 to 1000 and rise from sitting to sitting. Otherwise the numbers count from 1.
fn numbered(is_single: bool, sittings: Vec<SittingPlan>) -> Vec<(i32, SittingPlan)> {
    let own: Option<Vec<i32>> = sittings
        .iter()
        .map(|sitting| {
            sitting.number.and_then(|it| i32::try_from(it).ok()).filter(|it| (1..=1_000).contains(it))
        })
        .collect();
    let own = own.filter(|numbers| is_single && numbers.is_sorted_by(|one, next| one < next));
    match own {
        Some(numbers) => numbers.into_iter().zip(sittings).collect(),
        None => (1..).zip(sittings).collect(),
    }
}

#[derive(Default)]
struct Scores {
    latest: Option<i32>,
    latest_percentage: Option<i32>,
    first: Option<i32>,
    best: Option<i32>,
}

/// Returns the scores of a card. They come from its sittings, without abandoned ones if another one exists. Without
/// sittings they come from the old cards. If sittings were deleted, the first score comes from the old cards. Adds a
/// remark if the latest score of the old cards differs from that of the latest sitting.
fn scores(
    cards: &[OldCard],
    sittings: &[(i32, SittingPlan)],
    were_deleted: bool,
    notes: &mut Vec<String>,
) -> Scores {
    let stated_first =
        cards.iter().filter(|card| card.first_score.is_some()).min_by_key(|card| (card.first_date, card.id));
    let stated_first = stated_first.and_then(|card| hundredths(card.first_score?));
    let stated_latest = cards
        .iter()
        .filter(|card| card.latest_score.is_some())
        .max_by_key(|card| (card.latest_date, card.id));
    let latest = stated_latest
        .and_then(|card| Some((hundredths(card.latest_score?)?, card.question_count(0))))
        .map(|(score, questions)| (score, percentage(score, questions)));
    let finished = |plan: &&SittingPlan| plan.status != SessionStatus::Abandoned;
    let plans = || sittings.iter().map(|(_, plan)| plan);
    let scored: Vec<&SittingPlan> = match plans().any(|plan| finished(&plan)) {
        true => plans().filter(finished).collect(),
        false => plans().collect(),
    };
    let (Some(first), Some(last)) = (scored.first(), scored.last()) else {
        let first = stated_first.or(latest.map(|(score, _)| score));
        return Scores {
            latest: latest.map(|(score, _)| score),
            latest_percentage: latest.map(|(_, percentage)| percentage),
            first,
            best: first.max(latest.map(|(score, _)| score)),
        };
    };
    let is_last_finished = finished(last);
    if let Some((stated, _)) = latest.filter(|(stated, _)| is_last_finished && *stated != last.score) {
        let (stated, said) =
            (Decimal::new(stated.into(), 2).normalize(), Decimal::new(last.score.into(), 2).normalize());
        notes
            .push(format!(
                "The latest score of this card, or of a card that was merged into it, was {stated}, but that of the \
                 latest sitting is {said}. The card has the score of the sitting now."
            ));
    }
    let deleted_first = stated_first.filter(|_| were_deleted);
    let best = scored.iter().map(|plan| plan.score).max();
    Scores {
        latest: Some(last.score),
        latest_percentage: Some(percentage(last.score, last.questions)),
        first: deleted_first.or(Some(first.score)),
        best: best.max(deleted_first),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn card(id: i64, used: i64, status: &str) -> OldCard {
        OldCard {
            id,
            used: Some(used),
            max_attempts: Some(3),
            status: Some(status.to_owned()),
            ..OldCard::default()
        }
    }

    fn sitting(id: i64, minute: i64, score: i32) -> SittingPlan {
        let at = DateTime::UNIX_EPOCH + TimeDelta::minutes(minute);
        SittingPlan {
            id,
            card: 1,
            number: Some(id),
            status: SessionStatus::Submitted,
            started_at: at,
            submitted_at: at,
            score,
            questions: 50,
            correct: score / 100,
            wrong: 0,
            unanswered: 0,
            time_taken: 0,
            answers: None,
            lost_answers: None,
            notes: Vec::new(),
        }
    }

    #[test]
    fn duplicates_add_up_and_lose_no_sitting() {
        let mut cards = vec![card(5, 1, "available"), card(6, 3, "completed"), card(7, 0, "disabled")];
        survivor_first(&mut cards);
        assert_eq!(cards[0].id, 6);
        let plan = plan(&cards, vec![sitting(3, 30, 900), sitting(1, 50, 700), sitting(2, 10, 4_000)]);
        assert_eq!((plan.used, plan.max_attempts, plan.status), (4, 4, CardStatus::Exhausted));
        let order: Vec<_> = plan.sittings.iter().map(|(number, sitting)| (*number, sitting.id)).collect();
        assert_eq!(order, [(1, 2), (2, 3), (3, 1)]);
        assert_eq!(
            (plan.first_score, plan.latest_score, plan.best_score),
            (Some(4_000), Some(700), Some(4_000))
        );
        assert_eq!(plan.latest_percentage, Some(1_400));
    }

    #[test]
    fn a_card_whose_sittings_were_deleted_keeps_its_scores() {
        let old = OldCard {
            latest_score: Some(Decimal::from(20)),
            first_score: Some(Decimal::from(31)),
            questions: Some(50),
            ..card(1, 2, "completed")
        };
        let kept = plan(std::slice::from_ref(&old), Vec::new());
        assert_eq!(
            (kept.latest_score, kept.first_score, kept.best_score),
            (Some(2_000), Some(3_100), Some(3_100))
        );
        assert_eq!((kept.latest_percentage, kept.status, kept.used), (Some(4_000), CardStatus::Completed, 2));
        // Only the second sitting still exists, and it keeps its number 2.
        let kept = plan(std::slice::from_ref(&old), vec![sitting(2, 5, 2_000)]);
        assert_eq!((kept.sittings[0].0, kept.first_score, kept.latest_score), (2, Some(3_100), Some(2_000)));
    }

    #[test]
    fn a_disabled_card_cannot_be_sat() {
        let plan = plan(&[card(1, 1, "disabled")], Vec::new());
        assert_eq!((plan.used, plan.max_attempts, plan.status), (1, 1, CardStatus::Exhausted));
        assert_eq!(plan.notes.len(), 1);
    }
}
