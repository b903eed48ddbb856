//! What documents may ask for, and which are accepted.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::switch;
use graphql_engine::{EngineOptions, Limits, ManifestError, TrustedDocuments};

/// Words that mean yes in an environment variable.
const YES: [&str; 6] = ["true", "t", "yes", "y", "on", "1"];

/// How documents are treated. The limits are far above what frontends send; a refusal names the limit and its value.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "GraphQL documents")]
pub struct GraphqlConfig {
    /// Whether `__schema` and `__type` are answered; GraphiQL and code generators need them.
    #[arg(long, env = "JISHU_INTROSPECTION", default_value_t = true, action = ArgAction::Set,
          value_name = "BOOL", value_parser = switch(true))]
    pub introspection: bool,

    /// A manifest of trusted documents, as relay-compiler and graphql-codegen write it with sha256: requests name
    /// one by `documentId`.
    #[arg(long, env = "JISHU_TRUSTED_DOCUMENTS", value_name = "FILE")]
    pub trusted_documents: Option<PathBuf>,

    /// Accept nothing but trusted documents.
    #[arg(long, env = "JISHU_TRUSTED_DOCUMENTS_ONLY", requires_ifs(YES.map(|yes| (yes, "trusted_documents"))),
          value_parser = switch(false))]
    pub trusted_documents_only: bool,

    /// Whether clients may send a document once with its hash, and the hash alone afterwards, as Apollo's do.
    #[arg(long, env = "JISHU_AUTOMATIC_PERSISTED_QUERIES", default_value_t = true, action = ArgAction::Set,
          value_name = "BOOL", value_parser = switch(true))]
    pub automatic_persisted_queries: bool,

    /// The most tokens in a document.
    #[arg(long, env = "JISHU_MAX_TOKENS", default_value_t = Limits::DEFAULT.tokens, value_name = "COUNT", value_parser = count())]
    pub max_tokens: u32,

    /// How deeply fields may nest.
    #[arg(long, env = "JISHU_MAX_DEPTH", default_value_t = Limits::DEFAULT.depth, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=100))]
    pub max_depth: u32,

    /// The most fields and fragments, counted wherever they are spread.
    #[arg(long, env = "JISHU_MAX_SELECTIONS", default_value_t = Limits::DEFAULT.selections, value_name = "COUNT", value_parser = count())]
    pub max_selections: u32,

    /// The most fields with an alias.
    #[arg(long, env = "JISHU_MAX_ALIASES", default_value_t = Limits::DEFAULT.aliases, value_name = "COUNT", value_parser = count())]
    pub max_aliases: u32,

    /// The most directives.
    #[arg(long, env = "JISHU_MAX_DIRECTIVES", default_value_t = Limits::DEFAULT.directives, value_name = "COUNT", value_parser = count())]
    pub max_directives: u32,

    /// The most fields of a query or mutation itself.
    #[arg(long, env = "JISHU_MAX_ROOT_FIELDS", default_value_t = Limits::DEFAULT.root_fields, value_name = "COUNT", value_parser = count())]
    pub max_root_fields: u32,

    /// The most objects that an answer may have, by the lengths of the pages asked for; ten scalars count as one.
    #[arg(long, env = "JISHU_MAX_COST", default_value_t = Limits::DEFAULT.cost, value_name = "COUNT", value_parser = count())]
    pub max_cost: u32,

    /// The same for each event of a subscription.
    #[arg(long, env = "JISHU_MAX_EVENT_COST", default_value_t = Limits::DEFAULT.event_cost, value_name = "COUNT", value_parser = count())]
    pub max_event_cost: u32,

    /// The most errors in an answer.
    #[arg(long, env = "JISHU_MAX_ERRORS", default_value_t = Limits::DEFAULT.errors, value_name = "COUNT", value_parser = count())]
    pub max_errors: u32,
}

fn count() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=1_000_000)
}

impl GraphqlConfig {
    /// As the engine takes it.
    ///
    /// # Errors
    /// When the manifest of trusted documents cannot be used.
    pub fn engine(&self) -> Result<EngineOptions, ManifestError> {
        let trusted = match &self.trusted_documents {
            Some(file) => TrustedDocuments::from_manifest(&std::fs::read_to_string(file)?)?,
            None => TrustedDocuments::default(),
        };
        let limits = Limits {
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
