//! Decides whether and how a sitting and its answers are carried.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use jishu_entity::test_session::SessionStatus;
use question_formats::DraftOption;
use rust_decimal::Decimal;

use super::old::OldRow;
use crate::question_bank::clean;

/// A sitting of the old system.
#[derive(Clone, Debug, Default)]
pub(super) struct OldSitting {
    pub(super) id: i64,
    pub(super) card: i64,
    pub(super) user: Option<i64>,
    pub(super) number: Option<i64>,
    pub(super) score: Option<Decimal>,
    pub(super) time_taken: Option<i64>,
    pub(super) correct: Option<i64>,
    pub(super) wrong: Option<i64>,
    pub(super) unanswered: Option<i64>,
    pub(super) status: Option<String>,
    pub(super) started: Option<DateTime<Utc>>,
    pub(super) completed: Option<DateTime<Utc>>,
}

impl From<&OldRow> for OldSitting {
    fn from(row: &OldRow) -> Self {
        Self {
            id: row.id(),
            card: row.integer("mock_test_id").unwrap_or_default(),
            user: row.integer("user_id"),
            number: row.integer("attempt_number"),
            score: row.decimal("score"),
            time_taken: row.integer("time_taken"),
            correct: row.integer("correct_answers"),
            wrong: row.integer("wrong_answers"),
            unanswered: row.integer("unanswered"),
            status: row.word("status"),
            started: row.time("started_at"),
            completed: row.time("completed_at"),
        }
    }
}

/// An answer of the old system.
#[derive(Clone, Debug)]
pub(super) struct OldAnswer {
    pub(super) question: Option<i64>,
    /// The text of the chosen option. None if the learner chose none.
    pub(super) selected: Option<String>,
    pub(super) time_taken: Option<i64>,
}

/// The questions that were made for one old card, in the order of their old ids.
#[derive(Clone, Debug, Default)]
pub(super) struct CardPaper {
    pub(super) slots: Vec<PaperSlot>,
}

/// A question of an old card.
#[derive(Clone, Debug)]
pub(super) struct PaperSlot {
    pub(super) old_id: i64,
    /// The id of the question in the bank of jishu.
    pub(super) question: i64,
    pub(super) subject: i64,
    pub(super) options: Vec<DraftOption>,
}

/// The values of a carried sitting.
#[derive(Clone, Debug)]
pub(super) struct SittingPlan {
    pub(super) id: i64,
    /// The id of the old card of the sitting. The paper of this card is the paper of the sitting.
    pub(super) card: i64,
    pub(super) number: Option<i64>,
    pub(super) status: SessionStatus,
    pub(super) started_at: DateTime<Utc>,
    pub(super) submitted_at: DateTime<Utc>,
    /// The score in hundredths of a mark.
    pub(super) score: i32,
    pub(super) questions: i32,
    pub(super) correct: i32,
    pub(super) wrong: i32,
    pub(super) unanswered: i32,
    pub(super) time_taken: i32,
    /// The answers. None if there are no answers, or if they do not fit the questions of the card or the score.
    pub(super) answers: Option<Vec<PlannedAnswer>>,
    /// The reason why the answers are not carried. None if they are carried, or if there are no answers.
    pub(super) lost_answers: Option<String>,
    /// Remarks about the sitting for the report.
    pub(super) notes: Vec<String>,
}

/// An answer that is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PlannedAnswer {
    pub(super) slot: i32,
    /// The chosen option as a bit: bit 0 for the first option. 0 if no option is chosen.
    pub(super) chosen: i64,
    pub(super) is_right: bool,
    pub(super) time_taken: Option<i32>,
}

/// Whether and how a sitting of the old system has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OldEnd {
    Completed,
    Abandoned,
    Open,
}

