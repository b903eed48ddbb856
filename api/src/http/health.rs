//! Health checks for orchestrators and load balancers, and the public keys for other services.

use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use tokio::time::timeout;

use super::{AppState, ShutdownSignal};
use jishu_service::database::{Readiness, Replica, WriteRefusal};
use jishu_service::{Services, outbox};

/// The maximum time of the check of the outbox. The server checks the database first, for at most 1.5 seconds, so both
/// checks end within two seconds.
const OUTBOX_CHECK_TIMEOUT: Duration = Duration::from_millis(400);

/// Shows that the process responds.
pub(super) async fn live() -> &'static str {
    "live\n"
}

/// The state of a node, for load balancers and orchestrators. The response begins with a word for the state.
enum NodeState {
    /// The node serves all requests.
    Ready,
    /// The node serves requests and stays in use, but something that concerns all nodes needs attention. The texts are
    /// the reasons.
    Impaired(Vec<String>),
    /// The node cannot change anything, because the database accepts no writes. The text is the reason.
    Degraded(String),
    /// The node cannot serve requests, because the check of the database got no response or failed. The text is the
    /// reason.
    Unavailable(&'static str),
    /// The node is about to stop.
    Draining,
}

impl IntoResponse for NodeState {
    fn into_response(self) -> Response {
        let refused = StatusCode::SERVICE_UNAVAILABLE;
        let (status, text) = match self {
            Self::Ready => (StatusCode::OK, "ready\n".to_owned()),
            Self::Impaired(reasons) => (StatusCode::OK, format!("impaired: {}\n", reasons.join("; "))),
            Self::Degraded(reason) => (refused, format!("degraded: {reason}\n")),
            Self::Unavailable(reason) => (refused, format!("unavailable: {reason}\n")),
            Self::Draining => (refused, "draining: the node is stopping\n".to_owned()),
        };
        (status, [(header::CACHE_CONTROL, "no-store")], text).into_response()
    }
}

/// Responds with the state of the node. Takes at most two seconds, even if the database does not respond.
pub(super) async fn ready(
    State(state): State<AppState>,
    Extension(shutdown): Extension<ShutdownSignal>,
) -> Response {
    let node = if shutdown.is_leaving() { NodeState::Draining } else { check(&state.services).await };
    node.into_response()
}

async fn check(services: &Services) -> NodeState {
    let mut reasons = Vec::new();
    match services.database.readiness().await {
        Readiness::Ready => {}
        Readiness::TakesNoWrites(WriteRefusal::ReadOnly) => {
            tracing::warn!("the node is not ready: the database is read-only");
            return NodeState::Degraded("the database is read-only, and accepts no writes".to_owned());
        }
        Readiness::TakesNoWrites(WriteRefusal::DiskFull) => {
            tracing::warn!("the node is not ready: the disk of the database is full");
            return NodeState::Degraded(
                "the database accepts no writes, because its disk is full".to_owned(),
            );
        }
        Readiness::ReadOnlyReplica(replica) => {
            let lag_seconds = replica.lag.map(|lag| lag.as_secs());
            tracing::warn!(lag_seconds, "the node is not ready: the database is a read-only replica");
            return NodeState::Degraded(format!(
                "the database is a replica, {}, and accepts no writes",
                distance(replica)
            ));
        }
        Readiness::LateReplica(replica) => {
            let lag_seconds = replica.lag.map(|lag| lag.as_secs());
            tracing::warn!(
                lag_seconds,
                "the database is a replica that is behind its primary; the node stays in use"
            );
            reasons.push(format!("the database is a replica, {}", distance(replica)));
        }
        Readiness::NoResponse => {
            tracing::warn!("the node is not ready: the database did not respond in time");
            return NodeState::Unavailable("the database does not respond");
        }
        Readiness::Unreachable(error) => {
            tracing::warn!(%error, "the node is not ready: the check of the database failed");
            return NodeState::Unavailable("the database cannot be reached or is not ready");
        }
    }
    // If the check of the outbox fails or takes too long, the node stays in use: a busy pool or a slow query is no
    // reason to stop sending requests to it.
    let is_stuck = outbox::is_stuck(&services.database, services.clock.now());
    if let Ok(Ok(true)) = timeout(OUTBOX_CHECK_TIMEOUT, is_stuck).await {
        reasons.push("messages have waited in the outbox for 15 minutes or longer".to_owned());
    }
    if reasons.is_empty() { NodeState::Ready } else { NodeState::Impaired(reasons) }
}

/// Describes how far a replica is behind its primary.
fn distance(replica: Replica) -> String {
    match replica.lag.map(|lag| lag.as_secs()) {
        None => "behind its primary by an unknown time".to_owned(),
        Some(1) => "1 second behind its primary".to_owned(),
        Some(seconds) => format!("{seconds} seconds behind its primary"),
    }
}

/// Makes the routes of a server that is starting. They respond to health checks, and refuse all other requests with
/// status 503.
pub(crate) fn starting_routes() -> Router {
    let starting = async || (StatusCode::SERVICE_UNAVAILABLE, "starting: the node is not ready yet\n");
    let refuse = async || {
        let retry = [(header::RETRY_AFTER, "1")];
        (StatusCode::SERVICE_UNAVAILABLE, retry, "The server is starting. Try again in a few seconds.\n")
    };
    Router::new().route("/health/live", get(live)).route("/health/ready", get(starting)).fallback(refuse)
}

/// Returns the public keys that verify the access tokens of this server (RFC 7517).
pub(super) async fn jwks(State(state): State<AppState>) -> Response {
    let headers =
        [(header::CONTENT_TYPE, "application/jwk-set+json"), (header::CACHE_CONTROL, "public, max-age=300")];
    (headers, Json(state.services.tokens.jwks())).into_response()
}
