//! The response processing of an item, which scores an answer.
//!
//! A draft is scored in one way: an answer is correct if it equals the key, or if its number is within the tolerance.
//! Any other response processing would give learners wrong results, so it is refused.

use roxmltree::Node;
use rust_decimal::Decimal;

use super::key;
use crate::labels::excerpt;
use crate::xml::{child, children, text};

/// The templates of the standard, in this version and in older ones, that compare the answer with the key.
const TEMPLATES: [&str; 5] =
    ["match_correct", "map_response", "cc2_match", "cc2_match_basic", "cc2_map_response"];

const HOW_TO_SCORE: &str = "Give the score 1 if qti-match, or qti-equal with a tolerance, finds the response equal to the \
                   correct one, and 0 otherwise.";

/// Returns the tolerance of the comparison with the key, which is 0 if the comparison is exact.
pub(super) fn tolerance(item: Node<'_, '_>, response: &str) -> Result<Decimal, String> {
    let Some(processing) = child(item, "qti-response-processing") else { return Ok(Decimal::ZERO) };
    if let Some(template) = processing.attribute("template") {
        let name = template.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        if TEMPLATES.contains(&name.trim_end_matches(".xml")) {
            return Ok(Decimal::ZERO);
        }
        return Err(format!(
            "Its response processing is the template {}, which is not recognised. {HOW_TO_SCORE}",
            excerpt(template)
        ));
    }
    let mut found = None;
    for rule in elements(processing).filter(|rule| sets_score(*rule)) {
        let tolerance = match name(rule) {
            "qti-response-condition" => Some(condition(rule, item, response)?),
            // The score of a mapping, or the score before any comparison.
            _ if is_mapped(rule, response) => Some(Decimal::ZERO),
            _ if gives(rule) == Some(false) => None,
            _ => return Err(unrecognised(rule)),
        };
        if tolerance.is_some() && found.is_some() {
            return Err(format!("It scores its answer more than once. {HOW_TO_SCORE}"));
        }
        found = found.or(tolerance);
    }
    match found {
        Some(tolerance) => Ok(tolerance),
        None if elements(processing).next().is_none() => Ok(Decimal::ZERO),
        None => Err(format!("Its response processing does not set SCORE. {HOW_TO_SCORE}")),
    }
}

/// Returns whether a mapping scores the answer.
pub(super) fn is_by_mapping(item: Node<'_, '_>) -> bool {
    let Some(processing) = child(item, "qti-response-processing") else { return false };
    let template = processing.attribute("template").unwrap_or_default().to_ascii_lowercase();
    template.contains("map_response") || processing.descendants().any(|node| name(node) == "qti-map-response")
}

/// Returns whether an answer can score a number other than 1 or 0.
pub(super) fn has_own_marks(item: Node<'_, '_>) -> bool {
    let is_of = |node: &Node<'_, '_>, names: &[&str]| {
        node.attribute("identifier").is_some_and(|id| names.iter().any(|name| name.eq_ignore_ascii_case(id)))
    };
    let scores =
        child(item, "qti-response-processing").into_iter().flat_map(|processing| processing.descendants());
    let scores = scores.filter(|node| name(*node) == "qti-set-outcome-value" && is_of(node, &["SCORE"]));
    let values = scores.flat_map(|score| children(score, "qti-base-value"));
    let outcomes =
        children(item, "qti-outcome-declaration").filter(|node| is_of(node, &["SCORE", "MAXSCORE"]));
    let defaults = outcomes.flat_map(|outcome| children(outcome, "qti-default-value"));
    let mut marks = values.chain(defaults).filter_map(|value| text(value).trim().parse::<f64>().ok());
    marks.any(|mark| mark != 0.0 && (mark - 1.0).abs() > f64::EPSILON)
}

/// Returns whether feedback is shown after any answer, because its outcome is set outside of all conditions.
pub(super) fn is_for_all(item: Node<'_, '_>, feedback: Node<'_, '_>) -> bool {
    let processing = child(item, "qti-response-processing");
    let rules = processing.into_iter().flat_map(|processing| children(processing, "qti-set-outcome-value"));
    let mut rules =
        rules.filter(|rule| rule.attribute("identifier") == feedback.attribute("outcome-identifier"));
    let shows =
        |rule: Node<'_, '_>| text(rule).trim() == feedback.attribute("identifier").unwrap_or_default();
    rules.any(shows) && feedback.attribute("show-hide") != Some("hide")
}

fn elements<'a, 'i>(node: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(Node::is_element)
}

fn name<'a>(node: Node<'a, '_>) -> &'a str {
    node.tag_name().name()
}

fn unrecognised(node: Node<'_, '_>) -> String {
    format!("Its response processing has a {} that is not recognised. {HOW_TO_SCORE}", excerpt(name(node)))
}

/// Returns whether a rule sets the score. Other rules choose the feedback.
fn sets_score(rule: Node<'_, '_>) -> bool {
    rule.descendants().any(|node| {
        let of_score =
            || node.attribute("identifier").is_some_and(|outcome| outcome.eq_ignore_ascii_case("SCORE"));
        match name(node) {
            "qti-set-outcome-value" => of_score(),
            "qti-lookup-outcome-value" | "qti-exit-response" => true,
            _ => false,
        }
    })
}

