//! Checks the answers that learners send against the paper of their sitting, and converts them for storage.

use std::collections::BTreeMap;

use jishu_entity::question_version::QuestionKind;
use jishu_entity::test_answer;
use question_formats::number;

use super::Sitting;
use crate::error::Refusal;
use crate::scoring::{LearnerAnswer, MAX_ANSWER_CHARS};

/// Maximum number of answers in a batch.
pub const MAX_ANSWERS_PER_BATCH: usize = 200;
/// Maximum sequence number of a batch. It allows more than ten batches a second for a day. A client that uses the time
/// as the number of a batch gets an error for its first batch, and not later when the number overflows.
const MAX_BATCH_SEQUENCE: i32 = 1_000_000;
/// Maximum time that a client can report for a question, in seconds: a week.
const MAX_TIME_SPENT_SECONDS: i32 = 7 * 86_400;

/// A learner's answer in a slot. It replaces the whole previous state of the slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GivenAnswer {
    /// The slot of the question in the paper, from 1.
    pub slot: i32,
    /// The chosen options, by the positions in which the sitting shows them, from 0. None if the client sent no
    /// options.
    pub options: Option<Vec<usize>>,
    /// The number as the learner typed it. None if the client sent no number; Some(None) if it sent null, which means
    /// no answer.
    pub number: Option<Option<String>>,
    /// The text as the learner typed it. None if the client sent no text; Some(None) if it sent null, which means no
    /// answer.
    pub text: Option<Option<String>>,
    /// Whether the learner flagged the question to return to it.
    pub flagged: bool,
    /// The time for which the question was shown in total, in seconds. None if the client does not report it.
    pub time_spent_seconds: Option<i32>,
}

/// A batch of answers that the client numbered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerBatch {
    /// The number of the batch in its sitting, from 1, greater than that of every batch before it. In each slot, the
    /// answer of the batch with the greatest number counts.
    pub sequence: i32,
    /// The answers, each for one slot.
    pub answers: Vec<GivenAnswer>,
}

/// A reason to refuse a batch of answers. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerRefusal {
    /// The batch is empty or too large.
    #[error("A batch has 1 to {MAX_ANSWERS_PER_BATCH} answers, but {0} were given.")]
    WrongCount(usize),
    /// The number of the batch is out of range.
    #[error(
        "Number batches from 1 to {MAX_BATCH_SEQUENCE}, each with a greater number than the batch before."
    )]
    Sequence,
    /// The paper has no such slot.
    #[error("This paper has no slot {slot}; its slots are 1 to {slots}.")]
    NoSuchSlot {
        /// The slot that was given.
        slot: i32,
        /// The number of slots of the paper.
        slots: usize,
    },
    /// The answer has no options, no number and no text.
    #[error(
        "Slot {0}: give the chosen options, the number or the text, even if only the flag changes. An empty list of \
         options, or a null number or text, means no answer."
    )]
    NothingGiven(i32),
    /// An option does not exist, or belongs to another slot or sitting.
    #[error("Slot {0} has no such option in this sitting.")]
    NoSuchOption(i32),
    /// The question takes one option, and several were given.
    #[error("Slot {0} takes one option, but several were given.")]
    OneOption(i32),
    /// Options or a text were given for a question that asks for a number.
    #[error("Slot {0} asks for a number, not for options or a text.")]
    WantsNumber(i32),
    /// A number or a text was given for a question that has options.
    #[error("Slot {0} asks for options, not for a number or a text.")]
    WantsOptions(i32),
    /// Options or a number were given for a question that asks for a text.
    #[error("Slot {0} asks for a text, not for options or a number.")]
    WantsText(i32),
    /// The text is too long.
    #[error("Slot {0}: a text has at most {MAX_ANSWER_CHARS} characters.")]
    TextTooLong(i32),
    /// The text has a control character that is not white space. Databases cannot store some of these characters.
    #[error("Slot {0}: the text has a control character. Remove it.")]
    ControlCharacter(i32),
    /// The text is not a number, or has more digits than can be stored.
    #[error("Slot {0}: a numeric answer is a number of at most 28 digits, such as \"9.81\" or \"-1.5e-3\".")]
    NotANumber(i32),
    /// The time spent is out of range.
    #[error("Slot {0}: the time spent must be 0 to {MAX_TIME_SPENT_SECONDS} seconds.")]
    Time(i32),
}

impl Refusal for AnswerRefusal {}

