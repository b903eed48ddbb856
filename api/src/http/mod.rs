//! Everything that is served over HTTP.

mod accept;
mod graphiql;
mod graphql;
mod health;
mod request_id;

use std::sync::Arc;

use async_graphql::Data;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::trace::TraceLayer;

use crate::auth::Viewer;
use crate::graphql::{JishuEngine, Loaders};
use crate::service::Services;

pub use graphiql::is_self_hosted;

/// The most bytes that a request's body may have.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// What handlers share.
#[derive(Clone)]
struct AppState {
    engine: Arc<JishuEngine>,
    services: Services,
}

impl AppState {
    /// What the resolvers of one operation find in their context.
    fn context(&self, viewer: Option<Viewer>) -> Data {
        let mut data = Data::default();
        data.insert(Loaders::new(&self.services));
        if let Some(viewer) = viewer {
            data.insert(viewer);
        }
        data
    }
}

/// All routes.
pub fn router(engine: Arc<JishuEngine>, services: Services) -> Router {
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
        .with_state(AppState { engine, services })
}
