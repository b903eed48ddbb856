//! What stands between the braces.

use crate::draft::DraftTextFormat;
use crate::{number, weights};
use rust_decimal::Decimal;

use super::text::{find, formatted};
use crate::markup::FormattedText;

/// Answers of a kind that the bank has.
pub(super) enum Answers {
    Choice { multiple: bool, options: Vec<(FormattedText, bool)> },
    Numeric { value: Decimal, tolerance: Decimal },
}

/// One of several answers: its mark, its weight in per cent, its text, what is said of it.
struct Answer<'a> {
    mark: u8,
    weight: Option<f64>,
    text: &'a str,
    feedback: Option<&'a str>,
}

/// Reads what stands between the braces, without the general feedback, after a stem that declares this format.
pub(super) fn read(
    text: &str,
    of_stem: Option<DraftTextFormat>,
    losses: &mut Vec<String>,
) -> Result<Answers, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("It is an essay: only what has a key is kept. Give options or a number.".to_owned());
    }
    if let Some(numeric) = text.strip_prefix('#') {
        return read_numeric(numeric, losses);
    }
    if let Some(truth) = truth(text, losses) {
        let format = of_stem.unwrap_or(DraftTextFormat::Plain);
        let option = |text: &str, correct| (FormattedText { text: text.to_owned(), format }, correct);
        let options = vec![option("True", truth), option("False", !truth)];
        return Ok(Answers::Choice { multiple: false, options });
    }
    if find(text, "~").is_none() {
        return Err(match (find(text, "="), find(text, "->")) {
            (Some(_), Some(_)) => "It is a matching question, which is not kept. Ask for one pair in a question.",
            (Some(_), None) => "It is a short answer, which is not kept. Give options, or a number as {#5:0.1}.",
            _ => "Its answers begin with neither = nor ~ nor #. Mark the correct one with = and the others with ~.",
        }
        .to_owned());
    }
    let answers = split(text)?;
    let multiple = answers.iter().all(|answer| answer.mark == b'~');
    let weight = |answer: &Answer<'_>| answer.weight.unwrap_or(if answer.mark == b'=' { 100.0 } else { 0.0 });
    let weights: Vec<f64> = answers.iter().map(weight).collect();
    let key = if multiple { weights::multiple(&weights)? } else { weights::single(&weights) };
    losses.extend(key.loss);
    tell_of_feedback(&answers, losses);
    let options = answers.iter().map(|answer| formatted(answer.text, of_stem)).zip(key.correct);
    Ok(Answers::Choice { multiple, options: options.collect() })
}

/// Of `T`, `TRUE`, `F` or `FALSE`.
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
    if feedback.is_some_and(is_said) {
        losses.push(FEEDBACK.to_owned());
    }
    Some(truth)
}

const FEEDBACK: &str =
    "The feedback of single answers is left out: a question has one explanation, as #### gives it.";

fn tell_of_feedback(answers: &[Answer<'_>], losses: &mut Vec<String>) {
    if answers.iter().any(|answer| answer.feedback.is_some_and(is_said)) {
        losses.push(FEEDBACK.to_owned());
    }
}

fn is_said(feedback: &str) -> bool {
    !feedback.trim_matches(['#', '~', ' ', '\t', '\n']).is_empty()
}

/// Answers that each begin with `=` or `~`.
fn split(text: &str) -> Result<Vec<Answer<'_>>, String> {
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
    let answers = starts.iter().zip(ends).map(|(start, end)| {
        let mark = text.as_bytes()[*start];
        let (weight, body) = weighted(&text[start + 1..end])?;
        let (body, feedback) = match find(body, "#") {
            Some(at) => (&body[..at], Some(&body[at + 1..])),
            None => (body, None),
        };
        Ok(Answer { mark, weight, text: body, feedback })
    });
    answers.collect()
}

/// A weight such as `%50%` or `%-33.33333%` before an answer.
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
    let number: f64 = weight.parse().map_err(|_| "A weight is no number. Write it as %50%.".to_owned())?;
    Ok((Some(number), rest))
}

fn read_numeric(text: &str, losses: &mut Vec<String>) -> Result<Answers, String> {
    // What follows a ~ is said of all other numbers.
    let (text, of_others) = match find(text, "~") {
        Some(at) => (text[..at].trim(), Some(&text[at + 1..])),
        None => (text.trim(), None),
    };
    let others = of_others.map(|text| Answer { mark: b'~', weight: None, text: "", feedback: Some(text) });
    if find(text, "=").is_none() {
        let (body, feedback) = match find(text, "#") {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        let only = Answer { mark: b'=', weight: None, text: body, feedback };
        tell_of_feedback(&[only].into_iter().chain(others).collect::<Vec<_>>(), losses);
        return range(body);
    }
    let answers = split(text)?;
    let (full, partial): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.weight.unwrap_or(100.0) > 99.9);
    if !partial.is_empty() {
        losses.push(
            "Answers with a part of the marks are left out: a sitting marks a question whole.".to_owned(),
        );
    }
    let value = match full.as_slice() {
        [answer] => range(answer.text),
        [] => Err("None of its numbers has full marks. Give one without a weight.".to_owned()),
        _ => Err("Several of its numbers have full marks. Give one, with a tolerance.".to_owned()),
    };
    tell_of_feedback(&answers.into_iter().chain(others).collect::<Vec<_>>(), losses);
    value
}

/// `5`, `5:0.1` or `4.9..5.1`.
fn range(text: &str) -> Result<Answers, String> {
    let read = |text: &str| {
        number::exact(text).ok_or_else(|| {
            format!(
                "\"{}\" is no number of at most 28 digits. Write it as 5, 5:0.1 or 4.9..5.1.",
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
                Ok(Answers::Numeric { value, tolerance })
            }
            _ => Err("Its range has too many digits. Round its ends.".to_owned()),
        };
    }
    let (value, tolerance) = text.split_once(':').unwrap_or((text, "0"));
    Ok(Answers::Numeric { value: read(value)?, tolerance: read(tolerance)? })
}
