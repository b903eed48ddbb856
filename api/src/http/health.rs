//! Health checks for orchestrators, and the public keys for other services.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::AppState;
use jishu_service::database::Readiness;

/// Shows that the process responds.
pub(super) async fn live() -> &'static str {
    "live\n"
}

/// Checks that the database responds and accepts writes. Takes at most two seconds, whatever the database does.
pub(super) async fn ready(State(state): State<AppState>) -> Response {
    let reason = match state.services.database.readiness().await {
        Readiness::Ready => return "ready\n".into_response(),
        Readiness::TakesNoWrites => {
            tracing::warn!("the node is not ready: the database is read-only or full");
            "the database accepts no writes\n"
        }
        Readiness::NoResponse => {
            tracing::warn!("the node is not ready: the database did not respond in time");
            "the database does not respond\n"
        }
        Readiness::Unreachable(error) => {
            tracing::warn!(%error, "the node is not ready: the database cannot be reached");
            "the database does not respond\n"
        }
    };
    (StatusCode::SERVICE_UNAVAILABLE, reason).into_response()
}

/// Returns the public keys that verify the access tokens of this server (RFC 7517).
pub(super) async fn jwks(State(state): State<AppState>) -> Response {
    let headers =
        [(header::CONTENT_TYPE, "application/jwk-set+json"), (header::CACHE_CONTROL, "public, max-age=300")];
    (headers, Json(state.services.tokens.jwks())).into_response()
}
