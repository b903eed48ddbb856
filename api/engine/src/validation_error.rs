//! Errors that the checks of a document find.

use apollo_compiler::parser::SourceSpan;

/// An error in a document, with its location.
pub(crate) struct ValidationError {
    pub(crate) message: String,
    pub(crate) location: Option<SourceSpan>,
}
