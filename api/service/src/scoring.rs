//! Computes marks, percentages, grades and percentiles. All sittings are scored by the same function, [`score`],
//! whether the learner submits or the server closes them.
//!
//! Marks are in hundredths of a mark and percentages in hundredths of a per cent, so sums are exact. Halves are rounded
//! away from zero, as people do it on paper.

use std::cmp::Ordering;

use jishu_entity::subject::GradingMethod;
use jishu_entity::{TopicId, paper, subject};
use question_formats::typed_text::TextPattern;
use rust_decimal::{Decimal, RoundingStrategy};

/// Maximum number of characters in a text that a learner types, and in a text that a key accepts.
pub const MAX_ANSWER_CHARS: usize = 500;

/// The marks for one question, in hundredths of a mark. NEET UG and JEE Main give +4 marks for a correct answer, -1 for
/// a wrong answer and 0 for no answer.
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

    /// Returns the greatest of the three marks, in hundredths of a mark.
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

/// The key of a question: the answers that count as correct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerKey {
    /// The learner must choose exactly these options. They are bits: bit n, counted from 0 for the lowest bit, is the
    /// option at the author's position n, counted from 0.
    Options(i64),
    /// The learner must give a number within a tolerance.
    Number {
        /// The correct number.
        value: Decimal,
        /// The largest distance from the number at which an answer is still correct.
        tolerance: Decimal,
    },
    /// The learner must type one of several texts.
    Texts(TextKey),
}

/// The texts that are accepted as the answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextKey {
    texts: Vec<String>,
    is_case_sensitive: bool,
    patterns: Vec<TextPattern>,
}

impl TextKey {
    /// Prepares the accepted texts for comparisons. A `*` in a text matches any characters.
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

    /// Tells whether a learner must type capital and small letters as in the accepted text.
    #[must_use]
    pub fn is_case_sensitive(&self) -> bool {
        self.is_case_sensitive
    }

    /// Tells whether a text that a learner typed matches one of the accepted texts.
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
    /// The number that the learner gave. None if the learner gave no number.
    pub number: Option<Decimal>,
    /// The text that the learner typed. None if the learner typed no text.
    pub text: Option<String>,
}

impl LearnerAnswer {
    /// Tells whether the learner gave an answer: at least one chosen option, a number or a text.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.options != 0 || self.number.is_some() || self.text.is_some()
    }
}

/// The judgement of the answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The answer is correct.
    Correct,
    /// The answer is wrong.
    Wrong,
    /// The learner gave no answer.
    Unanswered,
}

/// Judges the answer to one question. If several options are correct, the learner must choose all of them and no other
/// option: there are no partial marks.
#[must_use]
pub fn judge(key: &AnswerKey, answer: &LearnerAnswer) -> Verdict {
    if !answer.is_given() {
        return Verdict::Unanswered;
    }
    let is_correct = match key {
        AnswerKey::Options(correct) => answer.options == *correct,
        AnswerKey::Number { value, tolerance } => answer.number.is_some_and(|number| {
            // If the subtraction overflows, the numbers are too far apart, so the answer is wrong.
            number.checked_sub(*value).is_some_and(|distance| distance.abs() <= *tolerance)
        }),
        AnswerKey::Texts(key) => answer.text.as_deref().is_some_and(|typed| key.accepts(typed)),
    };
    if is_correct { Verdict::Correct } else { Verdict::Wrong }
}

impl Marks {
    /// Returns the marks for a verdict, in hundredths of a mark.
    #[must_use]
    pub fn of(self, verdict: Verdict) -> i32 {
        match verdict {
            Verdict::Correct => self.correct,
            Verdict::Wrong => self.wrong,
            Verdict::Unanswered => self.unanswered,
        }
    }
}

/// Totals over the answers to several questions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The sum of the marks, in hundredths of a mark.
    pub score: i64,
    /// The highest possible sum of the marks, in hundredths of a mark.
    pub max_score: i64,
    /// The number of correct answers.
    pub correct: i32,
    /// The number of wrong answers.
    pub wrong: i32,
    /// The number of questions without an answer.
    pub unanswered: i32,
}

impl Tally {
    /// Adds one question with its verdict to the totals.
    pub fn add(&mut self, marks: Marks, verdict: Verdict) {
        self.score += i64::from(marks.of(verdict));
        self.max_score += marks.highest();
        match verdict {
            Verdict::Correct => self.correct += 1,
            Verdict::Wrong => self.wrong += 1,
            Verdict::Unanswered => self.unanswered += 1,
        }
    }

    /// Returns the score as a percentage of the maximum score, in hundredths of a per cent. A negative score has a
    /// negative percentage. Returns 0 if the maximum score is 0.
    #[must_use]
    pub fn percentage(&self) -> i32 {
        percentage(self.score, self.max_score)
    }
}

/// The tally of a whole sitting, and the tallies of its topics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// The tally of all questions.
    pub total: Tally,
    /// The tally of each topic of the sitting, by topic id.
    pub topics: Vec<(TopicId, Tally)>,
}

/// Scores a sitting. `questions` has each question of the paper once, with its topic, its key and the last saved
/// answer. The answer is empty if the learner saved no answer to the question.
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

/// Returns `part` as a percentage of `whole`, in hundredths of a per cent, with halves rounded away from zero. Returns
/// 0 if `whole` is 0.
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

/// Returns `sum` divided by `count` as a whole number, with halves rounded away from zero. Returns None if `count` is
/// 0.
#[must_use]
pub fn average(sum: i64, count: i64) -> Option<i64> {
    if count == 0 {
        return None;
    }
    i64::try_from(divide(i128::from(sum), i128::from(count))).ok()
}

/// Divides two numbers, with halves rounded away from zero. `by` must not be zero.
fn divide(number: i128, by: i128) -> i128 {
    let (quotient, rest) = (number / by, number % by);
    match (2 * rest.abs()).cmp(&by.abs()) {
        Ordering::Less => quotient,
        Ordering::Equal | Ordering::Greater => quotient + number.signum() * by.signum(),
    }
}

/// Returns the grade of a card from the scores of its sittings, which must be in the order of the sittings. Returns
/// None if there are no scores.
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

/// Returns the percentile of a score: 100 times the number of learners with the same score or a lower score, divided by
/// the number of all learners. The learner is included in both numbers. The percentile has 7 decimal places, so few
/// learners have the same percentile. Returns None if `all` is 0.
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
