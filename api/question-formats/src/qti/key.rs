//! The key of an item, from its response declaration.

use std::collections::HashSet;

use roxmltree::Node;
use rust_decimal::Decimal;

use crate::draft::OptionOrder;
use crate::key::ParsedKey;
use crate::labels::excerpt;
use crate::number;
use crate::xml::{child, children, text};

/// The elements of choices.
pub(super) const CHOICES: [&str; 2] = ["qti-simple-choice", "qti-inline-choice"];

/// Reads the key of a choice.
pub(super) fn choice(declaration: Node<'_, '_>, interaction: Node<'_, '_>) -> Result<ParsedKey, String> {
    let is_multiple = match declaration.attribute("cardinality") {
        Some("single") => false,
        Some("multiple") => true,
        other => {
            let other = excerpt(other.unwrap_or("none"));
            return Err(format!("Its response has the cardinality {other}. Declare single or multiple."));
        }
    };
    let correct: HashSet<String> = correct_values(declaration).collect();
    if correct.is_empty() {
        return Err("It has no correct response. Declare it in qti-correct-response.".to_owned());
    }
    let choices = || choices(interaction);
    let known: HashSet<&str> = choices().filter_map(|choice| choice.attribute("identifier")).collect();
    if let Some(unknown) = correct.iter().find(|value| !known.contains(value.as_str())) {
        return Err(format!(
            "Its key \"{}\" is not one of its choices. Write the identifier of a choice in qti-correct-response.",
            excerpt(unknown)
        ));
    }
    let is_correct =
        |choice: Node<'_, '_>| choice.attribute("identifier").is_some_and(|id| correct.contains(id));
    Ok(ParsedKey::Choice { is_multiple, correct: choices().map(is_correct).collect() })
}

/// Returns the choices of an interaction, which can stand in a sentence.
pub(super) fn choices<'a, 'i>(interaction: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    interaction.children().filter(|child| CHOICES.contains(&child.tag_name().name()))
}

/// Reads which options of a choice are shuffled. The standard shuffles only if `shuffle` says so.
pub(super) fn order(interaction: Node<'_, '_>) -> OptionOrder {
    let is_true = |node: Node<'_, '_>, name| {
        node.attribute(name).is_some_and(|value: &str| matches!(value.trim(), "true" | "1"))
    };
    if !is_true(interaction, "shuffle") {
        return OptionOrder::kept();
    }
    let choices = choices(interaction).enumerate();
    let fixed = choices.filter(|(_, choice)| is_true(*choice, "fixed")).map(|(index, _)| index);
    OptionOrder { shuffled: true, fixed: fixed.collect() }
}

/// Returns the values of the correct response.
pub(super) fn correct_values<'a>(declaration: Node<'a, '_>) -> impl Iterator<Item = String> + use<'a> {
    let correct = child(declaration, "qti-correct-response");
    let values: Vec<String> = correct
        .map(|correct| children(correct, "qti-value").map(|value| text(value).trim().to_owned()).collect())
        .unwrap_or_default();
    values.into_iter()
}

/// Returns the values of the correct response with this identifier.
pub(super) fn correct_values_of(item: Node<'_, '_>, response: &str) -> Vec<String> {
    declaration(item, response).into_iter().flat_map(correct_values).collect()
}

/// Returns whether an answer is a text.
pub(super) fn is_text(item: Node<'_, '_>, response: &str) -> bool {
    declaration(item, response).is_some_and(|found| found.attribute("base-type") == Some("string"))
}

fn declaration<'a, 'i>(item: Node<'a, 'i>, response: &str) -> Option<Node<'a, 'i>> {
    children(item, "qti-response-declaration").find(|found| found.attribute("identifier") == Some(response))
}

/// The reason to refuse texts that are compared in different ways.
pub(super) const MIXED_CASE_REASON: &str =
    "Capital letters matter in some of its texts and not in others. Make it the same for all.";

/// Reads a number of marks in a mapping or in one of its entries.
pub(super) fn marks_in(node: Node<'_, '_>, name: &str, default: f64) -> Result<f64, String> {
    match node.attribute(name) {
        None => Ok(default),
        Some(value) => value.trim().parse::<f64>().map_err(|_| {
            format!("\"{}\" in its mapping is not a number. Write a number such as 1.", excerpt(value))
        }),
    }
}

/// Checks that a mapping, which scores the item, gives the most marks to the correct response.
pub(super) fn check_mapping(declaration: Node<'_, '_>) -> Result<(), String> {
    let Some(mapping) = child(declaration, "qti-mapping") else { return Ok(()) };
    let limit = marks_in(mapping, "upper-bound", f64::INFINITY)?;
    let of_others = marks_in(mapping, "default-value", 0.0)?;
    let marks = children(mapping, "qti-map-entry").map(|entry| {
        let key = entry.attribute("map-key").unwrap_or_default();
        Ok((as_number(key), marks_in(entry, "mapped-value", 0.0)?.min(limit)))
    });
    let marks = marks.collect::<Result<Vec<_>, String>>()?;
    let is_single = declaration.attribute("cardinality") == Some("single");
    let most = marks.iter().map(|(_, mark)| *mark).fold(f64::MIN_POSITIVE, f64::max);
    let best = marks.iter().filter(|(_, mark)| if is_single { *mark >= most } else { *mark > 0.0 });
    let sum: f64 = best.clone().map(|(_, mark)| mark).sum();
    let is_alone =
        if is_single { of_others.min(limit) < most } else { of_others <= 0.0 && sum <= limit + 1e-6 };
    let best: HashSet<&str> = best.map(|(key, _)| key.as_str()).collect();
    let correct: Vec<String> = correct_values(declaration).map(|value| as_number(&value)).collect();
    // An item without a correct response is refused elsewhere.
    if correct.is_empty() {
        return Ok(());
    }
    if !is_alone || best != correct.iter().map(String::as_str).collect() {
        return Err(
            "Its mapping gives the most marks to something else than its correct response. Make both the same, or \
             score it by match_correct."
                .to_owned(),
        );
    }
    Ok(())
}

/// Writes equal numbers alike. Other values stay as they are.
fn as_number(value: &str) -> String {
    number::exact(value).map_or_else(|| value.trim().to_owned(), |number| number.normalize().to_string())
}

/// Reads the correct number.
pub(super) fn number(declaration: Node<'_, '_>, tolerance: Decimal) -> Result<ParsedKey, String> {
    if !matches!(declaration.attribute("base-type"), Some("float" | "integer")) {
        return Err(
            "Its answer is neither a text nor a number. Ask for one of them: base-type=\"string\" or \
                    base-type=\"float\"."
                .to_owned(),
        );
    }
    let values: Vec<String> = correct_values(declaration).collect();
    let value = match values.as_slice() {
        [value] => read(value)?,
        [] => return Err("It has no correct response. Declare it in qti-correct-response.".to_owned()),
        _ => return Err("It has several correct numbers. Keep one, and give it a tolerance.".to_owned()),
    };
    Ok(ParsedKey::Number { value, tolerance })
}

/// Reads a number.
pub(super) fn read(text: &str) -> Result<Decimal, String> {
    number::exact(text).ok_or_else(|| {
        format!(
            "\"{}\" is not a number of at most 28 digits. Write a number such as 5 or 0.25.",
            excerpt(text)
        )
    })
}
