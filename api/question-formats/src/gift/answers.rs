//! Reads the answers of a question in GIFT, which are between braces.

use crate::draft::DraftTextFormat;
use crate::{number, weights};
use rust_decimal::Decimal;

use super::text::{declared, find, formatted, unescape};
use crate::key::ParsedKey;
use crate::markup::FormattedText;
use crate::short_answer::{self, ListedText};

/// The key and the options that the answers of a question give.
pub(super) struct Answers {
    pub(super) key: ParsedKey,
    /// The texts of the options, if the question is a choice.
    pub(super) options: Vec<FormattedText>,
}

/// One answer between the braces.
struct ListedAnswer<'a> {
    /// The sign that begins the answer: `=` or `~`.
    sign: u8,
    /// The marks that the answer gives, in per cent; `None` if the answer states no marks.
    weight: Option<f64>,
    text: &'a str,
    feedback: Option<&'a str>,
}

/// The facts about a question that are known before its answers are read.
pub(super) struct Surroundings {
    /// The format that the stem declares; `None` if the stem declares no format.
    pub(super) stem_format: Option<DraftTextFormat>,
    /// Whether the stem is empty or ends with white space before the braces. Otherwise, the braces can be part of a
    /// formula or of code.
    pub(super) stands_apart: bool,
    /// Whether capital and small letters differ in a short answer.
    pub(super) is_case_sensitive: bool,
}

/// Reads the answers of a question. `text` is the text between the braces, without the general feedback after `####`.
/// Returns a message for the author if the answers cannot be read.
pub(super) fn read(
    text: &str,
    surroundings: &Surroundings,
    losses: &mut Vec<String>,
) -> Result<Answers, String> {
    let stem_format = surroundings.stem_format;
    let text = text.trim();
    if text.is_empty() {
        return Err("It is an essay, which cannot be stored. Give it options, a text or a number.".to_owned());
    }
    if let Some(numeric) = text.strip_prefix('#') {
        let key = read_numeric(numeric, losses)?;
        return Ok(Answers { key, options: Vec::new() });
    }
    if let Some(truth) = truth(text, losses) {
        let format = stem_format.unwrap_or(DraftTextFormat::Plain);
        let options = ["True", "False"].map(|text| FormattedText::new(text, format));
        let key = ParsedKey::Choice { is_multiple: false, correct: vec![truth, !truth] };
        return Ok(Answers { key, options: options.to_vec() });
    }
    if find(text, "~").is_none() {
        let key = match (find(text, "="), find(text, "->")) {
            (Some(_), Some(_)) => {
                return Err(
                    "It is a matching question, which cannot be stored. Ask for one pair in each question."
                        .to_owned(),
                );
            }
            (Some(_), None) => read_texts(&split(text)?, surroundings, losses)?,
            // As in Moodle, a single accepted text needs no sign.
            _ if surroundings.stands_apart && is_single_text(text) => {
                let only = ListedAnswer { sign: b'=', weight: None, text, feedback: None };
                read_texts(&[only], surroundings, losses)?
            }
            _ => {
                return Err(
                    "Its answers begin with neither = nor ~ nor #. Mark the correct answer with = and \
                            each wrong answer with ~."
                        .to_owned(),
                );
            }
        };
        return Ok(Answers { key, options: Vec::new() });
    }
    let answers = split(text)?;
    let is_multiple = answers.iter().all(|answer| answer.sign == b'~');
    let weight =
        |answer: &ListedAnswer<'_>| answer.weight.unwrap_or(if answer.sign == b'=' { 100.0 } else { 0.0 });
    let weights: Vec<f64> = answers.iter().map(weight).collect();
    let key = if is_multiple { weights::multiple(&weights)? } else { weights::single(&weights) };
    losses.extend(key.loss);
    add_feedback_loss(&answers, losses);
    let options = answers.iter().map(|answer| formatted(answer.text, stem_format)).collect();
    Ok(Answers { key: ParsedKey::Choice { is_multiple, correct: key.correct }, options })
}

/// Reads the accepted texts of a short answer. They are plain texts, whatever format the stem has.
fn read_texts(
    answers: &[ListedAnswer<'_>],
    surroundings: &Surroundings,
    losses: &mut Vec<String>,
) -> Result<ParsedKey, String> {
    add_feedback_loss(answers, losses);
    let listed: Vec<ListedText> = answers
        .iter()
        .map(|answer| ListedText {
            text: unescape(declared(answer.text, None).0.trim()),
            percent: answer.weight.unwrap_or(100.0),
        })
        .collect();
    short_answer::key(&listed, surroundings.is_case_sensitive, losses)
}

/// Returns whether a text without a sign can be an accepted text. Otherwise, it is probably code or a formula.
fn is_single_text(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric) && !text.contains(['\n', ';', '#']) && find(text, "->").is_none()
}

/// Reads the answer of a true or false question: `T`, `TRUE`, `F` or `FALSE`, with or without feedback. Adds a loss for
/// the feedback. Returns `None` for any other text.
fn truth(text: &str, losses: &mut Vec<String>) -> Option<bool> {
    let (word, feedback) = match find(text, "#") {
        Some(at) => (&text[..at], Some(&text[at..])),
        None => (text, None),
    };
    let truth = match word.trim().to_ascii_uppercase().as_str() {
        "T" | "TRUE" => true,
        "F" | "FALSE" => false,
        _ => return None,
    };
    if feedback.is_some_and(has_text) {
        losses.push(FEEDBACK_LOSS.to_owned());
    }
    Some(truth)
}