impl AnswerRefusal {
    /// Returns the slot of the refused answer. None if the batch as a whole was refused.
    #[must_use]
    pub fn slot(&self) -> Option<i32> {
        match self {
            Self::WrongCount(_) | Self::Sequence => None,
            Self::NoSuchSlot { slot, .. }
            | Self::NothingGiven(slot)
            | Self::NoSuchOption(slot)
            | Self::OneOption(slot)
            | Self::WantsNumber(slot)
            | Self::WantsOptions(slot)
            | Self::WantsText(slot)
            | Self::TextTooLong(slot)
            | Self::ControlCharacter(slot)
            | Self::NotANumber(slot)
            | Self::Time(slot) => Some(*slot),
        }
    }
}

/// An answer as it is stored. Bit n of `chosen` is the option at the author's position n.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoredAnswer {
    pub(super) slot: i32,
    pub(super) chosen: i64,
    pub(super) number: Option<String>,
    pub(super) text: Option<String>,
    pub(super) flagged: bool,
    pub(super) time_spent_seconds: Option<i32>,
}

impl StoredAnswer {
    /// Tells whether a stored row has this answer, from a batch with any number.
    pub(super) fn is_stored_in(&self, row: &test_answer::Model) -> bool {
        row.slot == self.slot
            && row.chosen == self.chosen
            && row.numeric_value == self.number
            && row.text == self.text
            && row.flagged == self.flagged
            && row.time_spent_seconds == self.time_spent_seconds
    }
}

/// Checks the sequence number and the answers of a batch. Converts the answers for storage, and sorts them by slot. If
/// a slot is given twice, the later answer counts.
pub(super) fn check_batch(
    sitting: &Sitting,
    sequence: i32,
    answers: Vec<GivenAnswer>,
) -> Result<Vec<StoredAnswer>, AnswerRefusal> {
    if answers.is_empty() || answers.len() > MAX_ANSWERS_PER_BATCH {
        return Err(AnswerRefusal::WrongCount(answers.len()));
    }
    if !(1..=MAX_BATCH_SEQUENCE).contains(&sequence) {
        return Err(AnswerRefusal::Sequence);
    }
    let mut stored = BTreeMap::new();
    for answer in answers {
        let answer = stored_answer(sitting, answer)?;
        stored.insert(answer.slot, answer);
    }
    Ok(stored.into_values().collect())
}

/// Checks an answer, and converts it for storage.
fn stored_answer(sitting: &Sitting, answer: GivenAnswer) -> Result<StoredAnswer, AnswerRefusal> {
    let slot = answer.slot;
    let slots = sitting.paper.questions.len();
    let question = sitting.paper.question(slot).ok_or(AnswerRefusal::NoSuchSlot { slot, slots })?;
    if answer.options.is_none() && answer.number.is_none() && answer.text.is_none() {
        return Err(AnswerRefusal::NothingGiven(slot));
    }
    let options = answer.options.unwrap_or_default();
    // If a learner deletes a number, the client sends a blank text. A blank text means no answer.
    let number = match answer.number.flatten().filter(|text| !text.trim().is_empty()) {
        Some(text) => Some(number::exact(&text).ok_or(AnswerRefusal::NotANumber(slot))?),
        None => None,
    };
    let text = answer.text.flatten().filter(|text| !text.trim().is_empty());
    let (has_options, has_number, has_text) = (!options.is_empty(), number.is_some(), text.is_some());
    match question.kind {
        QuestionKind::Numeric if has_options || has_text => return Err(AnswerRefusal::WantsNumber(slot)),
        QuestionKind::SingleChoice | QuestionKind::MultipleChoice if has_number || has_text => {
            return Err(AnswerRefusal::WantsOptions(slot));
        }
        QuestionKind::ShortAnswer if has_options || has_number => return Err(AnswerRefusal::WantsText(slot)),
        _ => {}
    }
    if let Some(text) = &text {
        check_text(slot, text)?;
    }
    let order = sitting.option_order(slot, question);
    let mut chosen = 0;
    for shown_at in options {
        let position = order.get(shown_at).ok_or(AnswerRefusal::NoSuchOption(slot))?;
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
        text,
        flagged: answer.flagged,
        time_spent_seconds: answer.time_spent_seconds,
    })
}

/// Refuses a text that is too long, or that has control characters other than white space. The text is stored as it was
/// typed.
fn check_text(slot: i32, text: &str) -> Result<(), AnswerRefusal> {
    if text.chars().count() > MAX_ANSWER_CHARS {
        return Err(AnswerRefusal::TextTooLong(slot));
    }
    match text.chars().any(|char| char.is_control() && !char.is_whitespace()) {
        true => Err(AnswerRefusal::ControlCharacter(slot)),
        false => Ok(()),
    }
}

/// Converts a stored answer to the form that scoring takes.
#[must_use]
pub fn learner_answer(row: &test_answer::Model) -> LearnerAnswer {
    // This server wrote the column, so it has only valid numbers.
    let number = row.numeric_value.as_deref().and_then(|text| text.parse().ok());
    LearnerAnswer { options: row.chosen, number, text: row.text.clone() }
}
