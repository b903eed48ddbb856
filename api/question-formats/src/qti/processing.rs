//! Runs the response processing of an item, which scores an answer.
//!
//! Authors write the same scoring in many ways. So this module does not compare the rules of an item with known rules.
//! It runs the rules with the answers that learners can give, and the scores reveal the key. A rule that is not
//! understood makes the score unknown. Then the item is refused, because a wrong key would give learners wrong results.

use std::collections::BTreeSet;

use roxmltree::Node;
use rust_decimal::Decimal;

use super::declarations::Declarations;
use super::run::{Run, is_setter};
use super::value::{HOW_TO_SCORE, Value};
use crate::xml::{child, children, text};

/// Returns the scores of these answers. Returns `None` if the item does not score answers, so that its correct response
/// alone is the key. Refuses an item whose score cannot be computed. Records in `declarations` whether a score is
/// neither 0 nor 1.
pub(super) fn scores(
    declarations: &Declarations<'_, '_>,
    answers: &[Value],
) -> Result<Option<Vec<Decimal>>, String> {
    if declarations.template.is_none() && declarations.rules.is_none() {
        return Ok(None);
    }
    let runs = answers.iter().map(|answer| Run::of(declarations, answer));
    let runs = runs.collect::<Result<Vec<Run<'_, '_, '_>>, String>>()?;
    let Some(outcome) = score_outcome(declarations, &runs)? else { return Ok(None) };
    let scores = runs.iter().map(|run| run.score(outcome)).collect::<Result<Vec<_>, _>>()?;
    let is_own = |score: &Decimal| !score.is_zero() && *score != Decimal::ONE;
    if scores.iter().any(is_own) {
        declarations.has_own_marks.set(true);
    }
    Ok(Some(scores))
}

/// Finds the outcome that is the score: SCORE, or else the only number that depends on the answer. Returns `None` if no
/// outcome depends on the answer. Refuses an item without SCORE in which several outcomes depend on the answer.
fn score_outcome<'a>(
    declarations: &Declarations<'a, '_>,
    runs: &[Run<'_, 'a, '_>],
) -> Result<Option<&'a str>, String> {
    if declarations.template.is_some() {
        return Ok(Some("SCORE"));
    }
    let setters =
        declarations.rules.into_iter().flat_map(|rules| rules.descendants()).filter(|node| is_setter(*node));
    let set: BTreeSet<&'a str> = setters.filter_map(|node| node.attribute("identifier")).collect();
    if let Some(score) = set.iter().find(|name| name.eq_ignore_ascii_case("SCORE")) {
        return Ok(Some(score));
    }
    let is_decided = |name: &&&'a str| {
        let values: Vec<Value> = runs.iter().map(|run| run.outcome(name)).collect();
        let could_be_marks =
            |value: &Value| matches!(value, Value::Null | Value::Number(_) | Value::Unknown(_));
        values.iter().all(could_be_marks) && values.iter().any(|value| Some(value) != values.first())
    };
    let decided: Vec<&&str> = set.iter().filter(is_decided).collect();
    match decided.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(only)),
        _ => Err(format!(
            "Its response processing does not set SCORE, and several other outcomes depend on the answer. Name the \
             score SCORE. {HOW_TO_SCORE}"
        )),
    }
}

/// Returns whether learners see a feedback after every answer, because a rule outside all conditions sets its outcome.
pub(super) fn is_for_all(item: Node<'_, '_>, feedback: Node<'_, '_>) -> bool {
    let processing = child(item, "qti-response-processing");
    let rules = processing.into_iter().flat_map(|processing| children(processing, "qti-set-outcome-value"));
    let mut rules =
        rules.filter(|rule| rule.attribute("identifier") == feedback.attribute("outcome-identifier"));
    let shows =
        |rule: Node<'_, '_>| text(rule).trim() == feedback.attribute("identifier").unwrap_or_default();
    rules.any(shows) && feedback.attribute("show-hide") != Some("hide")
}
