//! The accepted texts of an item, from its response declaration.

use roxmltree::Node;

use super::key::{MIXED_CASE_REASON, correct_values, marks_in};
use super::processing::Comparison;
use crate::key::ParsedKey;
use crate::labels::excerpt;
use crate::short_answer::{self, ListedText};
use crate::typed_text::{TextPattern, literal};
use crate::xml::children;

/// Reads the accepted texts. `mapping` is the mapping that scores the item.
pub(super) fn read(
    declaration: Node<'_, '_>,
    mapping: Option<Node<'_, '_>>,
    comparison: &Comparison,
    losses: &mut Vec<String>,
) -> Result<ParsedKey, String> {
    if declaration.attribute("cardinality") != Some("single") {
        return Err("Its response has several texts or none. Declare the cardinality single.".to_owned());
    }
    let correct: Vec<String> = correct_values(declaration).collect();
    let (listed, is_case_sensitive) = match mapping {
        Some(mapping) => mapped(mapping)?,
        None => {
            let texts = comparison.texts.as_ref().unwrap_or(&correct);
            let full = |text: &String| ListedText { text: literal(text), percent: 100.0 };
            (texts.iter().map(full).collect(), comparison.is_case_sensitive)
        }
    };
    if listed.is_empty() {
        return Err("It has no correct response. Declare it in qti-correct-response.".to_owned());
    }
    let key = short_answer::key(&listed, is_case_sensitive, losses)?;
    if let ParsedKey::Text { texts, .. } = &key {
        let accepts = |value: &String| {
            texts.iter().any(|text| TextPattern::new(text, is_case_sensitive).accepts(value))
        };
        if let Some(other) = correct.iter().find(|value| !accepts(value)) {
            return Err(format!(
                "Its correct response \"{}\" does not get the most marks. Make its scoring accept it.",
                excerpt(other)
            ));
        }
    }
    Ok(key)
}

/// Reads the entries of a mapping, and whether capital and small letters differ in them.
fn mapped(mapping: Node<'_, '_>) -> Result<(Vec<ListedText>, bool), String> {
    let limit = marks_in(mapping, "upper-bound", f64::INFINITY)?;
    let of_others = marks_in(mapping, "default-value", 0.0)?;
    let mut entries = Vec::new();
    for entry in children(mapping, "qti-map-entry") {
        let marks = marks_in(entry, "mapped-value", 0.0)?.min(limit);
        // The standard has no default for version 3.0. Version 2.1 and its reference implementation say true.
        let is_sensitive = !matches!(entry.attribute("case-sensitive").map(str::trim), Some("false" | "0"));
        entries.push((entry.attribute("map-key").unwrap_or_default(), marks, is_sensitive));
    }
    let most = entries.iter().map(|(_, marks, _)| *marks).fold(0.0, f64::max);
    if most <= 0.0 || of_others.min(limit) >= most {
        return Err(
            "Its mapping gives no text more marks than all others. Give the correct text marks.".to_owned()
        );
    }
    let is_best = |marks: f64| marks >= most - 1e-9;
    let mut best = entries.iter().filter(|(_, marks, _)| is_best(*marks));
    let is_case_sensitive = best.next().is_none_or(|(.., is_sensitive)| *is_sensitive);
    if best.any(|(.., is_sensitive)| *is_sensitive != is_case_sensitive) {
        return Err(MIXED_CASE_REASON.to_owned());
    }
    let listed = entries.iter().map(|(text, marks, _)| ListedText {
        text: literal(text),
        percent: if is_best(*marks) { 100.0 } else { marks / most * 99.0 },
    });
    Ok((listed.collect(), is_case_sensitive))
}
