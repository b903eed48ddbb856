//! Computes marks, percentages and grades. Every way to end a sitting uses the same function, [`score`].
//!
//! Marks are in hundredths of a mark and percentages in hundredths of a per cent, so sums are exact. Rounding is half
//! away from zero, as people do it on paper.

use std::cmp::Ordering;

use jishu_entity::subject::GradingMethod;
use jishu_entity::{TopicId, paper, subject};
use question_formats::typed_text::TextPattern;
use rust_decimal::{Decimal, RoundingStrategy};

/// Maximum number of characters of a text that a learner types, and of a text that is accepted.
pub const MAX_ANSWER_CHARS: usize = 500;

/// The marks of one answer, in hundredths of a mark. NEET UG and JEE Main give +4, -1 and 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// The marks of a correct answer.
    pub correct: i32,
    /// The marks of a wrong answer, usually negative.
    pub wrong: i32,
    /// The marks of a question without an answer.
    pub unanswered: i32,
}

impl Marks {
    /// Tells whether a correct answer earns more than zero, more than a wrong answer and more than no answer. A wrong
    /// answer may earn more than no answer.
    #[must_use]
    pub fn favour_right_answers(self) -> bool {
        self.correct > 0 && self.correct > self.wrong && self.correct > self.unanswered
    }

    /// Returns the most marks that a question can earn.
    #[must_use]
    pub fn highest(self) -> i64 {
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

/// The correct answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerKey {
    /// Exactly these options, as bits: bit n is the option at the author's position n.
    Options(i64),
    /// A number within a tolerance.
    Number {
        /// The number.
        value: Decimal,
        /// The largest allowed distance of an answer from the number, inclusive.
        tolerance: Decimal,
    },
    /// One of several texts.
    Texts(TextKey),
}

/// The accepted texts of a short answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextKey {
    texts: Vec<String>,
    is_case_sensitive: bool,
    patterns: Vec<TextPattern>,
}

impl TextKey {
    /// Prepares accepted texts, in which `*` stands for any characters.
    #[must_use]
    pub fn new(texts: Vec<String>, is_case_sensitive: bool) -> Self {
        let patterns = texts.iter().map(|text| TextPattern::new(text, is_case_sensitive)).collect();
        Self { texts, is_case_sensitive, patterns }
    }

    /// Returns the accepted texts, in the author's order.
    #[must_use]
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    /// Tells whether capital and small letters differ.
    #[must_use]
    pub fn is_case_sensitive(&self) -> bool {
        self.is_case_sensitive
    }

    /// Tells whether a text that a learner typed is accepted.
    #[must_use]
    pub fn accepts(&self, typed: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.accepts(typed))
    }
}

/// A learner's answer to a question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LearnerAnswer {
    /// The chosen options, as bits like those of [`AnswerKey::Options`].
    pub options: i64,
    /// The number that the learner gave.
    pub number: Option<Decimal>,
    /// The text that the learner typed.
    pub text: Option<String>,
}

impl LearnerAnswer {
    /// Tells whether the learner answered.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.options != 0 || self.number.is_some() || self.text.is_some()
    }
}

/// The judgement of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The answer is correct.
    Correct,
    /// The answer is wrong.
    Wrong,
    /// There is no answer.
    Unanswered,
}

/// Judges one answer. If several options are correct, the learner must choose all of them and no other: there are no
/// partial marks.
#[must_use]
pub fn judge(key: &AnswerKey, answer: &LearnerAnswer) -> Verdict {
    if !answer.is_given() {
        return Verdict::Unanswered;
    }
    let is_correct = match key {
        AnswerKey::Options(correct) => answer.options == *correct,
        AnswerKey::Number { value, tolerance } => answer.number.is_some_and(|number| {
            // If the subtraction overflows, the numbers are too far apart.
            number.checked_sub(*value).is_some_and(|distance| distance.abs() <= *tolerance)
        }),
        AnswerKey::Texts(key) => answer.text.as_deref().is_some_and(|typed| key.accepts(typed)),
    };
    if is_correct { Verdict::Correct } else { Verdict::Wrong }
}

