//! The rules that a question must meet to be stored.

use std::borrow::Cow;
use std::collections::HashSet;

use jishu_entity::question_version::Difficulty;
use question_formats::typed_text::{TextPattern, single_spaced};
use question_formats::{
    DraftAnswer, DraftOption, DraftQuestion, IdOrigin, MAX_TOPIC_CHARS, OptionOrder, ParsedQuestion,
    is_derived_id,
};
use rust_decimal::Decimal;

use super::columns;
use crate::name::{has_visible, is_readable};
use crate::scoring::MAX_ANSWER_CHARS;

/// The maximum number of characters of a stem, and of an explanation.
pub(super) const MAX_STEM_CHARS: usize = 20_000;
/// The maximum number of bytes of a stem, an explanation or an option. A `TEXT` column of MariaDB holds no more.
const MAX_TEXT_BYTES: usize = 65_535;
/// The maximum number of characters of an external id.
pub(super) const MAX_ID_CHARS: usize = 128;
/// The allowed numbers of options of a question. Each option is named by a letter from A to Z.
const OPTION_COUNTS: std::ops::RangeInclusive<usize> = 2..=26;

/// The maximum number of accepted texts of a short answer.
const MAX_ACCEPTED_TEXTS: usize = 100;

/// The topic and the difficulty of questions whose file gives none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// The name of the topic.
    pub topic: String,
    /// The difficulty.
    pub difficulty: Difficulty,
}

/// The reason why a question cannot be stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuestion {
    /// The stem has no visible character.
    #[error("It asks nothing. Write the question before its answers.")]
    StemBlank,
    /// The stem is too long.
    #[error("Its text has more than {MAX_STEM_CHARS} characters. Shorten it.")]
    StemTooLong,
    /// The explanation is too long.
    #[error("The explanation has more than {MAX_STEM_CHARS} characters. Shorten it.")]
    ExplanationTooLong,
    /// A text is too long for its column in the database.
    #[error("One of its texts has more than {MAX_TEXT_BYTES} bytes. Shorten it.")]
    TextTooLong,
    /// The topic has invisible or unassigned characters, or characters that change the writing direction.
    #[error(
        "Its topic has characters that are invisible or not assigned in Unicode, or that change the writing direction. \
         Remove them."
    )]
    TopicUnreadable,
    /// The external id has invisible or unassigned characters, or characters that change the writing direction.
    #[error(
        "Its external id has characters that are invisible or not assigned in Unicode, or that change the writing \
         direction. Remove them."
    )]
    IdUnreadable,
    /// A text has a control character that is not allowed. The variant has its code point.
    #[error("It has a control character (U+{0:04X}). Remove it.")]
    ControlCharacter(u32),
    /// The number of options is not 2 to 26.
    #[error("It has {0} options. Give 2 to 26.")]
    OptionCount(usize),
    /// An option has no visible character.
    #[error("Option {0} is blank. Write its text, or remove the option.")]
    OptionBlank(char),
    /// Two options have the same text. The variant has their letters.
    #[error("Options {0} and {1} have the same text. Change one, or remove it.")]
    OptionsAlike(char, char),
    /// The number of correct options of a single choice is not 1.
    #[error("It has {0} correct options, but it is a single choice. Mark exactly one option as correct.")]
    NotOneCorrect(usize),
    /// A multiple choice has no correct option.
    #[error("It has no correct option. Mark at least one option as correct.")]
    NoneCorrect,
    /// The number of accepted texts is not 1 to 100.
    #[error("It has {0} accepted texts. Give 1 to {MAX_ACCEPTED_TEXTS}.")]
    TextCount(usize),
    /// An accepted text has no visible character.
    #[error("Accepted text {0} is blank. Write it, or remove it.")]
    AcceptedTextBlank(usize),
    /// An accepted text is longer than what a learner may type.
    #[error("Accepted text {0} has more than {MAX_ANSWER_CHARS} characters. Shorten it.")]
    AcceptedTextTooLong(usize),
    /// An accepted text has a control character.
    #[error("Accepted text {0} has a control character. Remove it.")]
    AcceptedTextControl(usize),
    /// An accepted text consists of wildcards and spaces only.
    #[error("Accepted text {0} accepts every text. Write a letter beside the asterisk.")]
    AcceptsEverything(usize),
    /// A text shows a file that cannot be kept. The variant names the file and the reason, as sentences.
    #[error("{0}")]
    FileNotKept(String),
    /// The tolerance is below zero.
    #[error("Its tolerance is negative. Give 0 or more.")]
    ToleranceNegative,
    /// The topic is empty or too long.
    #[error("Its topic has {0} characters. Give 1 to {MAX_TOPIC_CHARS}.")]
    TopicLength(usize),
    /// The external id is empty or too long.
    #[error("Its external id has {0} characters. Give 1 to {MAX_ID_CHARS}.")]
    IdLength(usize),
}

