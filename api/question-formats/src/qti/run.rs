//! Runs the rules of response processing with one answer.

use std::collections::HashMap;
use std::rc::Rc;

use roxmltree::Node;
use rust_decimal::Decimal;

use super::declarations::{Declarations, Template};
use super::expression::{elements, value};
use super::scope::Scope;
use super::tables;
use super::value::{HOW_TO_SCORE, Value};
use crate::labels::excerpt;

/// A run of the rules with one answer.
pub(super) struct Run<'r, 'a, 'i> {
    declarations: &'r Declarations<'a, 'i>,
    answer: &'r Value,
    /// The outcomes that were set so far.
    outcomes: HashMap<&'a str, Value>,
    has_exited: bool,
    /// The reason why no outcome is known, if there is a reason. For example, a rule was not understood, or the rules
    /// are too long.
    lost: Option<Rc<str>>,
}

impl<'r, 'a, 'i> Run<'r, 'a, 'i> {
    /// Runs the rules or the template with an answer. Refuses the item if no outcome is known after the run.
    pub(super) fn of(declarations: &'r Declarations<'a, 'i>, answer: &'r Value) -> Result<Self, String> {
        let mut run = Self { declarations, answer, outcomes: HashMap::new(), has_exited: false, lost: None };
        let score = match declarations.template {
            Some(Template::MapResponse) => Some(run.mapped(declarations.response)),
            Some(Template::MatchCorrect) => Some(run.matched()),
            None => None,
        };
        match score {
            Some(score) => drop(run.outcomes.insert("SCORE", score)),
            None => run.rules(declarations.rules.into_iter().flat_map(elements)),
        }
        match run.lost.take() {
            Some(reason) => Err(reason.to_string()),
            None => Ok(run),
        }
    }

    fn rules(&mut self, rules: impl Iterator<Item = Node<'a, 'i>>) {
        for rule in rules {
            if self.has_exited {
                return;
            }
            if !self.take_step() {
                self.lost = Some(
                    format!("Its response processing is too long or too deeply nested. {HOW_TO_SCORE}")
                        .into(),
                );
                self.has_exited = true;
                return;
            }
            match rule.tag_name().name() {
                "qti-response-condition" => self.condition(rule),
                "qti-set-outcome-value" => {
                    let value = elements(rule).next().map_or(Value::Null, |node| value(node, self, 0));
                    self.set(rule, value);
                }
                "qti-lookup-outcome-value" => {
                    let source = elements(rule).next().map_or(Value::Null, |node| value(node, self, 0));
                    let outcome = rule.attribute("identifier").unwrap_or_default();
                    let declaration = self.declarations.outcomes.get(outcome);
                    let found =
                        declaration.and_then(|declaration| tables::lookup(*declaration, &source, self));
                    self.set(rule, found.unwrap_or_else(|| Value::not_recognised(rule)));
                }
                "qti-exit-response" => self.has_exited = true,
                "qti-response-processing-fragment" => self.rules(elements(rule)),
                _ => self.lose(rule),
            }
        }
    }

    fn condition(&mut self, condition: Node<'a, 'i>) {
        for branch in elements(condition) {
            let mut rules = elements(branch);
            let test = match branch.tag_name().name() {
                "qti-response-if" | "qti-response-else-if" => {
                    rules.next().map_or(Value::Null, |test| value(test, self, 0))
                }
                "qti-response-else" => Value::Boolean(true),
                _ => return self.lose(branch),
            };
            match test {
                Value::Boolean(true) => return self.rules(rules),
                Value::Boolean(false) | Value::Null => {}
                Value::Unknown(reason) => return self.any_branch(condition, &reason),
                _ => return self.lose(branch),
            }
        }
    }

    /// Makes every outcome unknown that a condition can set, because it is unknown which branch of the condition runs.
    fn any_branch(&mut self, condition: Node<'a, 'i>, reason: &Rc<str>) {
        for node in condition.descendants() {
            match node.tag_name().name() {
                _ if is_setter(node) => self.set(node, Value::Unknown(Rc::clone(reason))),
                "qti-exit-response" => self.lost = Some(Rc::clone(reason)),
                _ => {}
            }
        }
    }

    fn set(&mut self, rule: Node<'a, 'i>, value: Value) {
        self.outcomes.insert(rule.attribute("identifier").unwrap_or_default(), value);
    }

    /// Ends the run at a rule that is not understood. Then no outcome is known.
    fn lose(&mut self, rule: Node<'_, '_>) {
        if let Value::Unknown(reason) = Value::not_recognised(rule) {
            self.lost = Some(reason);
            self.has_exited = true;
        }
    }

