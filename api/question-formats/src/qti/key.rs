//! Finds the key of an item, from the answers that score the most marks and from its response declaration.

use std::collections::HashSet;

use roxmltree::Node;
use rust_decimal::Decimal;

use super::declarations::Declarations;
use super::value::HOW_TO_SCORE;
use crate::draft::OptionOrder;
use crate::xml::{child, children, text};

/// The names of the elements of choices.
pub(super) const CHOICES: [&str; 2] = ["qti-simple-choice", "qti-inline-choice"];

pub(super) const NO_KEY_REASON: &str = "It has no correct response. Declare it in qti-correct-response.";

/// Returns the choices of an interaction, also of an interaction in a sentence.
pub(super) fn choices<'a, 'i>(interaction: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    interaction.children().filter(|child| CHOICES.contains(&child.tag_name().name()))
}

/// Reads which options of a choice are shuffled. The standard says that options are shuffled only if the attribute
/// `shuffle` is true.
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

/// Returns whether a response is declared as a text.
pub(super) fn is_text(declaration: Node<'_, '_>) -> bool {
    declaration.attribute("base-type") == Some("string")
}

/// The reason to refuse an item in which case counts for some accepted texts, but not for other accepted texts.
pub(super) const MIXED_CASE_REASON: &str = "Capital letters matter in some of its correct texts, but not in others. Let them matter in all or in none.";

/// Returns for each answer whether it scores the most marks. Refuses an item in which no answer has more than 0 marks,
/// or all answers have the same marks.
pub(super) fn best(declarations: &Declarations<'_, '_>, scores: &[Decimal]) -> Result<Vec<bool>, String> {
    let most = scores.iter().max().copied().unwrap_or_default();
    let is_best: Vec<bool> = scores.iter().map(|score| *score == most).collect();
    if most <= Decimal::ZERO || !is_best.contains(&false) {
        // If the correct response is missing, comparing an answer with it gives no marks.
        if most.is_zero() && correct_values(declarations.declaration).next().is_none() {
            return Err(NO_KEY_REASON.to_owned());
        }
        let found = if most <= Decimal::ZERO { "no answer marks" } else { "each answer the same marks" };
        return Err(format!("Its {} gives {found}. {HOW_TO_SCORE}", declarations.scorer()));
    }
    Ok(is_best)
}

/// Refuses an item whose key differs from its correct response. An item without a correct response is accepted.
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

/// Returns the reason to refuse an item whose scoring contradicts its correct response.
pub(super) fn contradiction(declarations: &Declarations<'_, '_>) -> String {
    format!(
        "Its {} gives the most marks to something other than its correct response. Make the two agree, or score the \
         item by match_correct.",
        declarations.scorer()
    )
}
