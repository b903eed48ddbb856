//! A document that has passed validation.

use std::sync::atomic::{AtomicU64, Ordering};

use apollo_compiler::executable::{ExecutableDocument, Operation};
use apollo_compiler::introspection::check_max_depth;
use apollo_compiler::parser::{Parser, SourceSpan};
use apollo_compiler::validation::{DiagnosticList, Valid};
use async_graphql::{Pos, ServerError};

use crate::custom_scalars::CustomScalars;
use crate::limits::{DocumentLimits, Limit, LimitExceeded};
use crate::rejection::Rejection;
use crate::schema_index::SchemaIndex;
use crate::{budget, input_rules};

/// Maximum number of nested brackets in a document. The parser stops there, before it exhausts the stack.
const MAX_BRACKET_NESTING: u32 = 100;

/// A document that has passed validation.
pub(crate) struct Document {
    /// The number of the document, which no other document of this process has.
    pub(crate) id: u64,
    pub(crate) executable: Valid<ExecutableDocument>,
    /// Whether the manifest of trusted documents contains the document.
    pub(crate) is_trusted: bool,
}

impl Document {
    /// Parses, measures and validates a document. The first step that finds errors makes the rejection.
    pub(crate) fn new(
        text: &str,
        schema_index: &SchemaIndex,
        limits: &DocumentLimits,
        scalars: &CustomScalars,
        is_trusted: bool,
    ) -> Result<Self, Rejection> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        let schema = &schema_index.schema;
        let max_errors = size(limits.errors);
        let parsed = parse(text, limits)?;
        budget::check(&parsed, limits)?;
        // Stops if the conversion finds errors, such as an unknown field, because the validation would then add
        // misleading errors.
        let executable = parsed
            .to_executable(schema)
            .map_err(|error| invalid(&error.errors, max_errors))?
            .validate(schema)
            .map_err(|error| invalid(&error.errors, max_errors))?;
        let document = Self { id: NEXT_ID.fetch_add(1, Ordering::Relaxed), executable, is_trusted };
        // Refuses introspection that goes in circles, such as the fields of the type of a field. This check does not
        // find all circles, but the limit of the cost bounds the response.
        for operation in document.executable.operations.iter() {
            check_max_depth(&document.executable, operation).map_err(|error| {
                Rejection::invalid(vec![document.error(error.message().to_string(), error.location())])
            })?;
        }
        let mut errors = input_rules::check(schema, &document.executable);
        errors.extend(scalars.check_document(schema, &document.executable));
        if !errors.is_empty() {
            errors.truncate(max_errors);
            let errors = errors.into_iter().map(|error| document.error(error.message, error.location));
            return Err(Rejection::invalid(errors.collect()));
        }
        Ok(document)
    }

    /// Finds the operation that has this name. Without a name, finds the only operation of the document. Rejects the
    /// request if no operation has the name, or if the name is missing and the document has several operations.
    pub(crate) fn operation(&self, name: Option<&str>) -> Result<&Operation, Rejection> {
        // Some clients send an empty name instead of no name.
        let name = name.filter(|name| !name.is_empty());
        let operation = self.executable.operations.get(name);
        operation
            .map(|operation| &**operation)
            .map_err(|error| Rejection::invalid(vec![ServerError::new(error.message().to_string(), None)]))
    }

    /// Makes an error at a location in the document. If `location` is None, the error has no location.
    pub(crate) fn error(&self, message: String, location: Option<SourceSpan>) -> ServerError {
        let start = location.and_then(|location| location.line_column(&self.executable.sources));
        ServerError::new(message, start.map(|start| Pos { line: start.line, column: start.column }))
    }
}

/// Parses a document. Reports only the first error, because the errors after it are misleading.
fn parse(text: &str, limits: &DocumentLimits) -> Result<apollo_compiler::ast::Document, Rejection> {
    let (max_tokens, max_nesting) = (size(limits.tokens), size(MAX_BRACKET_NESTING));
    let mut parser = Parser::new().token_limit(max_tokens).recursion_limit(max_nesting);
    parser.parse_ast(text, "document.graphql").map_err(|error| {
        if parser.tokens_reached() > max_tokens {
            LimitExceeded { limit: Limit::Tokens, maximum: limits.tokens }.into()
        } else if parser.recursion_reached() > max_nesting {
            LimitExceeded { limit: Limit::Nesting, maximum: MAX_BRACKET_NESTING }.into()
        } else {
            invalid(&error.errors, 1)
        }
    })
}

/// Converts a limit from the options to `usize`.
pub(crate) fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Converts errors of apollo-compiler into a rejection with at most `max` errors. Errors with the same message become
/// one error with at most `max` locations.
fn invalid(diagnostics: &DiagnosticList, max: usize) -> Rejection {
    let mut errors: Vec<ServerError> = Vec::new();
    for diagnostic in diagnostics.iter() {
        let error = diagnostic.to_json();
        let locations = error.locations.iter().map(|it| Pos { line: it.line, column: it.column });
        if let Some(known) = errors.iter_mut().find(|known| known.message == error.message) {
            let room = max.saturating_sub(known.locations.len());
            known.locations.extend(locations.take(room));
        } else if errors.len() < max {
            let mut converted = ServerError::new(error.message, None);
            converted.locations = locations.collect();
            errors.push(converted);
        }
    }
    Rejection::invalid(errors)
}
