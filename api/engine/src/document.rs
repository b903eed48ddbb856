//! A document that has passed validation.

use std::sync::atomic::{AtomicU64, Ordering};

use apollo_compiler::executable::{ExecutableDocument, Operation};
use apollo_compiler::introspection::check_max_depth;
use apollo_compiler::parser::{Parser, SourceSpan};
use apollo_compiler::validation::{DiagnosticList, Valid};
use async_graphql::{Pos, ServerError};

use crate::limits::{Exceeded, Limit, Limits};
use crate::model::Model;
use crate::scalars::Scalars;
use crate::{Refusal, budget, values};

/// Brackets may nest this deep: what is beyond ends the parser before the stack does.
const DEEPEST_NESTING: u32 = 100;

pub(crate) struct Document {
    /// Tells it apart from every other.
    pub(crate) id: u64,
    pub(crate) executable: Valid<ExecutableDocument>,
}

impl Document {
    pub(crate) fn new(
        text: &str,
        model: &Model,
        limits: &Limits,
        scalars: &Scalars,
    ) -> Result<Self, Refusal> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let schema = &model.schema;
        let (tokens, errors) = (size(limits.tokens), size(limits.errors));
        let mut parser = Parser::new().token_limit(tokens).recursion_limit(size(DEEPEST_NESTING));
        let parsed = parser.parse_ast(text, "document.graphql");
        let document = match parsed {
            Ok(document) => document,
            Err(_) if parser.tokens_reached() > tokens => {
                return Err(Exceeded { limit: Limit::Tokens, maximum: limits.tokens }.into());
            }
            Err(_) if parser.recursion_reached() > size(DEEPEST_NESTING) => {
                return Err(Exceeded { limit: Limit::Nesting, maximum: DEEPEST_NESTING }.into());
            }
            // What follows a first syntax error is noise.
            Err(error) => return Err(invalid(&error.errors, 1)),
        };
        budget::check(&document, limits)?;
        // In two steps: where a field is unknown, what validation makes of the rest is noise.
        let executable = document
            .to_executable(schema)
            .map_err(|error| invalid(&error.errors, errors))?
            .validate(schema)
            .map_err(|error| invalid(&error.errors, errors))?;
        let document = Self { id: NEXT.fetch_add(1, Ordering::Relaxed), executable };
        // Tells what goes in circles. It does not find all; how much is answered is bounded by the cost.
        for operation in document.executable.operations.iter() {
            check_max_depth(&document.executable, operation).map_err(|error| {
                Refusal::invalid(vec![document.error(error.message().to_string(), error.location())])
            })?;
        }
        let mut misfits = values::check(schema, &document.executable);
        misfits.extend(scalars.check_document(schema, &document.executable));
        if !misfits.is_empty() {
            misfits.truncate(errors);
            let errors = misfits.into_iter().map(|misfit| document.error(misfit.message, misfit.location));
            return Err(Refusal::invalid(errors.collect()));
        }
        Ok(document)
    }

    pub(crate) fn operation(&self, name: Option<&str>) -> Result<&Operation, Refusal> {
        // Over GET, and from some clients, an empty name stands for none.
        let name = name.filter(|name| !name.is_empty());
        let found = self.executable.operations.get(name);
        found
            .map(|operation| &**operation)
            .map_err(|error| Refusal::invalid(vec![ServerError::new(error.message().to_string(), None)]))
    }

    /// An error at a place in the document.
    pub(crate) fn error(&self, message: String, location: Option<SourceSpan>) -> ServerError {
        let start = location.and_then(|location| location.line_column(&self.executable.sources));
        ServerError::new(message, start.map(|start| Pos { line: start.line, column: start.column }))
    }
}

pub(crate) fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
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
