//! The response processing of an item, which scores an answer.
//!
//! Authors write the same scoring in many ways. So the rules are not compared with known ones: they are run with the
//! answers that learners can give, and the scores tell the key. Anything that is not understood makes the score unknown,
//! and the item is refused, because a wrong key would give learners wrong results.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};

use roxmltree::Node;
use rust_decimal::Decimal;

use super::expression::elements;
use super::run::Run;
use super::tables;
use super::value::{HOW_TO_SCORE, Value};
use crate::labels::excerpt;
use crate::xml::{child, children, text};

/// The maximum number of steps in which an item is scored with all answers.
const MAX_STEPS: usize = 300_000;

/// The scoring of the standard that the name of a template stands for, in this version and in older ones.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Template {
    /// The answer must be the correct response.
    MatchCorrect,
    /// The mapping of the response gives the marks.
    MapResponse,
}

/// The response processing of an item with one response.
pub(super) struct Processing<'a, 'i> {
    /// The element with the rules.
    rules: Option<Node<'a, 'i>>,
    pub(super) template: Option<Template>,
    /// The declaration of the response.
    pub(super) declaration: Node<'a, 'i>,
    pub(super) response: &'a str,
    pub(super) responses: HashMap<&'a str, Node<'a, 'i>>,
    pub(super) outcomes: HashMap<&'a str, Node<'a, 'i>>,
    steps_left: Cell<usize>,
    /// The numbers at which a comparison can change.
    pub(super) boundaries: RefCell<BTreeSet<Decimal>>,
    /// Whether an answer scored a number other than 1 or 0.
    has_own_marks: Cell<bool>,
}

impl<'a, 'i> Processing<'a, 'i> {
    /// Finds the response processing of an item. Refuses a template that is not known.
    pub(super) fn new(item: Node<'a, 'i>, declaration: Node<'a, 'i>) -> Result<Self, String> {
        let named = |name| {
            let declarations = children(item, name).collect::<Vec<_>>().into_iter().rev();
            declarations.map(|node| (node.attribute("identifier").unwrap_or_default(), node)).collect()
        };
        let rules = child(item, "qti-response-processing");
        let mut processing = Self {
            rules: rules.filter(|rules| elements(*rules).next().is_some()),
            template: None,
            declaration,
            response: declaration.attribute("identifier").unwrap_or_default(),
            responses: named("qti-response-declaration"),
            outcomes: named("qti-outcome-declaration"),
            steps_left: Cell::new(MAX_STEPS),
            boundaries: RefCell::default(),
            has_own_marks: Cell::new(false),
        };
        let is_without_key =
            child(declaration, "qti-correct-response").is_none() && processing.rules.is_none();
        processing.template = match rules.and_then(|rules| rules.attribute("template")) {
            // A known template replaces the rules beside its name. They replace an unknown one.
            Some(name) => match (template(name), processing.rules) {
                (Err(_), Some(_)) => None,
                (known, _) => Some(known?),
            },
            // A mapping can only be there to give the marks.
            _ if is_without_key && tables::mapping(declaration).is_some() => Some(Template::MapResponse),
            _ => None,
        };
        Ok(processing)
    }

    /// Scores answers. Returns `None` if nothing scores them, so that the correct response alone is the key.
    pub(super) fn scores(&self, answers: &[Value]) -> Result<Option<Vec<Decimal>>, String> {
        if self.template.is_none() && self.rules.is_none() {
            return Ok(None);
        }
        let runs = answers.iter().map(|answer| Run::of(self, answer, self.rules));
        let runs = runs.collect::<Result<Vec<Run<'_, 'a, 'i>>, String>>()?;
        let Some(outcome) = self.score_outcome(&runs)? else { return Ok(None) };
        let scores = runs.iter().map(|run| run.score(outcome)).collect::<Result<Vec<_>, _>>()?;
        let is_own = |score: &Decimal| !score.is_zero() && *score != Decimal::ONE;
        if scores.iter().any(is_own) {
            self.has_own_marks.set(true);
        }
        Ok(Some(scores))
    }