/// Checks a question of a file. Returns the question as it is stored, with trimmed texts, and with the defaults for a
/// missing topic or difficulty.
pub(crate) fn check(parsed: ParsedQuestion, defaults: &Defaults) -> Result<DraftQuestion, InvalidQuestion> {
    let stem = clean(&parsed.stem);
    let explanation = parsed.explanation.as_deref().map(clean).filter(|text| !text.is_empty());
    check_stem(&stem, explanation.as_deref())?;
    let answer = check_answer(parsed.answer)?;
    check_texts(&stem, &answer, explanation.as_deref())?;
    let option_order = checked_order(parsed.option_order, &answer);
    let topic = clean(parsed.topic.as_ref().unwrap_or(&defaults.topic));
    check_topic(&topic)?;
    let (external_id, id_origin) = match parsed.external_id {
        // The id in the file can be a derived id, because exported files contain derived ids.
        Some(id) if is_derived_id(&id) => (clean(&id), IdOrigin::Derived { earlier: None }),
        Some(id) => (clean(&id), IdOrigin::Given),
        None => (parsed.derived_id, IdOrigin::Derived { earlier: parsed.earlier_derived_id }),
    };
    let length = external_id.chars().count();
    if !(1..=MAX_ID_CHARS).contains(&length) {
        return Err(InvalidQuestion::IdLength(length));
    }
    check_line(&external_id)?;
    if !is_readable(&external_id) {
        return Err(InvalidQuestion::IdUnreadable);
    }
    Ok(DraftQuestion {
        line: parsed.line,
        external_id,
        id_origin,
        topic,
        difficulty: parsed.difficulty.unwrap_or(columns::draft_difficulty(defaults.difficulty)),
        text_format: parsed.text_format,
        stem,
        answer,
        option_order,
        explanation,
        pictures: parsed.pictures,
    })
}

/// Checks a question of the bank whose key or explanation was changed. Returns the question as it is stored.
pub(super) fn check_changed(question: DraftQuestion) -> Result<DraftQuestion, InvalidQuestion> {
    let stem = clean(&question.stem);
    let explanation = question.explanation.as_deref().map(clean).filter(|text| !text.is_empty());
    check_stem(&stem, explanation.as_deref())?;
    let answer = check_answer(question.answer)?;
    check_texts(&stem, &answer, explanation.as_deref())?;
    let topic = clean(&question.topic);
    check_topic(&topic)?;
    let option_order = checked_order(question.option_order, &answer);
    Ok(DraftQuestion { topic, stem, answer, explanation, option_order, ..question })
}

/// Returns the option order to store for an answer. An answer without options gets the default order.
fn checked_order(order: OptionOrder, answer: &DraftAnswer) -> OptionOrder {
    match answer.options().len() {
        0 => OptionOrder::default(),
        count if order.shuffled => OptionOrder::shuffled_except(order.fixed, count),
        _ => OptionOrder::kept(),
    }
}

/// Checks the stem and the length of the explanation.
fn check_stem(stem: &str, explanation: Option<&str>) -> Result<(), InvalidQuestion> {
    if !has_visible(stem) {
        return Err(InvalidQuestion::StemBlank);
    }
    if stem.chars().count() > MAX_STEM_CHARS {
        return Err(InvalidQuestion::StemTooLong);
    }
    if explanation.is_some_and(|text| text.chars().count() > MAX_STEM_CHARS) {
        return Err(InvalidQuestion::ExplanationTooLong);
    }
    Ok(())
}

/// Checks the length and the characters of the stem, the options and the explanation.
fn check_texts(stem: &str, answer: &DraftAnswer, explanation: Option<&str>) -> Result<(), InvalidQuestion> {
    let options = answer.options().iter().map(|option| option.text.as_str());
    [stem].into_iter().chain(explanation).chain(options).try_for_each(check_text)
}

/// Trims a text, and replaces its line ends with those of Unix. Trimming matters for ids: to MariaDB, `"a "` and `"a"`
/// are the same id.
pub(crate) fn clean(text: &str) -> String {
    unix_lines(text.trim()).into_owned()
}

/// Replaces the line ends of Windows and of old Macintoshes with those of Unix.
pub(super) fn unix_lines(text: &str) -> Cow<'_, str> {
    match text.contains('\r') {
        true => Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")),
        false => Cow::Borrowed(text),
    }
}

/// Checks the length and the characters of the name of a topic.
pub(super) fn check_topic(topic: &str) -> Result<(), InvalidQuestion> {
    let length = topic.chars().count();
    if !(1..=MAX_TOPIC_CHARS).contains(&length) {
        return Err(InvalidQuestion::TopicLength(length));
    }
    check_line(topic)?;
    if is_readable(topic) { Ok(()) } else { Err(InvalidQuestion::TopicUnreadable) }
}

/// Refuses control characters in a text that must be one line.
fn check_line(text: &str) -> Result<(), InvalidQuestion> {
    text.chars().find(|char| is_forbidden(*char)).map_or(Ok(()), |char| Err(control(char)))
}