/// Computes the values of a carried sitting. `questions` is the number of questions of its card. `fallback` is the
/// start of a sitting without a time. Returns the reason as an error if the sitting cannot be carried.
pub(super) fn plan(
    old: &OldSitting,
    questions: i32,
    paper: Option<&CardPaper>,
    answers: &[OldAnswer],
    fallback: DateTime<Utc>,
) -> Result<SittingPlan, String> {
    let end = match old.status.as_deref() {
        Some("completed") => OldEnd::Completed,
        Some("abandoned") => OldEnd::Abandoned,
        Some("in_progress") => OldEnd::Open,
        None if old.score.is_some() || old.completed.is_some() => OldEnd::Completed,
        None => OldEnd::Abandoned,
        Some(other) => {
            return Err(format!("This sitting was not carried: its status `{other}` is unknown."));
        }
    };
    let (mut notes, mut lost_answers) = (Vec::new(), None);
    let matched =
        paper.filter(|paper| paper.slots.len() == size(questions)).and_then(|paper| matched(paper, answers));
    let right = matched.as_ref().map(|answers| answers.iter().filter(|answer| answer.is_right).count());
    let score = old.score.or(old.correct.map(Decimal::from)).or(right.map(Decimal::from));
    let score = match (score, end) {
        (Some(score), _) => score,
        (None, OldEnd::Completed) => {
            return Err(
                "This sitting was not carried: it was completed, but its score is not known.".to_owned()
            );
        }
        (None, _) => Decimal::ZERO,
    };
    if score < Decimal::ZERO || score > Decimal::from(questions) {
        return Err(format!(
            "This sitting was not carried: its score is {score}, but its test has {questions} questions."
        ));
    }
    let kept = matched.filter(|_| right.map(Decimal::from) == Some(score));
    if kept.is_none() && !answers.is_empty() {
        let why = match right {
            Some(right) => format!("{right} of the answers are right, but the score is {score}"),
            None => "the answers do not fit the questions that were carried for the card of the sitting"
                .to_owned(),
        };
        let count = answers.len();
        lost_answers = Some(format!(
            "The answers of this sitting were not carried ({count}): {why}. The score, counts and times of the sitting \
             are kept."
        ));
    }
    if end == OldEnd::Open {
        notes.push("This sitting was open, and is closed with the answers so far.".to_owned());
    }
    let started_at = started(old);
    if started_at.is_none() {
        notes.push(
            "The time of this sitting is not known, so it has the time of its card or purchase.".to_owned(),
        );
    }
    let started_at = started_at.unwrap_or(fallback);
    let seconds = old.time_taken.filter(|seconds| *seconds >= 0);
    let submitted_at =
        old.completed.unwrap_or_else(|| started_at + TimeDelta::seconds(seconds.unwrap_or(0).min(86_400)));
    let submitted_at = submitted_at.max(started_at);
    let seconds = seconds.unwrap_or_else(|| (submitted_at - started_at).num_seconds());
    let (correct, wrong, unanswered) = match &kept {
        Some(answers) => {
            let given = small(answers.iter().filter(|answer| answer.chosen != 0).count());
            let right = small(right.unwrap_or_default());
            (right, given - right, questions - given)
        }
        None => counts(old, score, questions, end),
    };
    let is_answered = kept.as_ref().is_some_and(|answers| answers.iter().any(|answer| answer.chosen != 0));
    Ok(SittingPlan {
        id: old.id,
        card: old.card,
        number: old.number,
        status: match end {
            OldEnd::Completed => SessionStatus::Submitted,
            _ if is_answered => SessionStatus::AutoSubmitted,
            _ => SessionStatus::Abandoned,
        },
        started_at,
        submitted_at,
        score: hundredths(score).unwrap_or_default(),
        questions,
        correct,
        wrong,
        unanswered,
        time_taken: i32::try_from(seconds).unwrap_or(i32::MAX),
        answers: kept,
        lost_answers,
        notes,
    })
}

/// Returns a score in hundredths of a mark. None if the score is negative or above 100,000 marks.
pub(super) fn hundredths(score: Decimal) -> Option<i32> {
    let scaled = score.checked_mul(Decimal::ONE_HUNDRED)?.round();
    i32::try_from(scaled).ok().filter(|score| (0..=10_000_000).contains(score))
}

/// Returns the percentage of the maximum score, in hundredths of a per cent. `score` is in hundredths of a mark, and
/// each of the `questions` gives at most one mark.
pub(super) fn percentage(score: i32, questions: i32) -> i32 {
    let exact = Decimal::from(score) * Decimal::ONE_HUNDRED / Decimal::from(questions.max(1));
    i32::try_from(exact.round()).unwrap_or_default()
}

fn started(old: &OldSitting) -> Option<DateTime<Utc>> {
    let before_end = || {
        let taken = TimeDelta::seconds(old.time_taken.unwrap_or(0).clamp(0, 86_400));
        old.completed?.checked_sub_signed(taken)
    };
    old.started.or_else(before_end)
}

/// Returns the numbers of right, wrong and missing answers. Computes a number that the old system did not store from
/// the score and the other numbers. If the old system stored neither wrong nor missing answers, all answers of a
/// completed sitting that are not right count as wrong. In other sittings, these answers count as missing.
fn counts(old: &OldSitting, score: Decimal, questions: i32, end: OldEnd) -> (i32, i32, i32) {
    let bounded = |count: i64| i32::try_from(count.clamp(0, i64::from(questions))).unwrap_or_default();
    let correct = old.correct.map_or_else(|| i32::try_from(score.floor()).unwrap_or_default(), bounded);
    let rest = (questions - correct).max(0);
    match (old.wrong.map(bounded), old.unanswered.map(bounded)) {
        (Some(wrong), Some(unanswered)) => (correct, wrong, unanswered),
        (Some(wrong), None) => (correct, wrong, (rest - wrong).max(0)),
        (None, Some(unanswered)) => (correct, (rest - unanswered).max(0), unanswered),
        (None, None) if end == OldEnd::Completed => (correct, rest, 0),
        (None, None) => (correct, 0, rest),
    }
}

