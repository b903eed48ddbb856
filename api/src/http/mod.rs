//! Everything that is served over HTTP.

mod accept;
mod access_log;
mod admission;
mod client_address;
mod graphiql;
mod graphql;
mod headers;
mod health;
mod host;
mod memory;
mod origin;
mod refusal;
mod request_id;
mod stopping;

use std::sync::Arc;

use async_graphql::Data;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use tower::ServiceBuilder;
use tower::util::option_layer;
use tower_http::trace::{DefaultOnFailure, TraceLayer};
use tracing::Level;

use crate::config::{EdgeConfig, LiveConfig};
use crate::graphql::{JishuEngine, Loaders};
use jishu_service::Services;
use jishu_service::auth::{Identity, Viewer};
use jishu_service::limit::{ClientAddress, Subscriptions};

use admission::{Admission, Places, admit};
use client_address::Proxies;
use headers::SecurityHeaders;

pub use graphiql::is_self_hosted;
pub use origin::AllowedOrigins;
pub use stopping::Stopping;
pub(crate) use stopping::{Phase, STOP_GRACE, Stop};

/// The most bytes that a request's body may have.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// What handlers share.
#[derive(Clone)]
struct AppState {
    engine: Arc<JishuEngine>,
    services: Services,
    places: Places,
    subscriptions: Subscriptions,
    live: LiveConfig,
    has_access_log: bool,
}

impl AppState {
    /// Adds the viewer to a response, for the access log.
    fn with_user(&self, mut response: Response, identity: Option<&Identity>) -> Response {
        if let Some(identity) = identity.filter(|_| self.has_access_log) {
            response.extensions_mut().insert(access_log::ResponseOf(identity.viewer));
        }
        response
    }

    /// What the resolvers of one operation find in their context.
    fn context(&self, viewer: Option<Viewer>, client: ClientAddress) -> Data {
        let mut data = Data::default();
        data.insert(Loaders::new(&self.services));
        data.insert(client);
        if let Some(viewer) = viewer {
            data.insert(viewer);
        }
        data
    }
}

/// All routes, before what protects them.
pub fn router(
    engine: Arc<JishuEngine>,
    services: Services,
    edge: &EdgeConfig,
    live: LiveConfig,
    stopping: Stopping,
) -> Router {
    let (places, has_access_log) = (Places::new(edge), edge.access_log);
    let subscriptions = Subscriptions::new(live.live_subscriptions_per_user);
    let graphql = get(graphql::get)
        .post(graphql::post)
        .fallback(graphql::other)
        .layer(from_fn_with_state(Admission::new(edge, places.clone(), stopping), admit))
        .layer(from_fn(headers::not_stored));
    Router::new()
        .route("/graphql", graphql)
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/.well-known/jwks.json", get(health::jwks))
        .merge(graphiql::routes())
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(AppState { engine, services, places, subscriptions, live, has_access_log })
}

/// Routes with what every request passes on its way in, and every answer on its way out. A handler finds
/// [`Stopping`], [`AllowedOrigins`], the client's address and the request's id among the extensions.
pub fn protect(routes: Router, edge: &EdgeConfig, stopping: Stopping) -> Router {
    let origins = AllowedOrigins::new(edge);
    let cors = (!origins.is_empty()).then(|| origins.layer());
    // The first is the outermost. Panics are caught inside everything, so that their answers are like any other.
    let layers = ServiceBuilder::new()
        .layer(from_fn(request_id::assign))
        .layer(TraceLayer::new_for_http().make_span_with(request_id::span).on_failure(
            // What is at fault is logged where it is known; a line for each refusal under load would be more load.
            DefaultOnFailure::new().level(Level::DEBUG),
        ))
        .layer(from_fn_with_state(Proxies::new(edge), client_address::assign))
        .layer(option_layer(edge.access_log.then(|| from_fn(access_log::log))))
        .layer(from_fn_with_state(SecurityHeaders::new(edge), headers::secure))
        .layer(from_fn(host::check))
        .layer(option_layer(cors))
        .layer(Extension(stopping))
        .layer(Extension(origins))
        .layer(from_fn(request_id::catch_panic));
    routes.layer(layers)
}
