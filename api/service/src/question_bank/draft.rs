//! A question on its way into the bank or out of it, whatever the format, and the one place that says what a question
//! must be.

use std::borrow::Cow;
use std::collections::HashSet;

use jishu_entity::question_version::{Difficulty, QuestionKind, TextFormat};
use rust_decimal::Decimal;

use super::hash::Hash;
use super::made_up::{EmbeddedFile, is_made_up, made_up_id};

use crate::name::{has_visible, is_readable};

/// The most characters of a stem or an explanation.
pub(super) const MOST_STEM_CHARS: usize = 20_000;
/// The most bytes of any one text: what a `TEXT` of MariaDB holds.
const MOST_TEXT_BYTES: usize = 65_535;
/// The most characters of a topic's name.
pub(super) const MOST_TOPIC_CHARS: usize = 200;
/// The most characters of an external id.
pub(super) const MOST_ID_CHARS: usize = 128;
/// How many options a question has: they are lettered from A to Z.
const OPTIONS: std::ops::RangeInclusive<usize> = 2..=26;

/// An option of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DraftOption {
    /// What it says.
    pub text: String,
    /// Whether it is of the key.
    pub correct: bool,
}

/// How a question is answered, and the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DraftAnswer {
    /// By choosing one option.
    Single(Vec<DraftOption>),
    /// By choosing all correct options and no other.
    Multiple(Vec<DraftOption>),
    /// With a number.
    Numeric {
        /// The key.
        value: Decimal,
        /// How far from it an answer is still correct, the ends included.
        tolerance: Decimal,
    },
}

impl DraftAnswer {
    /// As the bank names it.
    #[must_use]
    pub fn kind(&self) -> QuestionKind {
        match self {
            Self::Single(_) => QuestionKind::SingleChoice,
            Self::Multiple(_) => QuestionKind::MultipleChoice,
            Self::Numeric { .. } => QuestionKind::Numeric,
        }
    }

    /// The options; none of a number.
    #[must_use]
    pub fn options(&self) -> &[DraftOption] {
        match self {
            Self::Single(options) | Self::Multiple(options) => options,
            Self::Numeric { .. } => &[],
        }
    }
}

/// A question that may be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DraftQuestion {
    /// Where it begins in its file, from 1; 0 when it comes from the bank.
    pub line: u32,
    /// What its authors call it, or a name made of what it says.
    pub external_id: String,
    /// The origin of its external id.
    pub id_origin: IdOrigin,
    /// What it is about.
    pub topic: String,
    /// How hard it is.
    pub difficulty: Difficulty,
    /// How its texts are to be read.
    pub text_format: TextFormat,
    /// What is asked.
    pub stem: String,
    /// How it is answered.
    pub answer: DraftAnswer,
    /// Why the key is the key.
    pub explanation: Option<String>,
}

/// The origin of the external id of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdOrigin {
    /// Its authors gave it, or the bank has it.
    Given,
    /// It was derived from the content of the question, so that another question may have the same words.
    MadeUp {
        /// The id that was derived before embedded files counted, if it differs.
        earlier: Option<String>,
    },
}

/// What a file says of a question, before it is checked. What is absent has a default.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) line: u32,
    pub(super) external_id: Option<String>,
    /// What it is called, where that is not its id: others may be called the same.
    pub(super) name: Option<String>,
    pub(super) topic: Option<String>,
    pub(super) difficulty: Option<Difficulty>,
    pub(super) text_format: TextFormat,
    pub(super) stem: String,
    pub(super) answer: DraftAnswer,
    pub(super) explanation: Option<String>,
    /// The embedded files that it asks about. They are not kept, and tell questions apart.
    pub(super) files: Vec<EmbeddedFile>,
    /// What of it cannot be kept.
    pub(super) losses: Vec<String>,
}

/// What a question is given that its file says nothing of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// The topic.
    pub topic: String,
    /// The difficulty.
    pub difficulty: Difficulty,
}

