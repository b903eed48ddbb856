//! The error type of the checks that the engine makes in addition to those of apollo-compiler.

use apollo_compiler::parser::SourceSpan;

/// An error in a document, with its location if the location is known.
pub(crate) struct ValidationError {
    pub(crate) message: String,
    pub(crate) location: Option<SourceSpan>,
}
