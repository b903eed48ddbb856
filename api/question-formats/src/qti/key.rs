//! The key of an item, from the answers that score the most marks and from its response declaration.

use std::collections::HashSet;

use roxmltree::Node;
use rust_decimal::Decimal;

use super::declarations::Declarations;
use super::value::HOW_TO_SCORE;
use crate::draft::OptionOrder;
use crate::xml::{child, children, text};

/// The elements of choices.
pub(super) const CHOICES: [&str; 2] = ["qti-simple-choice", "qti-inline-choice"];

pub(super) const NO_KEY_REASON: &str = "It has no correct response. Declare it in qti-correct-response.";

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

/// Returns whether an answer is a text.
pub(super) fn is_text(declaration: Node<'_, '_>) -> bool {
    declaration.attribute("base-type") == Some("string")
}

/// The reason to refuse texts that are compared in different ways.
pub(super) const MIXED_CASE_REASON: &str =
    "Capital letters matter in some of its texts and not in others. Make it the same for all.";

/// Returns which answers score the most marks. There must be marks, and another answer must score fewer.
pub(super) fn best(declarations: &Declarations<'_, '_>, scores: &[Decimal]) -> Result<Vec<bool>, String> {
    let most = scores.iter().max().copied().unwrap_or_default();
    let is_best: Vec<bool> = scores.iter().map(|score| *score == most).collect();
    if most <= Decimal::ZERO || !is_best.contains(&false) {
        // A comparison with a correct response that is missing gives no marks.
        if most.is_zero() && correct_values(declarations.declaration).next().is_none() {
            return Err(NO_KEY_REASON.to_owned());
        }
        let found = if most <= Decimal::ZERO { "no answer marks" } else { "each answer the same marks" };
        return Err(format!("Its {} gives {found}. {HOW_TO_SCORE}", declarations.scorer()));
    }
    Ok(is_best)
}

/// Refuses a key that the correct response contradicts.
pub(super) fn check_correct_response(
    declarations: &Declarations<'_, '_>,
    correct: &HashSet<String>,
    key: &HashSet<&str>,
) -> Result<(), String> {
    if correct.is_empty() || key.len() == correct.len() && correct.iter().all(|id| key.contains(id.as_str()))
    {
        return Ok(());
    }
    Err(contradiction(declarations))
}

/// The reason to refuse an item of which the scoring and the correct response differ.
pub(super) fn contradiction(declarations: &Declarations<'_, '_>) -> String {
    format!(
        "Its {} gives the most marks to something else than its correct response. Make both the same, or score it by \
         match_correct.",
        declarations.scorer()
    )
}
