//! The key of an item.

use std::collections::HashSet;

use jishu_entity::question_version::QuestionKind;
use roxmltree::Node;
use rust_decimal::Decimal;

use super::super::super::draft::DraftAnswer;
use super::super::xml::{child, children, text};
use crate::service::number;

/// Whether several are chosen, and which of the options are correct.
pub(super) fn choice(
    declaration: Node<'_, '_>,
    interaction: Node<'_, '_>,
    losses: &mut Vec<String>,
) -> Result<(bool, Vec<bool>), String> {
    let kind = match declaration.attribute("cardinality") {
        Some("single") => QuestionKind::SingleChoice,
        Some("multiple") => QuestionKind::MultipleChoice,
        other => {
            let other = super::super::short(other.unwrap_or("none"));
            return Err(format!("Its response has the cardinality {other}. Declare single or multiple."));
        }
    };
    let correct: HashSet<String> = correct_values(declaration).collect();
    if correct.is_empty() {
        return Err("It has no correct response. Declare it in qti-correct-response.".to_owned());
    }
    let choices = || children(interaction, "qti-simple-choice");
    let known: HashSet<&str> = choices().filter_map(|choice| choice.attribute("identifier")).collect();
    if let Some(unknown) = correct.iter().find(|value| !known.contains(value.as_str())) {
        return Err(format!("Its key \"{}\" is none of its choices.", super::super::short(unknown)));
    }
    if choices().any(|choice| choice.attribute("fixed") == Some("true")) {
        losses.push("That options stay in their place is left out: each sitting shuffles them.".to_owned());
    }
    let keys = choices().map(|choice| choice.attribute("identifier").is_some_and(|id| correct.contains(id)));
    Ok((kind == QuestionKind::MultipleChoice, keys.collect()))
}

pub(super) fn correct_values<'a>(declaration: Node<'a, '_>) -> impl Iterator<Item = String> + use<'a> {
    let correct = child(declaration, "qti-correct-response");
    let values: Vec<String> = correct
        .map(|correct| children(correct, "qti-value").map(|value| text(value).trim().to_owned()).collect())
        .unwrap_or_default();
    values.into_iter()
}

/// The number, which is correct within this tolerance.
pub(super) fn numeric(declaration: Node<'_, '_>, tolerance: Decimal) -> Result<DraftAnswer, String> {
    if !matches!(declaration.attribute("base-type"), Some("float" | "integer")) {
        return Err(
            "Its answer is a text, which is not kept. Ask for a number: base-type=\"float\".".to_owned()
        );
    }
    let values: Vec<String> = correct_values(declaration).collect();
    let value = match values.as_slice() {
        [value] => read(value)?,
        [] => return Err("It has no correct response. Declare it in qti-correct-response.".to_owned()),
        _ => return Err("It has several correct numbers. Give one, with a tolerance.".to_owned()),
    };
    Ok(DraftAnswer::Numeric { value, tolerance })
}

pub(super) fn read(text: &str) -> Result<Decimal, String> {
    number::exact(text).ok_or_else(|| {
        format!("\"{}\" is no number of at most 28 digits. Give one.", super::super::short(text))
    })
}
