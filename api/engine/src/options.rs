//! The options of an engine.

use crate::custom_scalars::CustomScalars;
use crate::limits::DocumentLimits;
use crate::lists::{ListLengths, PageSizes};
use crate::persisted::TrustedDocuments;

/// The options of an engine. `scalars`, `lists`, `page_sizes` and `secret_fields` describe the schema. The other
/// options are choices of the server.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// The limits of documents and of their responses.
    pub limits: DocumentLimits,
    /// Whether clients may read the schema through `__schema` and `__type`.
    pub introspection: bool,
    /// The trusted documents, which clients may name by their ids.
    pub trusted: TrustedDocuments,
    /// Whether the engine refuses all documents that are not trusted.
    pub trusted_only: bool,
    /// Whether a client may send the text of a document once with its hash, and later only the hash. Has no effect with
    /// `trusted_only`.
    pub automatic_persisted_queries: bool,
    /// The scalars of the schema that the specification does not define.
    pub scalars: CustomScalars,
    /// The lengths of all lists of objects that neither `first` nor `last` bounds.
    pub lists: ListLengths,
    /// The default and the maximum number of items in the pages of the schema.
    pub page_sizes: PageSizes,
    /// The names of fields with secrets.
    /// [`PreparedOperation::selects_secrets`](crate::PreparedOperation::selects_secrets) reports whether an operation
    /// selects one of these fields.
    pub secret_fields: &'static [&'static str],
    /// Whether the engine writes selections of plain fields as JSON at once. Use false if the schema has extensions of
    /// async-graphql that must see each field, because extensions do not see plain fields.
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
