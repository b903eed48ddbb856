//! The parameters of a GraphQL request.

use apollo_compiler::response::{JsonMap, JsonValue};

use crate::persisted::DocumentReference;

/// The parameters of a GraphQL request, over any transport.
/// <https://graphql.github.io/graphql-over-http/draft/#sec-Request-Parameters>
#[derive(Clone, Debug, Default)]
pub struct GraphqlRequest {
    /// The text of the document.
    pub query: Option<String>,
    /// The id of a trusted document.
    pub document_id: Option<String>,
    /// The name of the operation to run. A document with only one operation needs no name.
    pub operation_name: Option<String>,
    /// The values of the variables.
    pub variables: JsonMap,
    /// Extensions of the protocol. The engine reads `persistedQuery.sha256Hash`, the hash of a document.
    pub extensions: JsonMap,
}

impl GraphqlRequest {
    /// Returns whether the request names a document: by its text, by its id, or with the extension `persistedQuery`.
    #[must_use]
    pub fn names_a_document(&self) -> bool {
        let reference = self.reference();
        reference.text.is_some()
            || reference.document_id.is_some()
            || self.extensions.get("persistedQuery").is_some()
    }

    /// Collects the text, the id and the hash with which the request names its document. An empty text or id counts as
    /// missing.
    pub(crate) fn reference(&self) -> DocumentReference<'_> {
        let query_hash = self
            .extensions
            .get("persistedQuery")
            .and_then(|persisted| persisted.get("sha256Hash"))
            .and_then(JsonValue::as_str);
        DocumentReference {
            text: self.query.as_deref().filter(|text| !text.trim().is_empty()),
            document_id: self.document_id.as_deref().filter(|id| !id.is_empty()),
            query_hash,
        }
    }
}
