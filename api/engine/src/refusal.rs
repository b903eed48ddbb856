//! Why nothing is executed.

use async_graphql::{ErrorExtensionValues, ServerError};

use crate::limits::Exceeded;
use crate::persisted::Unknown;

/// Why nothing is executed. The answer has these errors and no `data`.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Each with `extensions.code`.
    pub errors: Vec<ServerError>,
    /// Whether the request is refused for itself, and not for what its document says: it is beyond a limit, or
    /// names its document wrongly.
    pub malformed: bool,
}

impl Refusal {
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { errors: vec![coded(code, ServerError::new(message, None))], malformed: false }
    }

    pub(crate) fn invalid(errors: Vec<ServerError>) -> Self {
        let errors = errors.into_iter().map(|error| coded(INVALID, error)).collect();
        Self { errors, malformed: false }
    }
}

const INVALID: &str = "GRAPHQL_VALIDATION_FAILED";

pub(crate) fn coded(code: &str, mut error: ServerError) -> ServerError {
    error.extensions.get_or_insert_with(ErrorExtensionValues::default).set("code", code);
    error
}

impl From<Exceeded> for Refusal {
    fn from(exceeded: Exceeded) -> Self {
        let mut error = coded("LIMIT_EXCEEDED", ServerError::new(exceeded.to_string(), None));
        let extensions = error.extensions.get_or_insert_default();
        extensions.set("limit", exceeded.limit.name());
        extensions.set("maximum", exceeded.maximum);
        Self { errors: vec![error], malformed: true }
    }
}

impl From<Unknown> for Refusal {
    fn from(unknown: Unknown) -> Self {
        let (code, message) = match unknown {
            Unknown::Missing => ("BAD_REQUEST", "`query` is missing: put the document there."),
            Unknown::Mismatch => (
                "BAD_REQUEST",
                "The hash is not the SHA-256 of the document that came with it, in hexadecimal digits.",
            ),
            Unknown::Document => (
                "PERSISTED_DOCUMENT_NOT_FOUND",
                "No trusted document has this id. Give the server the manifest that was built with the client.",
            ),
            // The messages and codes are those that Apollo's clients wait for.
            Unknown::Query => ("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound"),
            Unknown::QueryNotSupported => ("PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported"),
            Unknown::Untrusted => (
                "PERSISTED_DOCUMENT_REQUIRED",
                "Only trusted documents are accepted here: send `documentId` instead of `query`.",
            ),
        };
        Self { malformed: code == "BAD_REQUEST", ..Self::new(code, message) }
    }
}