/// Why a question cannot be stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuestion {
    /// Nothing is asked.
    #[error("It asks nothing. Write the question before its answers.")]
    StemBlank,
    /// More than a stem may have.
    #[error("Its text has more than {MOST_STEM_CHARS} characters. Shorten it.")]
    StemTooLong,
    /// More than an explanation may have.
    #[error("Its explanation has more than {MOST_STEM_CHARS} characters. Shorten it.")]
    ExplanationTooLong,
    /// More than the database holds in one place.
    #[error("One of its texts has more than {MOST_TEXT_BYTES} bytes. Shorten it.")]
    TextTooLong,
    /// The name of the topic is invisible, or changes the text around it.
    #[error("Its topic has invisible characters or controls of the writing direction. Remove them.")]
    TopicUnreadable,
    /// The external id cannot be seen, or changes the text around it.
    #[error("Its external id has invisible characters or controls of the writing direction. Take them out.")]
    IdUnreadable,
    /// A control character.
    #[error("It has a control character (U+{0:04X}). Take it out.")]
    ControlCharacter(u32),
    /// Not a number of options that can be lettered.
    #[error("It has {0} options. Give 2 to 26.")]
    OptionCount(usize),
    /// An option without text.
    #[error("Option {0} is blank. Give it a text, or take it out.")]
    OptionBlank(char),
    /// Two options that say the same.
    #[error("Options {0} and {1} say the same. Change one, or take it out.")]
    OptionsAlike(char, char),
    /// A single choice with another number of correct options than one.
    #[error("{0} of its options are correct, and of a single choice exactly one must be.")]
    NotOneCorrect(usize),
    /// A multiple choice without a correct option.
    #[error("None of its options is correct. Mark at least one.")]
    NoneCorrect,
    /// A tolerance below zero.
    #[error("Its tolerance is negative. Give 0 or more.")]
    ToleranceNegative,
    /// No name, or too long a one.
    #[error("Its topic has {0} characters. Give 1 to {MOST_TOPIC_CHARS}.")]
    TopicLength(usize),
    /// No id, or too long a one.
    #[error("Its external id has {0} characters. Give 1 to {MOST_ID_CHARS}.")]
    IdLength(usize),
}

impl Found {
    /// As it would be stored.
    pub(super) fn check(self, defaults: &Defaults) -> Result<DraftQuestion, InvalidQuestion> {
        let stem = clean(&self.stem);
        if !has_visible(&stem) {
            return Err(InvalidQuestion::StemBlank);
        }
        if stem.chars().count() > MOST_STEM_CHARS {
            return Err(InvalidQuestion::StemTooLong);
        }
        let explanation = self.explanation.as_deref().map(clean).filter(|text| !text.is_empty());
        if explanation.as_ref().is_some_and(|text| text.chars().count() > MOST_STEM_CHARS) {
            return Err(InvalidQuestion::ExplanationTooLong);
        }
        let answer = check_answer(self.answer)?;
        let texts = answer.options().iter().map(|option| &option.text);
        for text in [&stem].into_iter().chain(&explanation).chain(texts) {
            check_text(text)?;
        }
        let topic = clean(self.topic.as_ref().unwrap_or(&defaults.topic));
        check_topic(&topic)?;
        let (external_id, id_origin) = match self.external_id {
            // An export has ids that were made up.
            Some(id) if is_made_up(&id) => (clean(&id), IdOrigin::MadeUp { earlier: None }),
            Some(id) => (clean(&id), IdOrigin::Given),
            None => made_up_id(&stem, &answer, self.files),
        };
        let length = external_id.chars().count();
        if !(1..=MOST_ID_CHARS).contains(&length) {
            return Err(InvalidQuestion::IdLength(length));
        }
        check_line(&external_id)?;
        if !is_readable(&external_id) {
            return Err(InvalidQuestion::IdUnreadable);
        }
        Ok(DraftQuestion {
            line: self.line,
            external_id,
            id_origin,
            topic,
            difficulty: self.difficulty.unwrap_or(defaults.difficulty),
            text_format: self.text_format,
            stem,
            answer,
            explanation,
        })
    }
}

/// Without blanks at the ends, and with lines ended as on Unix. MariaDB takes `"a "` and `"a"` for the same id.
pub(super) fn clean(text: &str) -> String {
    unix_lines(text.trim()).into_owned()
}

/// With lines ended as on Unix, whether they were as on Windows or on an old Macintosh.
pub(super) fn unix_lines(text: &str) -> Cow<'_, str> {
    match text.contains('\r') {
        true => Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")),
        false => Cow::Borrowed(text),
    }
}

/// Whether a topic can be called so.
pub(super) fn check_topic(topic: &str) -> Result<(), InvalidQuestion> {
    let length = topic.chars().count();
    if !(1..=MOST_TOPIC_CHARS).contains(&length) {
        return Err(InvalidQuestion::TopicLength(length));
    }
    check_line(topic)?;
    if is_readable(topic) { Ok(()) } else { Err(InvalidQuestion::TopicUnreadable) }
}

fn check_line(text: &str) -> Result<(), InvalidQuestion> {
    text.chars().find(|char| is_forbidden(*char)).map_or(Ok(()), |char| Err(control(char)))
}

