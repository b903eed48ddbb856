//! Everything that is served over HTTP.

mod graphiql;
mod graphql;
mod health;
mod nesting;
mod request_id;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::trace::TraceLayer;

use crate::graphql::JishuSchema;
use crate::service::Services;

pub use graphiql::is_self_hosted;

/// The most bytes that a request's body may have.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// What handlers share.
#[derive(Clone)]
struct AppState {
    schema: JishuSchema,
    services: Services,
}

/// All routes.
pub fn router(schema: JishuSchema, services: Services) -> Router {
    Router::new()
        .route("/graphql", get(graphql::get).post(graphql::post).fallback(graphql::other))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/.well-known/jwks.json", get(health::jwks))
        .merge(graphiql::routes())
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(CatchPanicLayer::custom(request_id::panicked))
        .layer(TraceLayer::new_for_http().make_span_with(request_id::span))
        .layer(from_fn(request_id::assign))
        .with_state(AppState { schema, services })
}
