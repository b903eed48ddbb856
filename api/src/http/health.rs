//! For orchestrators and for other services: health and public keys.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::AppState;

/// The process answers.
pub(super) async fn live() -> &'static str {
    "live\n"
}

/// The database answers too.
pub(super) async fn ready(State(state): State<AppState>) -> Response {
    match state.services.database.ping().await {
        Ok(()) => "ready\n".into_response(),
        Err(error) => {
            tracing::warn!(%error, "not ready: the database does not answer");
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n").into_response()
        }
    }
}

/// The public keys of our access tokens: RFC 7517.
pub(super) async fn jwks(State(state): State<AppState>) -> Response {
    let headers =
        [(header::CONTENT_TYPE, "application/jwk-set+json"), (header::CACHE_CONTROL, "public, max-age=300")];
    (headers, Json(state.services.tokens.jwks())).into_response()
}