    /// Returns the value of an outcome that was set, or else the default of a declared outcome. Returns `Null` if the
    /// outcome was neither set nor declared.
    pub(super) fn outcome(&self, name: &str) -> Value {
        match self.outcomes.get(name) {
            Some(set) => set.clone(),
            None if self.declarations.outcomes.contains_key(name) => self.variable(name),
            None => Value::Null,
        }
    }

    /// Returns the number 1 if the answer is the correct response, and 0 otherwise. Returns an unknown value if the
    /// correct response cannot be read.
    fn matched(&self) -> Value {
        let correct = self.declarations.correct(self.declarations.response);
        if let Value::Unknown(_) = correct {
            return correct;
        }
        self.tell_boundary(&correct);
        let is_correct = *self.answer != Value::Null && self.answer.equals(&correct);
        Value::Number(if is_correct { Decimal::ONE } else { Decimal::ZERO })
    }

    /// Returns the value of the outcome that is the score, after all rules have run. `Null` counts as 0, and a truth
    /// value as 1 or 0. Refuses any other value that is not a number.
    pub(super) fn score(&self, outcome: &str) -> Result<Decimal, String> {
        match self.variable(outcome) {
            Value::Number(score) => Ok(score),
            Value::Null | Value::Boolean(false) => Ok(Decimal::ZERO),
            Value::Boolean(true) => Ok(Decimal::ONE),
            Value::Unknown(reason) => Err(reason.to_string()),
            Value::Text(_) | Value::Container(_) => Err(format!(
                "Its response processing makes its score something other than a number. {HOW_TO_SCORE}"
            )),
        }
    }
}

impl Scope for Run<'_, '_, '_> {
    fn answer(&self) -> &Value {
        self.answer
    }

    fn correct(&self, identifier: &str) -> Value {
        self.declarations.correct(identifier)
    }

    fn default_of(&self, identifier: &str) -> Value {
        self.declarations.default_of(identifier)
    }

    fn take_step(&self) -> bool {
        self.declarations.take_step()
    }

    fn tell_boundary(&self, value: &Value) {
        // A comparison tells both of its numbers. Record only the number with which the rules compare the answer, not
        // the answer itself.
        if let Value::Number(number) = value
            && value != self.answer
        {
            self.declarations.boundaries.borrow_mut().insert(*number);
        }
    }

    fn variable(&self, identifier: &str) -> Value {
        let declarations = self.declarations;
        if identifier == declarations.response {
            return self.answer.clone();
        }
        if let Some(set) = self.outcomes.get(identifier) {
            return set.clone();
        }
        let begins =
            |begin: &str| identifier.get(..begin.len()).is_some_and(|name| name.eq_ignore_ascii_case(begin));
        // Also recognise names that only begin with MAXSCORE or MINSCORE: MAXSCORE_1 is the maximum of a part of the
        // score.
        let usual = match () {
            () if begins("MAXSCORE") => Some(Decimal::ONE),
            () if begins("MINSCORE") || identifier.eq_ignore_ascii_case("SCORE") => Some(Decimal::ZERO),
            () => None,
        };
        if let Some(declaration) = declarations.outcomes.get(identifier) {
            let is_number = matches!(declaration.attribute("base-type"), Some("float" | "integer"));
            let usual = usual.or(is_number.then_some(Decimal::ZERO));
            return match declarations.values_of(*declaration, "qti-default-value") {
                Value::Null => usual.map_or(Value::Null, Value::Number),
                // Some authors declare an outcome without a type, so read its text as a number.
                Value::Text(text) if usual.is_some() => Value::read(&text, Some("float")),
                default => default,
            };
        }
        match usual {
            Some(usual) => Value::Number(usual),
            // The item has one interaction, so there is no answer to another response.
            None if declarations.responses.contains_key(identifier) => Value::Null,
            None if identifier == "numAttempts" => Value::Number(Decimal::ONE),
            None if identifier == "completionStatus" => Value::Text("not_attempted".to_owned()),
            None => Value::unknown(format!(
                "Its response processing uses {}, which is not declared. {HOW_TO_SCORE}",
                excerpt(identifier)
            )),
        }
    }

    fn mapped(&self, identifier: &str) -> Value {
        if identifier != self.declarations.response {
            return Value::Null;
        }
        match tables::mapping(self.declarations.declaration) {
            Some(mapping) => tables::mapped(mapping, self),
            None => self.matched(),
        }
    }
}

/// Returns whether a rule sets an outcome.
pub(super) fn is_setter(node: Node<'_, '_>) -> bool {
    matches!(node.tag_name().name(), "qti-set-outcome-value" | "qti-lookup-outcome-value")
}
