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

fn correct_values<'a>(declaration: Node<'a, '_>) -> impl Iterator<Item = String> + use<'a> {
    let correct = child(declaration, "qti-correct-response");
    let values: Vec<String> = correct
        .map(|correct| children(correct, "qti-value").map(|value| text(value).trim().to_owned()).collect())
        .unwrap_or_default();
    values.into_iter()
}

/// The number, and the tolerance of the comparison with it.
pub(super) fn numeric(item: Node<'_, '_>, declaration: Node<'_, '_>) -> Result<DraftAnswer, String> {
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
    Ok(DraftAnswer::Numeric { value, tolerance: tolerance(item)? })
}

fn read(text: &str) -> Result<Decimal, String> {
    number::exact(text).ok_or_else(|| {
        format!("\"{}\" is no number of at most 28 digits. Give one.", super::super::short(text))
    })
}

fn tolerance(item: Node<'_, '_>) -> Result<Decimal, String> {
    let Some(processing) = child(item, "qti-response-processing") else { return Ok(Decimal::ZERO) };
    let mut comparisons = processing.descendants().filter(|node| node.tag_name().name() == "qti-equal");
    let Some(equal) = comparisons.next() else { return Ok(Decimal::ZERO) };
    if comparisons.next().is_some() {
        return Err("It compares its answer more than once. Compare it with one number.".to_owned());
    }
    match equal.attribute("tolerance-mode") {
        None | Some("exact") => Ok(Decimal::ZERO),
        Some("absolute") => {
            let values = equal.attribute("tolerance").unwrap_or("0").split_whitespace();
            let values = values.map(read).collect::<Result<Vec<_>, _>>()?;
            match values.as_slice() {
                [both] => Ok(*both),
                [below, above] if below == above => Ok(*below),
                _ => Err("Its tolerance differs below and above. Make both the same.".to_owned()),
            }
        }
        Some(_) => {
            Err("Its tolerance is relative. Give it as a number: tolerance-mode=\"absolute\".".to_owned())
        }
    }
}
