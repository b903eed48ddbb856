//! The key of an item.

use std::collections::HashSet;

use roxmltree::Node;
use rust_decimal::Decimal;

use crate::draft::DraftAnswer;
use crate::number;
use crate::xml::{child, children, text};

/// Whether several are chosen, and which of the options are correct.
pub(super) fn choice(
    declaration: Node<'_, '_>,
    interaction: Node<'_, '_>,
    losses: &mut Vec<String>,
) -> Result<(bool, Vec<bool>), String> {
    let multiple = match declaration.attribute("cardinality") {
        Some("single") => false,
        Some("multiple") => true,
        other => {
            let other = crate::labels::excerpt(other.unwrap_or("none"));
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
        return Err(format!("Its key \"{}\" is none of its choices.", crate::labels::excerpt(unknown)));
    }
    let is_in_order = matches!(interaction.attribute("shuffle"), Some("false" | "0"));
    if is_in_order || choices().any(|choice| matches!(choice.attribute("fixed"), Some("true" | "1"))) {
        losses.push("That options stay in their place is left out: each sitting shuffles them.".to_owned());
    }
    let keys = choices().map(|choice| choice.attribute("identifier").is_some_and(|id| correct.contains(id)));
    Ok((multiple, keys.collect()))
}

pub(super) fn correct_values<'a>(declaration: Node<'a, '_>) -> impl Iterator<Item = String> + use<'a> {
    let correct = child(declaration, "qti-correct-response");
    let values: Vec<String> = correct
        .map(|correct| children(correct, "qti-value").map(|value| text(value).trim().to_owned()).collect())
        .unwrap_or_default();
    values.into_iter()
}

/// Refuses a mapping that gives the most to something else than the key, where it is what scores.
pub(super) fn check_mapping(declaration: Node<'_, '_>) -> Result<(), String> {
    let Some(mapping) = child(declaration, "qti-mapping") else { return Ok(()) };
    let number = |node: Node<'_, '_>, name: &str, default: f64| match node.attribute(name) {
        None => Ok(default),
        Some(value) => value.trim().parse::<f64>().map_err(|_| {
            format!("\"{}\" in its mapping is no number. Give one.", crate::labels::excerpt(value))
        }),
    };
    let limit = number(mapping, "upper-bound", f64::INFINITY)?;
    let of_others = number(mapping, "default-value", 0.0)?;
    let marks = children(mapping, "qti-map-entry").map(|entry| {
        let key = entry.attribute("map-key").unwrap_or_default();
        Ok((as_number(key), number(entry, "mapped-value", 0.0)?.min(limit)))
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
    // Without a correct response it is refused for that.
    if correct.is_empty() {
        return Ok(());
    }
    if !is_alone || best != correct.iter().map(String::as_str).collect() {
        return Err(
            "Its mapping gives the most to something else than its correct response. Make the two the same, or score \
             it by match_correct."
                .to_owned(),
        );
    }
    Ok(())
}

/// A value as all that are the same number are written.
fn as_number(value: &str) -> String {
    number::exact(value).map_or_else(|| value.trim().to_owned(), |number| number.normalize().to_string())
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
        format!("\"{}\" is no number of at most 28 digits. Give one.", crate::labels::excerpt(text))
    })
}