const FEEDBACK_LOSS: &str =
    "The feedback for each answer is left out: a question has only one explanation, after ####.";

fn add_feedback_loss(answers: &[ListedAnswer<'_>], losses: &mut Vec<String>) {
    if answers.iter().any(|answer| answer.feedback.is_some_and(has_text)) {
        losses.push(FEEDBACK_LOSS.to_owned());
    }
}

/// Returns whether feedback is more than signs and white space.
fn has_text(feedback: &str) -> bool {
    !feedback.trim_matches(['#', '~', ' ', '\t', '\n']).is_empty()
}

/// Splits the text between the braces into answers, each of which begins with `=` or `~`. Refuses other text before the
/// first answer.
fn split(text: &str) -> Result<Vec<ListedAnswer<'_>>, String> {
    let mut starts = Vec::new();
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        if escaped {
            escaped = false;
        } else if byte == b'\\' {
            escaped = true;
        } else if matches!(byte, b'=' | b'~') {
            starts.push(at);
        }
    }
    if starts.first() != Some(&0) {
        return Err("Text stands before its first answer. Begin each answer with = or ~.".to_owned());
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    // Some authors mark the key with `~=`. The `~` before the `=` does not begin an answer.
    let is_mark = |(start, end): &(usize, usize)| {
        let between = text[start + 1..*end].chars().all(|char| matches!(char, ' ' | '\t'));
        text[*start..].starts_with('~') && text[*end..].starts_with('=') && between
    };
    let ranges = starts.iter().copied().zip(ends).filter(|range| !is_mark(range));
    let answers = ranges.map(|(start, end)| {
        let sign = text.as_bytes()[start];
        let (weight, body) = weighted(&text[start + 1..end])?;
        let (body, feedback) = match find(body, "#") {
            Some(at) => (&body[..at], Some(&body[at + 1..])),
            None => (body, None),
        };
        Ok(ListedAnswer { sign, weight, text: body, feedback })
    });
    answers.collect()
}

/// Reads a weight such as `%50%` or `%-33.33333%` at the beginning of an answer. Returns the weight, if there is one,
/// and the text after it.
fn weighted(text: &str) -> Result<(Option<f64>, &str), String> {
    let text = text.trim_start();
    let Some((weight, rest)) = text.strip_prefix('%').and_then(|rest| rest.split_once('%')) else {
        return Ok((None, text));
    };
    let is_number =
        !weight.is_empty() && weight.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-'));
    if !is_number {
        return Ok((None, text));
    }
    let number: f64 = weight.parse().map_err(|_| "A weight is not a number. Write it as %50%.".to_owned())?;
    Ok((Some(number), rest))
}

fn read_numeric(text: &str, losses: &mut Vec<String>) -> Result<ParsedKey, String> {
    // The text after `~` is the feedback for all other numbers.
    let (text, feedback_for_others) = match find(text, "~") {
        Some(at) => (text[..at].trim(), Some(&text[at + 1..])),
        None => (text.trim(), None),
    };
    let others = feedback_for_others.map(|text| ListedAnswer {
        sign: b'~',
        weight: None,
        text: "",
        feedback: Some(text),
    });
    if find(text, "=").is_none() {
        let (body, feedback) = match find(text, "#") {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        let only = ListedAnswer { sign: b'=', weight: None, text: body, feedback };
        add_feedback_loss(&[only].into_iter().chain(others).collect::<Vec<_>>(), losses);
        return range(body);
    }
    let answers = split(text)?;
    let (full, partial): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.weight.unwrap_or(100.0) > 99.9);
    if !partial.is_empty() {
        losses
            .push("Answers without full marks are left out: an answer is either right or wrong.".to_owned());
    }
    let value = match full.as_slice() {
        [answer] => range(answer.text),
        [] => Err("None of its numbers has full marks. Write one of them without a weight.".to_owned()),
        _ => Err("Several of its numbers have full marks. Keep one, and give it a tolerance.".to_owned()),
    };
    add_feedback_loss(&answers.into_iter().chain(others).collect::<Vec<_>>(), losses);
    value
}

/// Reads a number, with a tolerance if it has one: `5`, `5:0.1` or `4.9..5.1`.
fn range(text: &str) -> Result<ParsedKey, String> {
    let read = |text: &str| {
        number::exact(text).ok_or_else(|| {
            format!(
                "\"{}\" is not a number of at most 28 digits. Write the answer as 5, 5:0.1 or 4.9..5.1.",
                crate::labels::excerpt(text)
            )
        })
    };
    if let Some((low, high)) = text.split_once("..") {
        let (low, high) = (read(low)?, read(high)?);
        let middle = high.checked_add(low).and_then(|sum| sum.checked_div(Decimal::TWO));
        let half = high.checked_sub(low).and_then(|width| width.checked_div(Decimal::TWO));
        return match (middle, half) {
            (Some(value), Some(tolerance)) if value.checked_add(tolerance) == Some(high) => {
                Ok(ParsedKey::Number { value, tolerance })
            }
            _ => Err("Its range has too many digits. Round its ends.".to_owned()),
        };
    }
    let (value, tolerance) = text.split_once(':').unwrap_or((text, "0"));
    Ok(ParsedKey::Number { value: read(value)?, tolerance: read(tolerance)? })
}
