//! The schema as a whole.

use std::sync::Arc;

use async_graphql::{SDLExportOptions, Schema, SchemaBuilder, ValidationMode};

use super::engine::{Engine, EngineOptions, Scalars, SchemaError};
use super::mutation::Mutation;
use super::query::Query;
use super::scalar::{DateTime, Decimal, Uuid};
use super::subscription::Subscription;
use crate::service::Services;

/// The executable schema.
pub type JishuSchema = Schema<Query, Mutation, Subscription>;

/// What prepares and runs operations on it.
pub type JishuEngine = Engine<JishuSchema>;

/// The schema over these services, as async-graphql alone would serve it.
#[must_use]
pub fn builder(services: Services) -> SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query, Mutation::default(), Subscription::default()).data(services)
}

/// The engine over these services.
///
/// # Errors
/// When the schema is not valid.
pub fn build(services: Services, options: EngineOptions) -> Result<Arc<JishuEngine>, SchemaError> {
    // The engine has validated a document before the schema gets it.
    let schema = builder(services).validation_mode(ValidationMode::Fast).finish();
    let scalars =
        Scalars::default().with::<DateTime>("DateTime").with::<Decimal>("Decimal").with::<Uuid>("UUID");
    Engine::new(schema, &sdl(), EngineOptions { scalars, ..options }).map(Arc::new)
}

/// The schema in the definition language, as it is in `schema.graphql`. Needs no database.
#[must_use]
pub fn sdl() -> String {
    let options = SDLExportOptions::new().sorted_enum_items().sorted_arguments().include_specified_by();
    let schema = Schema::build(Query, Mutation::default(), Subscription::default()).finish();
    format!("{}\n", schema.sdl_with_options(options).trim())
}