/// Reads a condition in which one branch compares the answer and gives marks. The other branches must give none.
fn condition(condition: Node<'_, '_>, item: Node<'_, '_>, response: &str) -> Result<Decimal, String> {
    let mut found = None;
    for branch in elements(condition) {
        let mut rules = elements(branch);
        let test = match name(branch) {
            "qti-response-if" | "qti-response-else-if" => rules.next(),
            "qti-response-else" => None,
            _ => return Err(unrecognised(branch)),
        };
        let mut scores = rules.filter(|rule| sets_score(*rule));
        let score = scores.next();
        if let Some(again) = scores.next() {
            return Err(unrecognised(again));
        }
        let is_unanswered = test.is_some_and(|test| is_null(test, response));
        match score {
            Some(score) if test.is_none() && found.is_none() && is_mapped(score, response) => {
                found = Some(Decimal::ZERO);
            }
            // The answer is wrong or missing.
            Some(score) if gives(score) == Some(false) && (found.is_some() || is_unanswered) => {}
            None if found.is_some() || is_unanswered => {}
            Some(score) => {
                let test = test.filter(|_| found.is_none() && gives(score) == Some(true));
                found = Some(comparison(test.ok_or_else(|| unrecognised(score))?, item, response)?);
            }
            None => return Err(unrecognised(branch)),
        }
    }
    found.ok_or_else(|| unrecognised(condition))
}

fn is_null(test: Node<'_, '_>, response: &str) -> bool {
    name(test) == "qti-is-null" && elements(test).all(|operand| is_variable(operand, response))
}

fn is_variable(node: Node<'_, '_>, response: &str) -> bool {
    name(node) == "qti-variable" && node.attribute("identifier") == Some(response)
}

/// Returns whether a rule that always sets the same score gives marks. Returns `None` for other rules.
fn gives(rule: Node<'_, '_>) -> Option<bool> {
    let mut values = elements(rule);
    let (value, None) = (values.next()?, values.next()) else { return None };
    match (name(rule), name(value)) {
        ("qti-set-outcome-value", "qti-base-value") => {
            text(value).trim().parse::<f64>().ok().map(|value| value > 0.0)
        }
        ("qti-set-outcome-value", "qti-variable") => value
            .attribute("identifier")
            .filter(|outcome| outcome.eq_ignore_ascii_case("MAXSCORE"))
            .map(|_| true),
        _ => None,
    }
}

/// Returns whether a rule sets the score from the mapping of the response, as a template of the standard does.
fn is_mapped(rule: Node<'_, '_>, response: &str) -> bool {
    let mut values = elements(rule);
    let value = values.next().filter(|_| name(rule) == "qti-set-outcome-value");
    let is_mapping = |value: Node<'_, '_>| {
        name(value) == "qti-map-response" && value.attribute("identifier") == Some(response)
    };
    values.next().is_none() && value.is_some_and(is_mapping)
}

/// Reads the tolerance of a comparison of the response with the key.
fn comparison(test: Node<'_, '_>, item: Node<'_, '_>, response: &str) -> Result<Decimal, String> {
    let mut operands: Vec<_> = elements(test).collect();
    if let [only] = operands.as_slice()
        && name(test) == "qti-and"
    {
        return comparison(*only, item, response);
    }
    operands.sort_by_key(|operand| !is_variable(*operand, response));
    match operands.as_slice() {
        [of_response, key] if is_variable(*of_response, response) && is_key(*key, item, response) => {}
        _ => return Err(unrecognised(test)),
    }
    match name(test) {
        "qti-match" => Ok(Decimal::ZERO),
        "qti-equal" => equal(test),
        _ => Err(unrecognised(test)),
    }
}

/// Returns whether a value is the correct response, by reference or repeated.
fn is_key(node: Node<'_, '_>, item: Node<'_, '_>, response: &str) -> bool {
    match name(node) {
        "qti-correct" => node.attribute("identifier") == Some(response),
        "qti-base-value" => {
            let mut declarations = children(item, "qti-response-declaration");
            let declaration = declarations.find(|found| found.attribute("identifier") == Some(response));
            let correct: Vec<_> = declaration.into_iter().flat_map(key::correct_values).collect();
            matches!(correct.as_slice(), [only] if only.as_str() == text(node).trim())
        }
        _ => false,
    }
}

/// Reads the tolerance of `qti-equal`.
fn equal(equal: Node<'_, '_>) -> Result<Decimal, String> {
    match equal.attribute("tolerance-mode") {
        None | Some("exact") => return Ok(Decimal::ZERO),
        Some("absolute") => {}
        Some(_) => {
            return Err(
                "Its tolerance is relative. Give an absolute number: tolerance-mode=\"absolute\".".to_owned()
            );
        }
    }
    let excludes = |bound| matches!(equal.attribute(bound).map(str::trim), Some("false" | "0"));
    if excludes("include-lower-bound") || excludes("include-upper-bound") {
        return Err("Its tolerance excludes its bounds, but here the bounds are correct, too. Make the tolerance smaller.".to_owned());
    }
    let values = equal.attribute("tolerance").unwrap_or("0").split_whitespace();
    let values = values.map(key::read).collect::<Result<Vec<_>, _>>()?;
    match values.as_slice() {
        [both] => Ok(*both),
        [below, above] if below == above => Ok(*below),
        _ => Err("Its tolerance differs below and above. Make both the same.".to_owned()),
    }
}