/// Finds the slot and the option of each answer. None if there are no answers, or if an answer does not fit the paper.
fn matched(paper: &CardPaper, answers: &[OldAnswer]) -> Option<Vec<PlannedAnswer>> {
    let mut slots = BTreeSet::new();
    let mut found = Vec::with_capacity(answers.len());
    for answer in answers {
        let index = paper.slots.iter().position(|slot| Some(slot.old_id) == answer.question)?;
        if !slots.insert(index) {
            return None;
        }
        let selected = answer.selected.as_deref().map(clean).filter(|text| !text.is_empty());
        let option = match selected {
            None => None,
            Some(text) => {
                Some(paper.slots[index].options.iter().enumerate().find(|(_, option)| option.text == text)?)
            }
        };
        found.push(PlannedAnswer {
            slot: small(index) + 1,
            chosen: option.map_or(0, |(position, _)| 1 << position),
            is_right: option.is_some_and(|(_, option)| option.correct),
            time_taken: answer
                .time_taken
                .and_then(|seconds| i32::try_from(seconds).ok())
                .filter(|it| *it >= 0),
        });
    }
    found.sort_by_key(|answer| answer.slot);
    (!found.is_empty()).then_some(found)
}

fn small(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn size(count: i32) -> usize {
    usize::try_from(count).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paper() -> CardPaper {
        let option = |text: &str, correct| DraftOption { text: text.to_owned(), correct };
        let slot = |old_id| PaperSlot {
            old_id,
            question: old_id,
            subject: 1,
            options: vec![option("yes", true), option("no", false)],
        };
        CardPaper { slots: vec![slot(7), slot(8), slot(9)] }
    }

    fn answers(texts: &[(i64, &str)]) -> Vec<OldAnswer> {
        let answer = |(question, text): &(i64, &str)| OldAnswer {
            question: Some(*question),
            selected: Some((*text).to_owned()),
            time_taken: None,
        };
        texts.iter().map(answer).collect()
    }

    fn sitting(status: &str, score: Option<i64>) -> OldSitting {
        OldSitting {
            id: 1,
            status: Some(status.to_owned()),
            score: score.map(Decimal::from),
            ..OldSitting::default()
        }
    }

    fn planned(old: &OldSitting, answers: &[OldAnswer]) -> Result<SittingPlan, String> {
        plan(old, 3, Some(&paper()), answers, DateTime::UNIX_EPOCH)
    }

    #[test]
    fn answers_are_kept_if_they_explain_the_score() {
        let given = answers(&[(8, "no"), (7, " yes ")]);
        let plan = planned(&sitting("completed", Some(1)), &given).unwrap();
        assert_eq!((plan.score, plan.correct, plan.wrong, plan.unanswered), (100, 1, 1, 1));
        let slots: Vec<_> = plan.answers.unwrap().iter().map(|answer| (answer.slot, answer.chosen)).collect();
        assert_eq!(slots, [(1, 1), (2, 2)]);
        for (score, given) in
            [(2, &given), (1, &answers(&[(7, "yes"), (99, "no")])), (1, &answers(&[(7, "maybe")]))]
        {
            let plan = planned(&sitting("completed", Some(score)), given).unwrap();
            assert!(plan.answers.is_none() && plan.lost_answers.is_some(), "{plan:?}");
            assert_eq!(plan.score, i32::try_from(score * 100).unwrap());
        }
    }

    #[test]
    fn sittings_that_did_not_end_are_closed() {
        let plan = planned(&sitting("in_progress", None), &answers(&[(7, "yes")])).unwrap();
        assert_eq!((plan.status, plan.score), (SessionStatus::AutoSubmitted, 100));
        let plan = planned(&sitting("abandoned", None), &[]).unwrap();
        assert_eq!((plan.status, plan.score, plan.unanswered), (SessionStatus::Abandoned, 0, 3));
    }

    #[test]
    fn impossible_sittings_are_refused() {
        for (old, words) in [
            (sitting("completed", None), "score is not known"),
            (sitting("completed", Some(4)), "has 3 questions"),
            (sitting("paused", Some(1)), "`paused` is unknown"),
        ] {
            assert!(planned(&old, &[]).unwrap_err().contains(words));
        }
    }

    #[test]
    fn percentages_are_rounded_as_money_is_not() {
        assert_eq!((percentage(100, 3), percentage(5_000, 50), percentage(0, 0)), (3_333, 10_000, 0));
    }
}
