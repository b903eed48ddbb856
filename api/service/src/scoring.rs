//! Marks: one function for every way that a sitting can end.
//!
//! Marks are in hundredths of a mark and percentages in hundredths of a per cent, so that adding them up is exact.
//! What has to be rounded is rounded half away from zero, as on paper.

use std::cmp::Ordering;

use jishu_entity::subject::GradingMethod;
use jishu_entity::{TopicId, paper, subject};
use rust_decimal::{Decimal, RoundingStrategy};

/// What an answer gets, in hundredths of a mark. NEET UG and JEE Main: +4, -1, 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// For a correct one.
    pub correct: i32,
    /// For a wrong one; mostly negative.
    pub wrong: i32,
    /// For none.
    pub unanswered: i32,
}

impl Marks {
    /// Whether a correct answer earns more than zero, more than a wrong answer and more than no answer. The author
    /// chooses which of the last two earns more.
    #[must_use]
    pub fn favour_right_answers(self) -> bool {
        self.correct > 0 && self.correct > self.wrong && self.correct > self.unanswered
    }

    /// The most that a question can get.
    #[must_use]
    pub fn most(self) -> i64 {
        self.correct.max(self.wrong).max(self.unanswered).into()
    }
}

impl From<&paper::Model> for Marks {
    fn from(paper: &paper::Model) -> Self {
        Self { correct: paper.marks_correct, wrong: paper.marks_wrong, unanswered: paper.marks_unanswered }
    }
}

impl From<&subject::Model> for Marks {
    fn from(subject: &subject::Model) -> Self {
        Self {
            correct: subject.marks_correct,
            wrong: subject.marks_wrong,
            unanswered: subject.marks_unanswered,
        }
    }
}

/// What is correct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// These options and no others, as bits: bit n is the option at the author's position n.
    Options(i64),
    /// A number at most so far from this one.
    Number {
        /// The number.
        value: Decimal,
        /// How far an answer may be from it, the ends included.
        tolerance: Decimal,
    },
}

/// What a learner has given for a question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The chosen options, as in [`Key::Options`].
    pub options: i64,
    /// The number.
    pub number: Option<Decimal>,
}

impl Response {
    /// Whether it answers anything.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.options != 0 || self.number.is_some()
    }
}

/// How an answer was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the key.
    Correct,
    /// It is not.
    Wrong,
    /// There is none.
    Unanswered,
}

/// Judges one answer. Of several correct options all must be chosen, and no other: there are no parts of marks.
#[must_use]
pub fn judge(key: &Key, response: &Response) -> Verdict {
    if !response.is_given() {
        return Verdict::Unanswered;
    }
    let is_correct = match key {
        Key::Options(correct) => response.options == *correct,
        Key::Number { value, tolerance } => response.number.is_some_and(|number| {
            // Of numbers that are too far apart to be subtracted none is near the other.
            number.checked_sub(*value).is_some_and(|distance| distance.abs() <= *tolerance)
        }),
    };
    if is_correct { Verdict::Correct } else { Verdict::Wrong }
}

impl Marks {
    /// What a verdict gets.
    #[must_use]
    pub fn of(self, verdict: Verdict) -> i32 {
        match verdict {
            Verdict::Correct => self.correct,
            Verdict::Wrong => self.wrong,
            Verdict::Unanswered => self.unanswered,
        }
    }
}

/// What answers add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The marks.
    pub score: i64,
    /// The most that could be had.
    pub max_score: i64,
    /// How many were correct.
    pub correct: i32,
    /// How many were wrong.
    pub wrong: i32,
    /// How many were not answered.
    pub unanswered: i32,
}

impl Tally {
    /// Adds an answer.
    pub fn add(&mut self, marks: Marks, verdict: Verdict) {
        self.score += i64::from(marks.of(verdict));
        // Where a wrong answer or none gets more than a correct one, that is the most.
        self.max_score += marks.most();
        match verdict {
            Verdict::Correct => self.correct += 1,
            Verdict::Wrong => self.wrong += 1,
            Verdict::Unanswered => self.unanswered += 1,
        }
    }

