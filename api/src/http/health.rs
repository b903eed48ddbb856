//! For orchestrators and for other services: health and public keys.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::AppState;
use jishu_service::database::Readiness;

/// The process answers.
pub(super) async fn live() -> &'static str {
    "live\n"
}

/// Checks that the database answers and takes writes. Responds within two seconds, whatever the database does.
pub(super) async fn ready(State(state): State<AppState>) -> Response {
    let reason = match state.services.database.readiness().await {
        Readiness::Ready => return "ready\n".into_response(),
        Readiness::TakesNoWrites => {
            tracing::warn!("not ready: the database is read-only or full");
            "the database takes no writes\n"
        }
        Readiness::NoAnswer => {
            tracing::warn!("not ready: the database does not answer in time");
            "the database does not answer\n"
        }
        Readiness::Unreachable(error) => {
            tracing::warn!(%error, "not ready: the database cannot be reached");
            "the database does not answer\n"
        }
    };
    (StatusCode::SERVICE_UNAVAILABLE, reason).into_response()
}

/// The public keys of our access tokens: RFC 7517.
pub(super) async fn jwks(State(state): State<AppState>) -> Response {
    let headers =
        [(header::CONTENT_TYPE, "application/jwk-set+json"), (header::CACHE_CONTROL, "public, max-age=300")];
    (headers, Json(state.services.tokens.jwks())).into_response()
}