    /// Finds the outcome that is the score: SCORE, or else the only number that the answer decides.
    fn score_outcome(&self, runs: &[Run<'_, 'a, 'i>]) -> Result<Option<&'a str>, String> {
        if self.template.is_some() {
            return Ok(Some("SCORE"));
        }
        let setters =
            self.rules.into_iter().flat_map(|rules| rules.descendants()).filter(|node| is_setter(*node));
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
            _ => Err(format!("Its response processing does not set SCORE. {HOW_TO_SCORE}")),
        }
    }

    /// Returns the correct value of a response.
    pub(super) fn correct(&self, identifier: &str) -> Value {
        let Some(declaration) = self.responses.get(identifier) else { return Value::Null };
        self.values_of(*declaration, "qti-correct-response")
    }

    /// Returns the default value of a response or an outcome.
    pub(super) fn default_of(&self, identifier: &str) -> Value {
        let declaration = self.outcomes.get(identifier).or_else(|| self.responses.get(identifier));
        declaration.map_or(Value::Null, |declaration| self.values_of(*declaration, "qti-default-value"))
    }

    pub(super) fn values_of(&self, declaration: Node<'_, '_>, name: &'static str) -> Value {
        let base_type = declaration.attribute("base-type");
        let values = child(declaration, name).map(|values| {
            let values = children(values, "qti-value").take_while(|_| self.take_step());
            values.map(|node| Value::of_node(node, base_type)).collect()
        });
        Value::of_cardinality(values.unwrap_or_default(), declaration.attribute("cardinality"))
    }

    pub(super) fn take_step(&self) -> bool {
        let left = self.steps_left.get();
        self.steps_left.set(left.saturating_sub(1));
        left > 0
    }

    /// Returns the numbers at which a comparison changed in the runs so far.
    pub(super) fn boundaries(&self) -> BTreeSet<Decimal> {
        self.boundaries.borrow().clone()
    }

    /// Returns whether a mapping scores the answer.
    pub(super) fn is_by_mapping(&self) -> bool {
        let uses_mapping = |rules: Node<'_, '_>| {
            rules.descendants().any(|node| node.tag_name().name() == "qti-map-response")
        };
        self.template == Some(Template::MapResponse) || self.rules.is_some_and(uses_mapping)
    }

    /// Returns the name of that which gives the marks, for the reason of a refusal.
    pub(super) fn scorer(&self) -> &'static str {
        if self.is_by_mapping() { "mapping" } else { "response processing" }
    }

    /// Returns whether an answer can score a number other than 1 or 0. The answers must have been scored before.
    pub(super) fn has_own_marks(&self) -> bool {
        let is_own = |(name, outcome): (&&str, &Node<'_, '_>)| {
            let is_score = ["SCORE", "MAXSCORE"].iter().any(|score| score.eq_ignore_ascii_case(name));
            let default = child(*outcome, "qti-default-value").filter(|_| is_score);
            let default = default.and_then(|value| text(value).trim().parse::<f64>().ok());
            default.is_some_and(|marks| marks != 0.0 && (marks - 1.0).abs() > f64::EPSILON)
        };
        self.has_own_marks.get() || self.outcomes.iter().any(is_own)
    }

    /// Returns the elements of the rules in their order.
    pub(super) fn rules_within(&self) -> impl Iterator<Item = Node<'a, 'i>> {
        self.rules.into_iter().flat_map(|rules| rules.descendants())
    }
}

/// Returns the scoring that the address of a template stands for.
fn template(address: &str) -> Result<Template, String> {
    let name = address.trim().rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    match name.trim_end_matches(".xml") {
        "map_response" | "cc2_map_response" => Ok(Template::MapResponse),
        "match_correct"
        | "match_correct_single"
        | "match_correct_multiple"
        | "cc2_match"
        | "cc2_match_basic" => Ok(Template::MatchCorrect),
        _ => Err(format!(
            "Its response processing is the template {}, which is not recognised. {HOW_TO_SCORE}",
            excerpt(address)
        )),
    }
}

pub(super) fn is_setter(node: Node<'_, '_>) -> bool {
    matches!(node.tag_name().name(), "qti-set-outcome-value" | "qti-lookup-outcome-value")
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
