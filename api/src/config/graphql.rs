//! Configures the limits of GraphQL documents, and which documents are accepted.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::switch;
use graphql_engine::{DocumentLimits, EngineOptions, ManifestError, TrustedDocuments};

/// The values of an environment variable that turn a switch on.
const TRUE_VALUES: [&str; 6] = ["true", "t", "yes", "y", "on", "1"];

/// The rules for GraphQL documents. The limits are far above the needs of frontends. The error of a refused document
/// names the limit and its value.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "GraphQL documents")]
pub struct GraphqlConfig {
    /// Allow queries of the schema itself (`__schema` and `__type`). GraphiQL and code generators need them.
    #[arg(long, env = "JISHU_INTROSPECTION", default_value_t = true, action = ArgAction::Set,
          value_name = "BOOL", value_parser = switch(true))]
    pub introspection: bool,

    /// The manifest of trusted documents, as relay-compiler or graphql-codegen writes it with SHA-256 hashes. Requests
    /// name a trusted document in `documentId`.
    #[arg(long, env = "JISHU_TRUSTED_DOCUMENTS", value_name = "FILE")]
    pub trusted_documents: Option<PathBuf>,

    /// Accept only trusted documents.
    #[arg(long, env = "JISHU_TRUSTED_DOCUMENTS_ONLY",
          requires_ifs(TRUE_VALUES.map(|value| (value, "trusted_documents"))), value_parser = switch(false))]
    pub trusted_documents_only: bool,

    /// Allow clients to send a document once with its hash, and then only the hash, as Apollo clients do.
    #[arg(long, env = "JISHU_AUTOMATIC_PERSISTED_QUERIES", default_value_t = true, action = ArgAction::Set,
          value_name = "BOOL", value_parser = switch(true))]
    pub automatic_persisted_queries: bool,

    /// Maximum number of tokens in a document.
    #[arg(long, env = "JISHU_MAX_TOKENS", default_value_t = DocumentLimits::DEFAULT.tokens, value_name = "COUNT", value_parser = count())]
    pub max_tokens: u32,

    /// Maximum depth of nested fields in a document.
    #[arg(long, env = "JISHU_MAX_DEPTH", default_value_t = DocumentLimits::DEFAULT.depth, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=100))]
    pub max_depth: u32,

    /// Maximum number of fields and fragments in a document. A fragment counts each time that it is used.
    #[arg(long, env = "JISHU_MAX_SELECTIONS", default_value_t = DocumentLimits::DEFAULT.selections, value_name = "COUNT", value_parser = count())]
    pub max_selections: u32,

    /// Maximum number of fields with an alias in a document.
    #[arg(long, env = "JISHU_MAX_ALIASES", default_value_t = DocumentLimits::DEFAULT.aliases, value_name = "COUNT", value_parser = count())]
    pub max_aliases: u32,

    /// Maximum number of directives in a document.
    #[arg(long, env = "JISHU_MAX_DIRECTIVES", default_value_t = DocumentLimits::DEFAULT.directives, value_name = "COUNT", value_parser = count())]
    pub max_directives: u32,

    /// Maximum number of root fields of a query or mutation.
    #[arg(long, env = "JISHU_MAX_ROOT_FIELDS", default_value_t = DocumentLimits::DEFAULT.root_fields, value_name = "COUNT", value_parser = count())]
    pub max_root_fields: u32,

    /// Maximum cost of an operation: the number of objects that its response can have, by the requested page sizes. Ten
    /// scalars count as one object.
    #[arg(long, env = "JISHU_MAX_COST", default_value_t = DocumentLimits::DEFAULT.cost, value_name = "COUNT", value_parser = count())]
    pub max_cost: u32,

    /// Maximum cost of each event of a subscription.
    #[arg(long, env = "JISHU_MAX_EVENT_COST", default_value_t = DocumentLimits::DEFAULT.event_cost, value_name = "COUNT", value_parser = count())]
    pub max_event_cost: u32,

    /// Maximum number of errors in a response.
    #[arg(long, env = "JISHU_MAX_ERRORS", default_value_t = DocumentLimits::DEFAULT.errors, value_name = "COUNT", value_parser = count())]
    pub max_errors: u32,
}

fn count() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=1_000_000)
}

impl GraphqlConfig {
    /// Returns the options for the GraphQL engine. Reads the manifest of trusted documents, if there is one.
    ///
    /// # Errors
    /// Fails if the manifest of trusted documents cannot be read, or is malformed.
    pub fn engine(&self) -> Result<EngineOptions, ManifestError> {
        let trusted = match &self.trusted_documents {
            Some(file) => TrustedDocuments::from_manifest(&std::fs::read_to_string(file)?)?,
            None => TrustedDocuments::default(),
        };
        let limits = DocumentLimits {
            tokens: self.max_tokens,
            depth: self.max_depth,
            selections: self.max_selections,
            aliases: self.max_aliases,
            directives: self.max_directives,
            root_fields: self.max_root_fields,
            cost: self.max_cost,
            event_cost: self.max_event_cost,
            errors: self.max_errors,
        };
        Ok(EngineOptions {
            limits,
            introspection: self.introspection,
            trusted,
            trusted_only: self.trusted_documents_only,
            automatic_persisted_queries: self.automatic_persisted_queries,
            ..EngineOptions::default()
        })
    }
}
