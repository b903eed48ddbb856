//! Errors that the engine's own checks of a document find.

use apollo_compiler::parser::SourceSpan;

/// An error in a document, with its location if that is known.
pub(crate) struct ValidationError {
    pub(crate) message: String,
    pub(crate) location: Option<SourceSpan>,
}
