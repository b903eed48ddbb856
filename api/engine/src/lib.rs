//! GraphQL as the specification defines it, in front of async-graphql.
//!
//! async-graphql resolves fields. [`Engine`] checks and rewrites each document before async-graphql gets it:
//!
//! 1. `persisted` replaces an id or a hash by the text of its document.
//! 2. `budget` measures the document before anything expands its fragments.
//! 3. apollo-compiler validates the document against the schema. `input_rules` and `custom_scalars` check values that
//!    apollo-compiler accepts without checking them.
//! 4. `variables` coerces the variables to their types.
//! 5. `plan` expands fragments and merges repeated fields. `cost` computes about how many objects the response can
//!    have.
//!
//! During execution, `plain` writes objects as JSON at once, if the selected fields need nothing but the object.
//!
//! The results of steps 2, 3 and 5 are cached, so that a document that is sent again usually skips these steps. After
//! execution, `error_path` completes the paths of errors.
//!
//! The example `bookshop` shows the engine on a small schema.

// The macros expand to paths that begin with `graphql_engine`, so the tests of this crate need the crate under that
// name.
#[cfg(test)]
extern crate self as graphql_engine;

mod budget;
mod cache;
mod convert;
mod cost;
mod custom_scalars;
mod document;
mod engine;
mod error_path;
mod field_output;
mod input_rules;
mod json;
mod limits;
mod lists;
mod options;
mod persisted;
mod plain;
mod plan;
mod rejection;
mod request;
mod response;
mod schema_index;
#[cfg(test)]
mod tests;
mod validation_error;
mod variables;

pub use apollo_compiler::response::JsonMap;
pub use custom_scalars::CustomScalars;
pub use engine::{Engine, ParsedSchema, PreparedOperation, SchemaError};
pub use field_output::FieldOutput;
pub use graphql_engine_macros::{PlainEnum, PlainObject, guarded_fields, page_arguments, plain_fields};
pub use limits::DocumentLimits;
pub use lists::{ListLength, ListLengths, PageSizes};
pub use options::EngineOptions;
pub use persisted::{ManifestError, TrustedDocuments};
pub use plain::{
    FieldWriter, NotAtHand, ObjectSelection, Plain, PlainJson, PlainObject, PlainOutput, RenderedText,
};
#[doc(hidden)]
pub use plain::{write_enum, write_scalar};
pub use rejection::Rejection;
pub use request::GraphqlRequest;
pub use response::ExecutedResponse;

/// The selection set of a plan, for the code that the macros make.
#[doc(hidden)]
pub use async_graphql::parser::types::SelectionSet;
