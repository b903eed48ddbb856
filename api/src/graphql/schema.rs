//! The schema as a whole.

use async_graphql::{EmptySubscription, SDLExportOptions, Schema};

use super::mutation::Mutation;
use super::query::Query;
use crate::service::Services;

/// The executable schema.
pub type JishuSchema = Schema<Query, Mutation, EmptySubscription>;

/// Selections may nest this deep; GraphiQL's introspection goes to 15.
const DEEPEST: usize = 20;
/// The most fields that an operation may select.
const MOST_FIELDS: usize = 2_000;

/// The schema over these services.
#[must_use]
pub fn build(services: Services) -> JishuSchema {
    Schema::build(Query, Mutation::default(), EmptySubscription)
        .data(services)
        .limit_depth(DEEPEST)
        .limit_complexity(MOST_FIELDS)
        .finish()
}

/// The schema in the definition language, as it is in `schema.graphql`. Needs no database.
#[must_use]
pub fn sdl() -> String {
    let options = SDLExportOptions::new().sorted_enum_items().sorted_arguments().include_specified_by();
    let schema = Schema::build(Query, Mutation::default(), EmptySubscription).finish();
    format!("{}\n", schema.sdl_with_options(options).trim())
}
