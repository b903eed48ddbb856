//! The declarations of an item: its response, its outcomes and its scoring.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};

use roxmltree::Node;
use rust_decimal::Decimal;

use super::expression::elements;
use super::tables;
use super::value::{HOW_TO_SCORE, Value};
use crate::labels::excerpt;
use crate::xml::{child, children, text};

/// The maximum number of steps that scoring an item with all answers together may take.
const MAX_STEPS: usize = 300_000;

/// A scoring that the standard defines under the name of a template, in QTI 2.0 to 3.0.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Template {
    /// The answer must be the correct response.
    MatchCorrect,
    /// The mapping of the response gives the marks.
    MapResponse,
}

/// The declarations of an item with one response.
pub(super) struct Declarations<'a, 'i> {
    /// The element with the rules of the response processing; `None` if the item has no rules.
    pub(super) rules: Option<Node<'a, 'i>>,
    pub(super) template: Option<Template>,
    /// The declaration of the response.
    pub(super) declaration: Node<'a, 'i>,
    pub(super) response: &'a str,
    pub(super) responses: HashMap<&'a str, Node<'a, 'i>>,
    pub(super) outcomes: HashMap<&'a str, Node<'a, 'i>>,
    steps_left: Cell<usize>,
    /// The numbers with which rules compared the answer. The score can change at these numbers.
    pub(super) boundaries: RefCell<BTreeSet<Decimal>>,
    /// Whether any answer that was scored so far has a score other than 1 or 0.
    pub(super) has_own_marks: Cell<bool>,
}

impl<'a, 'i> Declarations<'a, 'i> {
    /// Finds the declarations of an item. Refuses an unknown template if the item has no rules.
    pub(super) fn new(item: Node<'a, 'i>, declaration: Node<'a, 'i>) -> Result<Self, String> {
        let named = |name| {
            let declarations = children(item, name).collect::<Vec<_>>().into_iter().rev();
            declarations.map(|node| (node.attribute("identifier").unwrap_or_default(), node)).collect()
        };
        let rules = child(item, "qti-response-processing");
        let mut declarations = Self {
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
            child(declaration, "qti-correct-response").is_none() && declarations.rules.is_none();
        declarations.template = match rules.and_then(|rules| rules.attribute("template")) {
            // A known template applies instead of the rules. If the template is unknown, the rules apply.
            Some(name) => match (template(name), declarations.rules) {
                (Err(_), Some(_)) => None,
                (known, _) => Some(known?),
            },
            // The item has a mapping, but no key and no rules. So the mapping must give the marks.
            _ if is_without_key && tables::mapping(declaration).is_some() => Some(Template::MapResponse),
            _ => None,
        };
        Ok(declarations)
    }

    /// Returns the correct value of a response, or `Null` if the item declares no correct value.
    pub(super) fn correct(&self, identifier: &str) -> Value {
        let Some(declaration) = self.responses.get(identifier) else { return Value::Null };
        self.values_of(*declaration, "qti-correct-response")
    }

    /// Returns the default value of a response or an outcome, or `Null` if the item declares no default value.
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

    /// Returns the numbers with which rules compared the answer in all runs so far.
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

    /// Returns the name of the part of the item that gives the marks, for the reason of a refusal.
    pub(super) fn scorer(&self) -> &'static str {
        if self.is_by_mapping() { "mapping" } else { "response processing" }
    }

    /// Returns whether the item has marks of its own: an answer has a score other than 1 or 0, or the default of an
    /// outcome for the score is such a number. Call this function after all answers were scored.
    pub(super) fn has_own_marks(&self) -> bool {
        let is_own = |(name, outcome): (&&str, &Node<'_, '_>)| {
            let is_score = ["SCORE", "MAXSCORE"].iter().any(|score| score.eq_ignore_ascii_case(name));
            let default = child(*outcome, "qti-default-value").filter(|_| is_score);
            let default = default.and_then(|value| text(value).trim().parse::<f64>().ok());
            default.is_some_and(|marks| marks != 0.0 && (marks - 1.0).abs() > f64::EPSILON)
        };
        self.has_own_marks.get() || self.outcomes.iter().any(is_own)
    }

    /// Returns all nodes of the rules in the order of the document.
    pub(super) fn rules_within(&self) -> impl Iterator<Item = Node<'a, 'i>> {
        self.rules.into_iter().flat_map(|rules| rules.descendants())
    }
}

/// Returns the template with this address. Refuses an unknown template.
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
