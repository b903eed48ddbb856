//! Answers as learners send them, checked against the paper, and as they are stored.

use std::collections::BTreeMap;

use jishu_entity::question_version::QuestionKind;
use jishu_entity::test_answer;
use question_formats::number;

use super::Sitting;
use crate::error::Refusal;
use crate::scoring::Response;

/// The most answers that a batch may have.
pub const MOST_ANSWERS: usize = 200;
/// The greatest number of a batch: ten a second for a day. A client that numbers by its clock is told at once, and not
/// when its numbers have come to their end.
const LAST_SEQUENCE: i32 = 1_000_000;
/// The most seconds that a question may have been shown.
const MAX_TIME_SPENT_SECONDS: i32 = 7 * 86_400;

/// What a learner says of a slot: all of its state, in place of what was said before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GivenAnswer {
    /// The question's place in the paper, from 1.
    pub slot: i32,
    /// The chosen options by the places in which this sitting shows them, from 0. None where nothing is said of them.
    pub options: Option<Vec<usize>>,
    /// The number as it was typed. None where nothing is said of one, Some(None) for no answer.
    pub number: Option<Option<String>>,
    /// Marked for another look.
    pub flagged: bool,
    /// How long the question was shown so far, in seconds.
    pub time_spent_seconds: Option<i32>,
}

/// Why an answer cannot be one. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerRefusal {
    /// None or too many.
    #[error("A batch has 1 to {MOST_ANSWERS} answers; {0} were given.")]
    WrongCount(usize),
    /// Batches are numbered from 1, one by one.
    #[error("A batch has a number from 1 to {LAST_SEQUENCE}, greater than the number of the last batch.")]
    Sequence,
    /// The paper has no such slot.
    #[error("This paper has no slot {slot}; it has 1 to {slots}.")]
    NoSuchSlot {
        /// What was given.
        slot: i32,
        /// How many there are.
        slots: usize,
    },
    /// Neither options nor a number.
    #[error(
        "Slot {0}: give the chosen options or the number, even if only the flag changes. No option and no number mean \
         no answer."
    )]
    NothingSaid(i32),
    /// An option of another slot or sitting, or none at all.
    #[error("Slot {0} has no such option in this sitting.")]
    NoSuchOption(i32),
    /// More than one option of a question that has one.
    #[error("Slot {0} takes one option.")]
    OneOption(i32),
    /// Options for a question that asks for a number.
    #[error("Slot {0} asks for a number.")]
    NotOptions(i32),
    /// A number for a question that has options.
    #[error("Slot {0} has options to choose from.")]
    NotNumber(i32),
    /// What was typed is no number, or one that cannot be kept to its last digit.
    #[error(
        "Slot {0}: a numeric answer is a number of at most 28 digits, written out, such as \"9.81\" or \"-1.5e-3\"."
    )]
    NotANumber(i32),
    /// A time that cannot be.
    #[error("Slot {0}: the time spent must be 0 to {MAX_TIME_SPENT_SECONDS} seconds.")]
    Time(i32),
}

impl Refusal for AnswerRefusal {}

impl AnswerRefusal {
    /// The slot it is about.
    #[must_use]
    pub fn slot(&self) -> Option<i32> {
        match self {
            Self::WrongCount(_) | Self::Sequence => None,
            Self::NoSuchSlot { slot, .. }
            | Self::NothingSaid(slot)
            | Self::NoSuchOption(slot)
            | Self::OneOption(slot)
            | Self::NotOptions(slot)
            | Self::NotNumber(slot)
            | Self::NotANumber(slot)
            | Self::Time(slot) => Some(*slot),
        }
    }
}

/// An answer as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoredAnswer {
    pub(super) slot: i32,
    pub(super) chosen: i64,
    pub(super) number: Option<String>,
    pub(super) flagged: bool,
    pub(super) time_spent_seconds: Option<i32>,
}

impl StoredAnswer {
    /// Whether a row says the same, set by this batch.
    pub(super) fn is(&self, sequence: i32, row: &test_answer::Model) -> bool {
        row.sequence == sequence
            && row.slot == self.slot
            && row.chosen == self.chosen
            && row.numeric_value == self.number
            && row.flagged == self.flagged
            && row.time_spent_seconds == self.time_spent_seconds
    }
}

/// Checks a batch and puts it in the order of slots. Where a slot is given twice, the later one counts.
pub(super) fn checked(
    sitting: &Sitting,
    sequence: i32,
    answers: Vec<GivenAnswer>,
) -> Result<Vec<StoredAnswer>, AnswerRefusal> {
    if answers.is_empty() || answers.len() > MOST_ANSWERS {
        return Err(AnswerRefusal::WrongCount(answers.len()));
    }
    if !(1..=LAST_SEQUENCE).contains(&sequence) {
        return Err(AnswerRefusal::Sequence);
    }
    let mut stored = BTreeMap::new();
    for answer in answers {
        let answer = stored_answer(sitting, answer)?;
        stored.insert(answer.slot, answer);
    }
    Ok(stored.into_values().collect())
}

fn stored_answer(sitting: &Sitting, answer: GivenAnswer) -> Result<StoredAnswer, AnswerRefusal> {
    let slot = answer.slot;
    let slots = sitting.paper.questions.len();
    let question = sitting.paper.question(slot).ok_or(AnswerRefusal::NoSuchSlot { slot, slots })?;
    if answer.options.is_none() && answer.number.is_none() {
        return Err(AnswerRefusal::NothingSaid(slot));
    }
    let options = answer.options.unwrap_or_default();
    // Of what was typed and taken away again nothing is left.
    let number = match answer.number.flatten().filter(|text| !text.trim().is_empty()) {
        Some(text) => Some(number::exact(&text).ok_or(AnswerRefusal::NotANumber(slot))?),
        None => None,
    };
    match question.kind {
        QuestionKind::Numeric if !options.is_empty() => return Err(AnswerRefusal::NotOptions(slot)),
        QuestionKind::SingleChoice | QuestionKind::MultipleChoice if number.is_some() => {
            return Err(AnswerRefusal::NotNumber(slot));
        }
        _ => {}
    }
    let order = sitting.shown(slot, question.options.len());
    let mut chosen = 0;
    for place in options {
        let position = order.get(place).ok_or(AnswerRefusal::NoSuchOption(slot))?;
        chosen |= 1 << position;
    }
    if question.kind == QuestionKind::SingleChoice && chosen & (chosen - 1) != 0 {
        return Err(AnswerRefusal::OneOption(slot));
    }
    if answer.time_spent_seconds.is_some_and(|seconds| !(0..=MAX_TIME_SPENT_SECONDS).contains(&seconds)) {
        return Err(AnswerRefusal::Time(slot));
    }
    Ok(StoredAnswer {
        slot,
        chosen,
        number: number.map(|number| number.to_string()),
        flagged: answer.flagged,
        time_spent_seconds: answer.time_spent_seconds,
    })
}

/// What a row answers.
#[must_use]
pub fn response(row: &test_answer::Model) -> Response {
    // We wrote it, from a number.
    let number = row.numeric_value.as_deref().and_then(|text| text.parse().ok());
    Response { options: row.chosen, number }
}
