//! A document that has passed validation, with the plans that were made of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use apollo_compiler::executable::{ExecutableDocument, Operation};
use apollo_compiler::introspection::check_max_depth;
use apollo_compiler::parser::{Parser, SourceSpan};
use apollo_compiler::validation::{DiagnosticList, Valid};
use apollo_compiler::{Name, Schema};
use async_graphql::{Pos, ServerError};

use super::limits::{Exceeded, Limits};
use super::plan::{Given, Plan};
use super::scalars::Scalars;
use super::{Refusal, budget, values};

/// Brackets may nest this deep: what is beyond ends the parser before the stack does.
const DEEPEST_NESTING: usize = 100;
/// A document has a plan for each combination of variables that are given and booleans that are true; those that
/// go beyond are made anew each time.
const KEPT_PLANS: usize = 16;

/// Which operation, and what its variables decide.
type PlanKey = (Option<Name>, Vec<Given>);

pub(super) struct Document {
    executable: Valid<ExecutableDocument>,
    plans: Mutex<Vec<(PlanKey, Arc<Plan>)>>,
}

impl Document {
    pub(super) fn new(
        text: &str,
        schema: &Valid<Schema>,
        limits: &Limits,
        scalars: &Scalars,
    ) -> Result<Self, Refusal> {
        let mut parser = Parser::new().token_limit(limits.tokens).recursion_limit(DEEPEST_NESTING);
        let parsed = parser.parse_ast(text, "document.graphql");
        let document = match parsed {
            Ok(document) => document,
            Err(_) if parser.tokens_reached() > limits.tokens => {
                return Err(Exceeded::new("tokens", limits.tokens).into());
            }
            Err(_) if parser.recursion_reached() > DEEPEST_NESTING => {
                return Err(Exceeded::new("nesting", DEEPEST_NESTING).into());
            }
            // What follows a first syntax error is noise.
            Err(error) => return Err(invalid(&error.errors, 1)),
        };
        budget::check(&document, limits)?;
        // In two steps: where a field is unknown, what validation makes of the rest is noise.
        let executable = document
            .to_executable(schema)
            .map_err(|error| invalid(&error.errors, limits.errors))?
            .validate(schema)
            .map_err(|error| invalid(&error.errors, limits.errors))?;
        let document = Self { executable, plans: Mutex::default() };
        for operation in document.executable.operations.iter() {
            check_max_depth(&document.executable, operation).map_err(|error| {
                Refusal::invalid(vec![document.error(error.message().to_string(), error.location())])
            })?;
        }
        let mut misfits = values::check(schema, &document.executable);
        misfits.extend(scalars.check_document(schema, &document.executable));
        if !misfits.is_empty() {
            misfits.truncate(limits.errors);
            let errors = misfits.into_iter().map(|misfit| document.error(misfit.message, misfit.location));
            return Err(Refusal::invalid(errors.collect()));
        }
        Ok(document)
    }

    pub(super) fn operation(&self, name: Option<&str>) -> Result<&Operation, Refusal> {
        // Over GET, and from some clients, an empty name stands for none.
        let name = name.filter(|name| !name.is_empty());
        let found = self.executable.operations.get(name);
        found
            .map(|operation| &**operation)
            .map_err(|error| Refusal::invalid(vec![ServerError::new(error.message().to_string(), None)]))
    }

    pub(super) fn plan(
        &self,
        schema: &Schema,
        operation: &Operation,
        given: &HashMap<&str, Given>,
    ) -> Arc<Plan> {
        let choices = operation.variables.iter().filter_map(|it| given.get(it.name.as_str()).copied());
        let key = (operation.name.clone(), choices.collect::<Vec<_>>());
        if let Some(plan) = find(&self.plans.lock().unwrap_or_else(PoisonError::into_inner), &key) {
            return plan;
        }
        let plan = Arc::new(Plan::new(schema, &self.executable, operation, given));
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if plans.len() < KEPT_PLANS && find(&plans, &key).is_none() {
            plans.push((key, Arc::clone(&plan)));
        }
        plan
    }

    /// An error at a place in the document.
    pub(super) fn error(&self, message: String, location: Option<SourceSpan>) -> ServerError {
        let start = location.and_then(|location| location.line_column(&self.executable.sources));
        ServerError::new(message, start.map(|start| Pos { line: start.line, column: start.column }))
    }
}

fn find(plans: &[(PlanKey, Arc<Plan>)], key: &PlanKey) -> Option<Arc<Plan>> {
    plans.iter().find(|(known, _)| known == key).map(|(_, plan)| Arc::clone(plan))
}

/// At most so many errors. What applies in many places is said once, with at most so many of them.
fn invalid(diagnostics: &DiagnosticList, most: usize) -> Refusal {
    let mut errors: Vec<ServerError> = Vec::new();
    for diagnostic in diagnostics.iter() {
        let error = diagnostic.to_json();
        let places = error.locations.iter().map(|it| Pos { line: it.line, column: it.column });
        if let Some(known) = errors.iter_mut().find(|known| known.message == error.message) {
            let room = most.saturating_sub(known.locations.len());
            known.locations.extend(places.take(room));
        } else if errors.len() < most {
            let mut converted = ServerError::new(error.message, None);
            converted.locations = places.collect();
            errors.push(converted);
        }
    }
    Refusal::invalid(errors)
}
