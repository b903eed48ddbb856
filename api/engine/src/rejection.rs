//! The reasons why a request is not executed, as errors for the client.

use async_graphql::{ErrorExtensionValues, ServerError};

use crate::limits::LimitExceeded;
use crate::persisted::ResolveError;

/// The reasons why a request is not executed. The response has these errors and no `data`.
#[derive(Clone, Debug)]
pub struct Rejection {
    /// The errors for the client, each with a code in `extensions.code`.
    pub errors: Vec<ServerError>,
    /// Whether the request exceeds a limit, or does not name its document properly. A response in `application/json`
    /// then has the status 400. For every other rejection, such as an invalid document, it has the status 200.
    pub malformed: bool,
}

impl Rejection {
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { errors: vec![with_code(code, ServerError::new(message, None))], malformed: false }
    }

    /// Makes the rejection of a document or of variables that are not valid. Gives each error the code
    /// `GRAPHQL_VALIDATION_FAILED`.
    pub(crate) fn invalid(errors: Vec<ServerError>) -> Self {
        let errors = errors.into_iter().map(|error| with_code("GRAPHQL_VALIDATION_FAILED", error)).collect();
        Self { errors, malformed: false }
    }
}

/// Adds `extensions.code` to an error.
pub(crate) fn with_code(code: &str, mut error: ServerError) -> ServerError {
    error.extensions.get_or_insert_with(ErrorExtensionValues::default).set("code", code);
    error
}

impl From<LimitExceeded> for Rejection {
    fn from(exceeded: LimitExceeded) -> Self {
        let mut error = with_code("LIMIT_EXCEEDED", ServerError::new(exceeded.to_string(), None));
        let extensions = error.extensions.get_or_insert_default();
        extensions.set("limit", exceeded.limit.name());
        extensions.set("maximum", exceeded.maximum);
        Self { errors: vec![error], malformed: true }
    }
}

impl From<ResolveError> for Rejection {
    fn from(error: ResolveError) -> Self {
        let (code, message) = match error {
            ResolveError::Missing => (
                "BAD_REQUEST",
                "The request has no document. Send its text in `query`, or the id of a trusted document in \
                 `documentId`.",
            ),
            ResolveError::Mismatch => (
                "BAD_REQUEST",
                "The id or hash does not match the document. Send the SHA-256 of the document's text, in \
                 hexadecimal digits.",
            ),
            ResolveError::UnknownDocument => (
                "PERSISTED_DOCUMENT_NOT_FOUND",
                "No trusted document has this id. Give the server the manifest that was built together with this \
                 version of the client.",
            ),
            // Apollo's clients react to these two codes and messages, so they must not change.
            ResolveError::UnknownHash => ("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound"),
            ResolveError::HashNotSupported => ("PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported"),
            ResolveError::Untrusted => (
                "PERSISTED_DOCUMENT_REQUIRED",
                "This server accepts only trusted documents. Send `documentId` instead of `query`.",
            ),
        };
        Self { malformed: code == "BAD_REQUEST", ..Self::new(code, message) }
    }
}