impl Marks {
    /// Returns the marks of a verdict.
    #[must_use]
    pub fn of(self, verdict: Verdict) -> i32 {
        match verdict {
            Verdict::Correct => self.correct,
            Verdict::Wrong => self.wrong,
            Verdict::Unanswered => self.unanswered,
        }
    }
}

/// Totals of answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The marks, in hundredths.
    pub score: i64,
    /// The most marks that were possible, in hundredths.
    pub max_score: i64,
    /// The number of correct answers.
    pub correct: i32,
    /// The number of wrong answers.
    pub wrong: i32,
    /// The number of questions without an answer.
    pub unanswered: i32,
}

impl Tally {
    /// Counts an answer.
    pub fn add(&mut self, marks: Marks, verdict: Verdict) {
        self.score += i64::from(marks.of(verdict));
        self.max_score += marks.highest();
        match verdict {
            Verdict::Correct => self.correct += 1,
            Verdict::Wrong => self.wrong += 1,
            Verdict::Unanswered => self.unanswered += 1,
        }
    }

    /// Returns the score in per cent of the maximum, in hundredths. A negative score has a negative percentage. The
    /// percentage is 0 if the maximum is 0.
    #[must_use]
    pub fn percentage(&self) -> i32 {
        percentage(self.score, self.max_score)
    }
}

/// The tally of a whole sitting, and of each of its topics in the order of their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// The tally of all questions.
    pub total: Tally,
    /// The tally of each topic.
    pub topics: Vec<(TopicId, Tally)>,
}

/// Scores a sitting. `questions` has each question once, with the last saved answer.
#[must_use]
pub fn score<'q>(
    marks: Marks,
    questions: impl IntoIterator<Item = (TopicId, &'q AnswerKey, LearnerAnswer)>,
) -> Score {
    let mut score = Score::default();
    for (topic, key, answer) in questions {
        let verdict = judge(key, &answer);
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

/// Returns `part` in per cent of `whole`, in hundredths of a per cent. Returns 0 if `whole` is 0.
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

/// Returns an average as a whole number, rounded half away from zero. Returns None if `count` is 0.
#[must_use]
pub fn average(sum: i64, count: i64) -> Option<i64> {
    if count == 0 {
        return None;
    }
    i64::try_from(divide(i128::from(sum), i128::from(count))).ok()
}

/// Divides, rounding half away from zero. `by` must not be zero.
fn divide(number: i128, by: i128) -> i128 {
    let (quotient, rest) = (number / by, number % by);
    match (2 * rest.abs()).cmp(&by.abs()) {
        Ordering::Less => quotient,
        Ordering::Equal | Ordering::Greater => quotient + number.signum() * by.signum(),
    }
}

/// Returns the grade of a card from the scores of its sittings, which are in order. Returns None without a score.
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

/// Returns the percentile of a score: 100 times the number of learners with the same score or a lower one, the learner
/// included, divided by the number of all learners. Has 7 decimal places, so few percentiles are equal. Returns None if
/// `all` is 0.
///
/// This is the percentile score of the National Testing Agency for one session of JEE (Main), from its "Normalization
/// procedure based on Percentile Score" (information bulletin, <https://jeemain.nta.nic.in/>): 100 x number of
/// candidates appeared in the session with raw score equal to or less than the candidate / total number of the
/// candidates who appeared in the session. A session there corresponds to a paper here.
#[must_use]
pub fn percentile(at_or_below: i64, all: i64) -> Option<Decimal> {
    let percentile = Decimal::from(at_or_below).checked_mul(Decimal::ONE_HUNDRED)?.checked_div(all.into())?;
    let mut rounded = percentile.round_dp_with_strategy(7, RoundingStrategy::MidpointAwayFromZero);
    rounded.rescale(7);
    Some(rounded)
}

#[cfg(test)]
mod tests;
