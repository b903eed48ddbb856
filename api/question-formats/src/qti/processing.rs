//! The response processing of an item, which scores an answer.
//!
//! A draft is scored in one way: an answer is correct if it equals the key, if its number is within the tolerance, or if
//! its text is one of the accepted ones. Any other response processing would give learners wrong results, so it is refused.

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

/// How an answer is compared with the key.
pub(super) struct Comparison {
    /// The greatest distance of a number from the key, which is 0 if the comparison is exact.
    pub(super) tolerance: Decimal,
    /// Whether capital and small letters of a text differ.
    pub(super) is_case_sensitive: bool,
    /// The texts that the rules themselves name. `None` if they name the correct response.
    pub(super) texts: Option<Vec<String>>,
}

impl Comparison {
    const EXACT: Self = Self { tolerance: Decimal::ZERO, is_case_sensitive: true, texts: None };
}

/// Returns how an answer is compared with the key.
pub(super) fn comparison(item: Node<'_, '_>, response: &str) -> Result<Comparison, String> {
    let Some(processing) = child(item, "qti-response-processing") else { return Ok(Comparison::EXACT) };
    if let Some(template) = processing.attribute("template") {
        let name = template.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        if TEMPLATES.contains(&name.trim_end_matches(".xml")) {
            return Ok(Comparison::EXACT);
        }
        return Err(format!(
            "Its response processing is the template {}, which is not recognised. {HOW_TO_SCORE}",
            excerpt(template)
        ));
    }
    let mut scoring = Scoring { item, response, part: None };
    scoring.part = elements(processing).find_map(|rule| scoring.forwarded(rule));
    if scoring.part.is_none() && !elements(processing).any(|rule| scoring.sets_score(rule)) {
        scoring.part = scoring.only_number();
    }
    let mut found = None;
    for rule in elements(processing).filter(|rule| scoring.sets_score(*rule)) {
        let comparison = match name(rule) {
            "qti-response-condition" if scoring.is_bound(rule) => None,
            "qti-response-condition" => Some(scoring.condition(rule)?),
            // The score of a mapping, or the score before any comparison.
            _ if scoring.is_mapped(rule) => Some(Comparison::EXACT),
            _ if scoring.gives(rule) == Some(false) || scoring.forwarded(rule).is_some() => None,
            _ => return Err(unrecognised(rule)),
        };
        if comparison.is_some() && found.is_some() {
            return Err(format!("It scores its answer more than once. {HOW_TO_SCORE}"));
        }
        found = found.or(comparison);
    }
    match found {
        Some(comparison) => Ok(comparison),
        None if elements(processing).next().is_none() => Ok(Comparison::EXACT),
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
    let values = scores.flat_map(|score| score.descendants().filter(|node| name(*node) == "qti-base-value"));
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

/// The scoring of an item.
struct Scoring<'s, 'a, 'i> {
    item: Node<'a, 'i>,
    /// The identifier of the response.
    response: &'s str,
    /// The outcome that becomes the score in the end, if it is not the score itself.
    part: Option<String>,
}

impl Scoring<'_, '_, '_> {
    fn is_score(&self, outcome: &str) -> bool {
        outcome.eq_ignore_ascii_case("SCORE") || self.part.as_deref() == Some(outcome)
    }

    /// Returns the outcome that can only be the score under another name, because no other outcome is a number.
    fn only_number(&self) -> Option<String> {
        let numbers = children(self.item, "qti-outcome-declaration").filter(|outcome| {
            matches!(outcome.attribute("base-type"), Some("float" | "integer"))
                && outcome.attribute("identifier").is_some_and(|name| !name.eq_ignore_ascii_case("SCORE"))
        });
        let mut names = numbers.filter_map(|outcome| outcome.attribute("identifier"));
        let (name, None) = (names.next()?, names.next()) else { return None };
        Some(name.to_owned())
    }

    /// Returns the outcome that a rule makes the score: SCORE is the sum of SCORE_1 and nothing else.
    fn forwarded(&self, rule: Node<'_, '_>) -> Option<String> {
        let of_score = rule.attribute("identifier")?.eq_ignore_ascii_case("SCORE");
        let mut values = elements(rule).filter(|_| of_score && name(rule) == "qti-set-outcome-value");
        let (value, None) = (values.next()?, values.next()) else { return None };
        let parts: Vec<_> = if name(value) == "qti-sum" { elements(value).collect() } else { vec![value] };
        let is_score = |part: Node<'_, '_>| {
            part.attribute("identifier").is_some_and(|outcome| outcome.eq_ignore_ascii_case("SCORE"))
        };
        let mut parts = parts.into_iter().filter(|part| !is_score(*part));
        let (part, None) = (parts.next()?, parts.next()) else { return None };
        let outcome = part.attribute("identifier").filter(|_| name(part) == "qti-variable")?;
        let is_bound = |begin| outcome.get(..8).is_some_and(|name| name.eq_ignore_ascii_case(begin));
        (!is_bound("MAXSCORE") && !is_bound("MINSCORE")).then(|| outcome.to_owned())
    }

    /// Returns whether a rule sets the score. Other rules choose the feedback.
    fn sets_score(&self, rule: Node<'_, '_>) -> bool {
        rule.descendants().any(|node| {
            let of_score = || node.attribute("identifier").is_some_and(|outcome| self.is_score(outcome));
            match name(node) {
                "qti-set-outcome-value" => of_score(),
                "qti-lookup-outcome-value" | "qti-exit-response" => true,
                _ => false,
            }
        })
    }

    /// Reads a condition in which one branch compares the answer and gives marks. The other branches must give none.
    fn condition(&self, condition: Node<'_, '_>) -> Result<Comparison, String> {
        let mut found = None;
        for branch in elements(condition) {
            let mut rules = elements(branch);
            let test = match name(branch) {
                "qti-response-if" | "qti-response-else-if" => rules.next(),
                "qti-response-else" => None,
                _ => return Err(unrecognised(branch)),
            };
            // The rule for any answer is like that for all others.
            let test = test.filter(|test| !is_answered(*test, self.response));
            let mut scores = rules.filter(|rule| self.sets_score(*rule));
            let score = scores.next();
            if let Some(again) = scores.next() {
                return Err(unrecognised(again));
            }
            let is_unanswered = test.is_some_and(|test| is_null(test, self.response));
            match score {
                Some(score) if test.is_none() && found.is_none() && self.is_mapped(score) => {
                    found = Some(Comparison::EXACT);
                }
                // The answer is wrong or missing.
                Some(score) if self.gives(score) == Some(false) && (found.is_some() || is_unanswered) => {}
                None if found.is_some() || is_unanswered => {}
                Some(score) => {
                    let test = test.filter(|_| found.is_none() && self.gives(score) == Some(true));
                    found = Some(self.comparison(test.ok_or_else(|| unrecognised(score))?)?);
                }
                None => return Err(unrecognised(branch)),
            }
        }
        found.ok_or_else(|| unrecognised(condition))
    }

    /// Returns whether a rule that always sets the same score gives marks. Returns `None` for other rules.
    fn gives(&self, rule: Node<'_, '_>) -> Option<bool> {
        let mut values = elements(rule);
        let (value, None) = (values.next()?, values.next()) else { return None };
        let score = self.constant(value).filter(|_| name(rule) == "qti-set-outcome-value")?;
        Some(score > 0.0)
    }

    /// Returns the value of an expression that is the same for each answer. The score before all rules counts as 0, so
    /// that adding to it sets it.
    fn constant(&self, node: Node<'_, '_>) -> Option<f64> {
        match name(node) {
            "qti-base-value" => text(node).trim().parse().ok(),
            "qti-variable" => {
                let outcome = node.attribute("identifier")?;
                // Parts of the score have bounds of their own, such as MAXSCORE_1.
                match outcome.to_ascii_uppercase() {
                    _ if self.is_score(outcome) => {
                        self.default_of(outcome).or(Some(0.0)).filter(|score| *score == 0.0)
                    }
                    name if name.starts_with("MAXSCORE") => self.default_of(outcome).or(Some(1.0)),
                    name if name.starts_with("MINSCORE") => self.default_of(outcome).or(Some(0.0)),
                    _ => None,
                }
            }
            "qti-sum" => elements(node).map(|part| self.constant(part)).sum(),
            _ => None,
        }
    }

    /// Returns the default value of an outcome.
    fn default_of(&self, outcome: &str) -> Option<f64> {
        let mut declarations = children(self.item, "qti-outcome-declaration");
        let declaration = declarations.find(|found| found.attribute("identifier") == Some(outcome))?;
        text(child(declaration, "qti-default-value")?).trim().parse().ok()
    }

    /// Returns whether a condition only keeps the score between its bounds: if SCORE is above MAXSCORE, it becomes MAXSCORE.
    fn is_bound(&self, condition: Node<'_, '_>) -> bool {
        let is_score = |node: Node<'_, '_>| {
            name(node) == "qti-variable"
                && node.attribute("identifier").is_some_and(|outcome| self.is_score(outcome))
        };
        let bounds = |branch: Node<'_, '_>| {
            let parts: Vec<_> = elements(branch).collect();
            let [test, rule] = parts.as_slice() else { return false };
            let operands: Vec<_> = elements(*test).collect();
            let values: Vec<_> = elements(*rule).collect();
            let ([score, bound], [value]) = (operands.as_slice(), values.as_slice()) else { return false };
            let Some(bound) = self.constant(*bound).filter(|_| is_score(*score)) else { return false };
            let is_beyond = match name(*test) {
                "qti-gt" | "qti-gte" => bound > 0.0,
                "qti-lt" | "qti-lte" => bound <= 0.0,
                _ => false,
            };
            let sets_bound = self.constant(*value).is_some_and(|value| (value - bound).abs() < f64::EPSILON);
            is_beyond && sets_bound && name(*rule) == "qti-set-outcome-value"
        };
        elements(condition).next().is_some() && elements(condition).all(bounds)
    }

    /// Returns whether a rule sets the score from the mapping of the response, as a template of the standard does. It can also
    /// add the mapping to the score before all rules.
    fn is_mapped(&self, rule: Node<'_, '_>) -> bool {
        let is_mapping = |value: Node<'_, '_>| {
            name(value) == "qti-map-response" && value.attribute("identifier") == Some(self.response)
        };
        let values: Vec<_> = elements(rule).collect();
        let [value] = values.as_slice() else { return false };
        let parts: Vec<_> = elements(*value).collect();
        let adds_mapping = || {
            let others = parts.iter().filter(|part| !is_mapping(**part));
            name(*value) == "qti-sum"
                && parts.iter().filter(|part| is_mapping(**part)).count() == 1
                && others.map(|part| self.constant(*part)).sum::<Option<f64>>() == Some(0.0)
        };
        name(rule) == "qti-set-outcome-value" && (is_mapping(*value) || adds_mapping())
    }

    /// Reads a comparison of the response with the key.
    fn comparison(&self, test: Node<'_, '_>) -> Result<Comparison, String> {
        let mut operands: Vec<_> = elements(test).collect();
        if name(test) == "qti-and" {
            // That the learner answered at all goes without saying.
            operands.retain(|operand| !is_answered(*operand, self.response));
            if let [only] = operands.as_slice() {
                return self.comparison(*only);
            }
        }
        let is_text = key::is_text(self.item, self.response);
        if name(test) == "qti-or" && is_text {
            return self.one_of(test, &operands);
        }
        operands.sort_by_key(|operand| !is_variable(*operand, self.response));
        let [of_response, correct] = operands.as_slice() else { return Err(unrecognised(test)) };
        let named = (is_text && name(*correct) == "qti-base-value").then(|| vec![text(*correct)]);
        if !is_variable(*of_response, self.response)
            || (named.is_none() && !is_key(*correct, self.item, self.response))
        {
            return Err(unrecognised(test));
        }
        match name(test) {
            "qti-match" => Ok(Comparison { texts: named, ..Comparison::EXACT }),
            "qti-equal" if !is_text => Ok(Comparison { tolerance: equal(test)?, ..Comparison::EXACT }),
            "qti-string-match" if is_text => {
                let is_true = |name| matches!(test.attribute(name).map(str::trim), Some("true" | "1"));
                if is_true("substring") {
                    return Err("It accepts any text with its key in it. Write the whole texts.".to_owned());
                }
                let is_case_sensitive = is_true("case-sensitive") || !test.has_attribute("case-sensitive");
                Ok(Comparison { texts: named, is_case_sensitive, ..Comparison::EXACT })
            }
            _ => Err(unrecognised(test)),
        }
    }

    /// Reads several comparisons, one of which must hold.
    fn one_of(&self, test: Node<'_, '_>, operands: &[Node<'_, '_>]) -> Result<Comparison, String> {
        let parts = operands.iter().map(|operand| self.comparison(*operand));
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        let is_case_sensitive = parts.first().ok_or_else(|| unrecognised(test))?.is_case_sensitive;
        if parts.iter().any(|part| part.is_case_sensitive != is_case_sensitive) {
            return Err(key::MIXED_CASE_REASON.to_owned());
        }
        let correct = || key::correct_values_of(self.item, self.response);
        let texts = parts.into_iter().flat_map(|part| part.texts.unwrap_or_else(correct)).collect();
        Ok(Comparison { texts: Some(texts), is_case_sensitive, ..Comparison::EXACT })
    }
}

fn is_null(test: Node<'_, '_>, response: &str) -> bool {
    name(test) == "qti-is-null" && elements(test).all(|operand| is_variable(operand, response))
}

fn is_answered(test: Node<'_, '_>, response: &str) -> bool {
    name(test) == "qti-not"
        && elements(test).count() == 1
        && elements(test).all(|test| is_null(test, response))
}

fn is_variable(node: Node<'_, '_>, response: &str) -> bool {
    name(node) == "qti-variable" && node.attribute("identifier") == Some(response)
}

/// Returns whether a value is the correct response, by reference or repeated.
fn is_key(node: Node<'_, '_>, item: Node<'_, '_>, response: &str) -> bool {
    match name(node) {
        "qti-correct" => node.attribute("identifier") == Some(response),
        "qti-base-value" => {
            let correct = key::correct_values_of(item, response);
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