fn check_text(text: &str) -> Result<(), InvalidQuestion> {
    if text.len() > MOST_TEXT_BYTES {
        return Err(InvalidQuestion::TextTooLong);
    }
    let found = text.chars().find(|char| is_forbidden(*char) && !matches!(char, '\n' | '\t'));
    found.map_or(Ok(()), |char| Err(control(char)))
}

/// Control characters, and the two that XML cannot carry.
fn is_forbidden(char: char) -> bool {
    char.is_control() || matches!(char, '\u{fffe}' | '\u{ffff}')
}

fn control(char: char) -> InvalidQuestion {
    InvalidQuestion::ControlCharacter(u32::from(char))
}

fn check_answer(answer: DraftAnswer) -> Result<DraftAnswer, InvalidQuestion> {
    Ok(match answer {
        DraftAnswer::Single(options) => {
            let options = check_options(options)?;
            match options.iter().filter(|option| option.correct).count() {
                1 => DraftAnswer::Single(options),
                correct => return Err(InvalidQuestion::NotOneCorrect(correct)),
            }
        }
        DraftAnswer::Multiple(options) => {
            let options = check_options(options)?;
            if !options.iter().any(|option| option.correct) {
                return Err(InvalidQuestion::NoneCorrect);
            }
            DraftAnswer::Multiple(options)
        }
        DraftAnswer::Numeric { tolerance, .. } if tolerance < Decimal::ZERO => {
            return Err(InvalidQuestion::ToleranceNegative);
        }
        DraftAnswer::Numeric { value, tolerance } => {
            DraftAnswer::Numeric { value: value.normalize(), tolerance: tolerance.normalize() }
        }
    })
}

fn check_options(options: Vec<DraftOption>) -> Result<Vec<DraftOption>, InvalidQuestion> {
    if !OPTIONS.contains(&options.len()) {
        return Err(InvalidQuestion::OptionCount(options.len()));
    }
    let clean = |option: DraftOption| DraftOption { text: clean(&option.text), ..option };
    let options: Vec<_> = options.into_iter().map(clean).collect();
    let mut seen = HashSet::new();
    for (option, letter) in options.iter().zip('A'..) {
        if !has_visible(&option.text) {
            return Err(InvalidQuestion::OptionBlank(letter));
        }
        if !seen.insert(option.text.as_str()) {
            let twin = options.iter().zip('A'..).find(|(other, _)| other.text == option.text);
            return Err(InvalidQuestion::OptionsAlike(twin.map_or('A', |(_, twin)| twin), letter));
        }
    }
    Ok(options)
}

impl DraftQuestion {
    /// Checks that its answer and its texts may be stored, and returns the question.
    pub(super) fn check(self) -> Result<Self, InvalidQuestion> {
        let defaults = Defaults { topic: self.topic, difficulty: self.difficulty };
        let found = Found {
            line: self.line,
            // Its own is in the bank, and stays.
            external_id: Some("id".to_owned()),
            name: None,
            topic: None,
            difficulty: None,
            text_format: self.text_format,
            stem: self.stem,
            answer: self.answer,
            explanation: self.explanation,
            files: Vec::new(),
            losses: Vec::new(),
        };
        let checked = found.check(&defaults)?;
        Ok(Self { id_origin: self.id_origin, external_id: self.external_id, ..checked })
    }

    /// SHA-256 of all that it says besides its name, in hexadecimal.
    #[must_use]
    pub fn content_hash(&self) -> String {
        let mut hash = Hash::default();
        let difficulty = match self.difficulty {
            Difficulty::Easy => "easy",
            Difficulty::Medium => "medium",
            Difficulty::Hard => "hard",
        };
        let kind = match self.answer.kind() {
            QuestionKind::SingleChoice => "single",
            QuestionKind::MultipleChoice => "multiple",
            QuestionKind::Numeric => "numeric",
        };
        let text_format = match self.text_format {
            TextFormat::Plain => "plain",
            TextFormat::Markdown => "markdown",
            TextFormat::Html => "html",
        };
        let explanation = self.explanation.as_deref().unwrap_or_default();
        for part in [&self.topic, difficulty, kind, text_format, &self.stem, explanation] {
            hash.add(part);
        }
        if let DraftAnswer::Numeric { value, tolerance } = &self.answer {
            hash.add(&value.normalize().to_string());
            hash.add(&tolerance.normalize().to_string());
        }
        for option in self.answer.options() {
            hash.add(&option.text);
            hash.add(if option.correct { "correct" } else { "wrong" });
        }
        hash.hex()
    }

    /// About how many bytes it has.
    pub(super) fn size(&self) -> usize {
        let options: usize = self.answer.options().iter().map(|option| option.text.len()).sum();
        self.stem.len() + self.explanation.as_ref().map_or(0, String::len) + options
    }
}
