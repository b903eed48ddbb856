//! The checks and headers that apply to every request and every response, except CORS.
//!
//! These checks and headers are in one layer and not in many small layers, because each layer of axum copies all layers
//! below it for each request.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt;
use tracing::Instrument;

use super::access_log::AccessLogLine;
use super::client_address::{TrustedPeer, TrustedProxies};
use super::headers::SecurityHeaders;
use super::response::{Negotiated, ResponseFormat};
use super::{AllowedOrigins, ShutdownSignal, host, request_id};
use crate::config::EdgeConfig;
use crate::graphql::{RequestId, panic_error};

/// The settings of the layer, shared by all requests.
#[derive(Clone)]
pub(super) struct Protection(Arc<Settings>);

struct Settings {
    proxies: TrustedProxies,
    security: SecurityHeaders,
    origins: AllowedOrigins,
    shutdown: ShutdownSignal,
    has_access_log: bool,
}

impl Protection {
    pub(super) fn new(edge: &EdgeConfig, origins: AllowedOrigins, shutdown: ShutdownSignal) -> Self {
        Self(Arc::new(Settings {
            proxies: TrustedProxies::new(edge),
            security: SecurityHeaders::new(edge),
            origins,
            shutdown,
            has_access_log: edge.access_log,
        }))
    }
}

/// Gives a request its id, its span and the address of its client, and refuses a request without a valid host. Adds the
/// headers of all responses, and writes the access log.
pub(super) async fn protect(
    State(Protection(settings)): State<Protection>,
    request: Request,
    next: Next,
) -> Response {
    let id = request_id::of(request.headers());
    let span = request_id::span(&id, &request);
    let respond = async {
        let mut response = run(&settings, &id, request, next).await;
        tracing::debug!(status = response.status().as_u16(), "responded");
        request_id::name(&mut response, &id);
        response
    };
    respond.instrument(span).await
}

async fn run(settings: &Settings, id: &RequestId, mut request: Request, next: Next) -> Response {
    let client = settings.proxies.client_of(&request);
    let is_trusted = settings.proxies.trusts_sender_of(&request);
    let line = settings.has_access_log.then(|| AccessLogLine::new(&request, client, id));
    let mut response = match host::refusal(&request) {
        Some(refusal) => refusal,
        None => {
            let format = ResponseFormat::negotiate(request.headers());
            let extensions = request.extensions_mut();
            extensions.insert(Negotiated(format));
            extensions.insert(id.clone());
            extensions.insert(client);
            extensions.insert(settings.shutdown.clone());
            extensions.insert(settings.origins.clone());
            if is_trusted {
                extensions.insert(TrustedPeer);
            }
            catch_panic(request, next).await
        }
    };
    settings.security.add(&mut response);
    match line {
        Some(line) => line.follow(response),
        None => response,
    }
}

/// Marks the response to a request whose handler panicked. The response has this mark among its extensions.
#[derive(Clone)]
pub(super) struct Panicked;

/// Responds with an internal error if the handler of a request panics.
pub(super) async fn catch_panic(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().cloned();
    let negotiated = Negotiated::of(request.extensions());
    // Catching the panic is safe: the state that the handler shares with other requests stays consistent after a panic.
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(cause) => {
            let cause =
                cause.downcast_ref::<String>().map(String::as_str).or_else(|| cause.downcast_ref().copied());
            tracing::error!(cause, "the handler of a request panicked");
            let id = id.unwrap_or_else(|| RequestId::from(""));
            let errors = [panic_error(&id)];
            let format = negotiated.for_refusal();
            let mut response = format.error_response(StatusCode::INTERNAL_SERVER_ERROR, &errors);
            response.extensions_mut().insert(Panicked);
            response
        }
    }
}