/// Refuses a text that is too long, or that has control characters other than line breaks and tabs.
fn check_text(text: &str) -> Result<(), InvalidQuestion> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(InvalidQuestion::TextTooLong);
    }
    let found = text.chars().find(|char| is_forbidden(*char) && !matches!(char, '\n' | '\t'));
    found.map_or(Ok(()), |char| Err(control(char)))
}

/// Tells whether a character is a control character, or one of U+FFFE and U+FFFF, which XML cannot contain.
fn is_forbidden(char: char) -> bool {
    char.is_control() || matches!(char, '\u{fffe}' | '\u{ffff}')
}

/// Returns the error for a control character.
fn control(char: char) -> InvalidQuestion {
    InvalidQuestion::ControlCharacter(u32::from(char))
}

/// Checks the options, the number or the accepted texts of an answer, and returns the answer as it is stored.
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
        DraftAnswer::ShortAnswer { texts, is_case_sensitive } => {
            DraftAnswer::ShortAnswer { texts: check_accepted(&texts, is_case_sensitive)?, is_case_sensitive }
        }
    })
}

/// Checks the accepted texts of a short answer, and makes each run of white space in them one space. Drops a text if an
/// earlier text accepts exactly the same answers.
fn check_accepted(texts: &[String], is_case_sensitive: bool) -> Result<Vec<String>, InvalidQuestion> {
    if !(1..=MAX_ACCEPTED_TEXTS).contains(&texts.len()) {
        return Err(InvalidQuestion::TextCount(texts.len()));
    }
    let mut seen = HashSet::new();
    let mut checked = Vec::with_capacity(texts.len());
    for (text, number) in texts.iter().zip(1..) {
        let text = single_spaced(text);
        let pattern = TextPattern::new(&text, is_case_sensitive);
        if !has_visible(&text) {
            return Err(InvalidQuestion::AcceptedTextBlank(number));
        }
        if text.chars().count() > MAX_ANSWER_CHARS {
            return Err(InvalidQuestion::AcceptedTextTooLong(number));
        }
        if text.chars().any(is_forbidden) {
            return Err(InvalidQuestion::AcceptedTextControl(number));
        }
        if pattern.accepts_everything() {
            return Err(InvalidQuestion::AcceptsEverything(number));
        }
        if seen.insert(pattern) {
            checked.push(text);
        }
    }
    Ok(checked)
}

/// Checks the number and the texts of options, and trims the texts. Refuses two options with the same text.
fn check_options(options: Vec<DraftOption>) -> Result<Vec<DraftOption>, InvalidQuestion> {
    if !OPTION_COUNTS.contains(&options.len()) {
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

#[cfg(test)]
mod tests {
    use question_formats::{Format, read, write};
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    const GIFT: &str = "$CATEGORY: $course$/top/Optics\n\n// [id:opt-1] [tag:difficulty:hard]\n\
                        Where is the image? {=At 2f ~At f ~At infinity ####Draw the rays.}\n\n\
                        [html]<b>Which</b> are vectors? {~%50%Force ~%50%Velocity ~%-100%Mass}\n\nHow much? {#9.8:0.05}\n";

    fn defaults() -> Defaults {
        Defaults { topic: "General".to_owned(), difficulty: Difficulty::Medium }
    }

    fn checked(format: Format, text: &str) -> Vec<Result<DraftQuestion, InvalidQuestion>> {
        let Ok(file) = read(format, text) else { return Vec::new() };
        file.questions.into_iter().map(|parsed| check(parsed, &defaults())).collect()
    }

    #[test]
    fn export_and_import_keep_a_checked_question() {
        let lines = |questions: Vec<Result<DraftQuestion, _>>| {
            let questions = questions.into_iter().map(|question| question.expect("a question"));
            questions.map(|question| DraftQuestion { line: 0, ..question }).collect::<Vec<_>>()
        };
        let questions = lines(checked(Format::Gift, GIFT));
        assert_eq!(questions.len(), 3);
        for format in [Format::Gift, Format::MoodleXml, Format::Qti] {
            assert_eq!(lines(checked(format, &write(format, &questions).text)), questions, "{format:?}");
        }
        for question in questions {
            assert_eq!(check_changed(question.clone()), Ok(question));
        }
    }

    #[test]
    fn no_file_crashes_the_check() {
        let mut rng = StdRng::seed_from_u64(1);
        let questions: Vec<_> = checked(Format::Gift, GIFT).into_iter().flatten().collect();
        for format in [Format::Gift, Format::Aiken, Format::MoodleXml, Format::Qti] {
            let text: Vec<char> = write(format, &questions).text.chars().collect();
            for _ in 0..500 {
                let mut chars = text[..rng.random_range(0..=text.len())].to_vec();
                for _ in 0..rng.random_range(0..4) {
                    if !chars.is_empty() {
                        let at = rng.random_range(0..chars.len());
                        chars[at] = ['{', '}', '=', '~', '#', '\\', '<', '>', '\n', ':', '%', '"', '\0']
                            [rng.random_range(0..13)];
                    }
                }
                checked(format, &String::from_iter(chars));
            }
        }
    }
}