    /// The marks in per cent of the most, in hundredths; negative where the marks are, 0 where there are none to be
    /// had.
    #[must_use]
    pub fn percentage(&self) -> i32 {
        percentage(self.score, self.max_score)
    }
}

/// The tally of a whole sitting, and of each of its topics in the order of their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// Of all questions.
    pub total: Tally,
    /// Of the questions of each topic.
    pub topics: Vec<(TopicId, Tally)>,
}

/// Scores a sitting: each question once, with what was last saved for it.
#[must_use]
pub fn score<'q>(marks: Marks, questions: impl IntoIterator<Item = (TopicId, &'q Key, Response)>) -> Score {
    let mut score = Score::default();
    for (topic, key, response) in questions {
        let verdict = judge(key, &response);
        score.total.add(marks, verdict);
        let at = match score.topics.binary_search_by_key(&topic, |(topic, _)| *topic) {
            Ok(at) => at,
            Err(at) => {
                score.topics.insert(at, (topic, Tally::default()));
                at
            }
        };
        score.topics[at].1.add(marks, verdict);
    }
    score
}

/// `part` in per cent of `whole`, in hundredths of a per cent.
#[must_use]
pub fn percentage(part: i64, whole: i64) -> i32 {
    if whole == 0 {
        return 0;
    }
    let percentage = i128::from(part) * 10_000;
    i32::try_from(divide(percentage, i128::from(whole))).unwrap_or(if percentage < 0 {
        i32::MIN
    } else {
        i32::MAX
    })
}

/// The average of whole numbers, rounded half away from zero; none of none.
#[must_use]
pub fn average(sum: i64, count: i64) -> Option<i64> {
    if count == 0 {
        return None;
    }
    i64::try_from(divide(i128::from(sum), i128::from(count))).ok()
}

/// Rounded half away from zero. `by` is not zero.
fn divide(number: i128, by: i128) -> i128 {
    let (quotient, rest) = (number / by, number % by);
    match (2 * rest.abs()).cmp(&by.abs()) {
        Ordering::Less => quotient,
        Ordering::Equal | Ordering::Greater => quotient + number.signum() * by.signum(),
    }
}

/// What a card counts: of the scores of its sittings in their order. None before the first.
#[must_use]
pub fn grade(method: GradingMethod, scores: &[i32]) -> Option<i32> {
    match method {
        GradingMethod::Latest => scores.last().copied(),
        GradingMethod::Highest => scores.iter().max().copied(),
        GradingMethod::First => scores.first().copied(),
        GradingMethod::Average => {
            let sum = scores.iter().map(|score| i64::from(*score)).sum();
            let count = i64::try_from(scores.len()).ok()?;
            average(sum, count).and_then(|average| i32::try_from(average).ok())
        }
    }
}

/// Where a score stands among all who sat the same paper: 100 times those with as many marks or fewer, the learner
/// included, divided by all. To 7 decimal places, so that few are equal. None of none.
///
/// The percentile score of the National Testing Agency for one session of JEE (Main), from its "Normalization procedure
/// based on Percentile Score" (information bulletin, <https://jeemain.nta.nic.in/>): 100 x number of candidates appeared
/// in the session with raw score equal to or less than the candidate / total number of the candidates who appeared in the
/// session. What is a session there is a paper here.
#[must_use]
pub fn percentile(at_or_below: i64, all: i64) -> Option<Decimal> {
    let percentile = Decimal::from(at_or_below).checked_mul(Decimal::ONE_HUNDRED)?.checked_div(all.into())?;
    let mut rounded = percentile.round_dp_with_strategy(7, RoundingStrategy::MidpointAwayFromZero);
    rounded.rescale(7);
    Some(rounded)
}

#[cfg(test)]
mod tests;
