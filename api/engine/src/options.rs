//! The options of an engine.

use crate::custom_scalars::CustomScalars;
use crate::limits::DocumentLimits;
use crate::lists::{ListLengths, PageSizes};
use crate::persisted::TrustedDocuments;

/// The options of an engine. `scalars`, `lists`, `page_sizes` and `secret_fields` describe the schema; the others are
/// up to the server's operator.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// The limits of a document and of its response.
    pub limits: DocumentLimits,
    /// Whether clients may read the schema through `__schema` and `__type`.
    pub introspection: bool,
    /// The documents that clients may name by their ids.
    pub trusted: TrustedDocuments,
    /// Whether the engine refuses all documents but the trusted ones.
    pub trusted_only: bool,
    /// Whether a client may send a document once with its hash, and later the hash alone.
    pub automatic_persisted_queries: bool,
    /// The scalars of the schema that the specification does not define.
    pub scalars: CustomScalars,
    /// The lengths of all lists of objects that neither `first` nor `last` bounds.
    pub lists: ListLengths,
    /// The number of items in the pages of the schema.
    pub page_sizes: PageSizes,
    /// The names of fields with secrets. [`PreparedOperation::selects_secrets`](crate::PreparedOperation::selects_secrets)
    /// finds them.
    pub secret_fields: &'static [&'static str],
    /// Whether selections of plain fields are written at once. Switch it off if the schema has extensions of
    /// async-graphql that look at each field, because they do not see plain fields.
    pub plain_fields: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            limits: DocumentLimits::default(),
            introspection: true,
            trusted: TrustedDocuments::default(),
            trusted_only: false,
            automatic_persisted_queries: true,
            scalars: CustomScalars::default(),
            lists: &[],
            page_sizes: PageSizes::default(),
            secret_fields: &[],
            plain_fields: true,
        }
    }
}
