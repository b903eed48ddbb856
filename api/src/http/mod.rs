//! Serves everything that is reached over HTTP.

mod access_log;
mod admission;
mod body;
mod body_memory;
mod client_address;
mod compression;
mod data_export;
mod graphiql;
mod graphql;
mod headers;
mod health;
mod host;
mod media;
mod negotiation;
mod observe;
mod origin;
mod payment_webhooks;
mod protection;
mod refusal;
mod request_id;
mod response;
mod shutdown;

use std::ops::Deref;
use std::sync::Arc;

use async_graphql::Data;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use tower::util::option_layer;

use crate::config::{EdgeConfig, LiveConfig};
use crate::graphql::{JishuEngine, Loaders, RequestAccess};
use jishu_service::Services;
use jishu_service::account::SignInClient;
use jishu_service::auth::AuthenticatedViewer;
use jishu_service::data_export::ExportPermits;
use jishu_service::limit::SubscriptionPermits;
use jishu_service::trace;

use admission::{Admission, OperationPermits, admit};
use body_memory::BodyMemory;
use compression::Compression;
use graphql::Caller;
use payment_webhooks::WebhookLimits;
use protection::Protection;

pub use graphiql::is_self_hosted;
pub(crate) use health::starting_routes;
pub use origin::AllowedOrigins;
pub use shutdown::ShutdownSignal;
pub(crate) use shutdown::{REQUEST_GRACE, ShutdownPhase, ShutdownTrigger, shutdown_channel};

/// The maximum size of the body of a request, in bytes. Webhooks have a smaller maximum.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// The state that all handlers share. A router copies the state several times for each request, so a copy is only a
/// pointer.
#[derive(Clone)]
struct AppState(Arc<SharedState>);

struct SharedState {
    engine: Arc<JishuEngine>,
    services: Arc<Services>,
    permits: OperationPermits,
    subscriptions: SubscriptionPermits,
    exports: ExportPermits,
    live: LiveConfig,
    webhooks: WebhookLimits,
    compression: Compression,
    has_access_log: bool,
}

impl Deref for AppState {
    type Target = SharedState;

    fn deref(&self) -> &SharedState {
        &self.0
    }
}

impl SharedState {
    /// Adds the user to the extensions of a response, if there is an access log, which reads the user there.
    fn with_viewer(&self, mut response: Response, identity: Option<&AuthenticatedViewer>) -> Response {
        if let Some(identity) = identity.filter(|_| self.has_access_log) {
            response.extensions_mut().insert(access_log::ResponseViewer { viewer: identity.viewer });
        }
        response
    }

    /// Builds the data that the resolvers of one operation find in their context.
    fn resolver_data(&self, caller: Caller) -> Data {
        let mut data = Data::default();
        data.insert(Loaders::new(&self.services));
        data.insert(RequestAccess::default());
        data.insert(caller.client);
        data.insert(SignInClient { address: caller.client, program: caller.program });
        if let Some(viewer) = caller.viewer {
            data.insert(viewer);
        }
        data
    }
}

/// Returns all routes of the API, without the layers that [`protect`] adds.
pub fn router(
    engine: Arc<JishuEngine>,
    services: Services,
    edge: &EdgeConfig,
    live: LiveConfig,
    shutdown: ShutdownSignal,
) -> Router {
    let permits = OperationPermits::new(edge);
    let subscriptions = SubscriptionPermits::new(live.live_subscriptions_per_user);
    let admission = Admission::new(edge, permits.clone(), shutdown);
    let graphql = get(graphql::get)
        .post(graphql::post)
        .fallback(graphql::method_not_allowed)
        .layer(from_fn_with_state(admission.clone().counting(services.metrics.clone()), admit))
        .layer(from_fn(headers::forbid_caching));
    let export = get(data_export::get)
        .layer(from_fn_with_state(admission.clone(), admit))
        .layer(from_fn(headers::forbid_caching));
    let observed = services.metrics.is_on() || trace::is_on();
    let metrics = services.metrics.clone();
    let routes = Router::new()
        .route("/graphql", graphql)
        .route("/me/export", export)
        .route("/media/{key}", get(media::get).layer(from_fn_with_state(admission, admit)))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/.well-known/jwks.json", get(health::jwks))
        .route("/webhooks/payments/{provider}", post(payment_webhooks::receive))
        .merge(graphiql::routes())
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(AppState(Arc::new(SharedState {
            engine,
            services: Arc::new(services),
            permits,
            subscriptions,
            exports: data_export::permits(),
            live,
            webhooks: WebhookLimits::new(BodyMemory::new(edge)),
            compression: Compression::new(edge),
            has_access_log: edge.access_log,
        })));
    if observed { routes.layer(from_fn_with_state(metrics, observe::observe)) } else { routes }
}

/// Returns the offer that a client prefers by its `Accept` header, or None if the client accepts no offer.
pub(crate) fn preferred<'o>(headers: &HeaderMap, offered: &[&'o str]) -> Option<&'o str> {
    negotiation::best(headers, &header::ACCEPT, offered)
}

/// Adds the checks and headers of all requests and responses to the routes. A handler finds [`ShutdownSignal`],
/// [`AllowedOrigins`], the address of the client and the id of the request among the extensions of the request.
pub fn protect(routes: Router, edge: &EdgeConfig, shutdown: ShutdownSignal) -> Router {
    let origins = AllowedOrigins::new(edge);
    let cors = (!origins.is_empty()).then(|| (origins.cors_layer(), from_fn(protection::catch_panic)));
    // The layer that is added last is the outermost.
    routes
        .layer(option_layer(cors))
        .layer(from_fn_with_state(Protection::new(edge, origins, shutdown), protection::protect))
}
