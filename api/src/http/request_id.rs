//! The id of each request: the client's `x-request-id` if it is safe to log, or a new one.

use std::panic::AssertUnwindSafe;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt;
use uuid::Uuid;

use super::response::MediaType;
use crate::graphql::{RequestId, panic_error};

const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Adds the id to the extensions of the request and to the headers of the response.
pub(super) async fn assign(mut request: Request, next: Next) -> Response {
    let given = request
        .headers()
        .get(&REQUEST_ID_HEADER)
        .and_then(|value| value.to_str().ok())
        .filter(|id| is_plain(id));
    let id = given.map_or_else(|| Uuid::new_v4().to_string(), str::to_owned);
    let value = HeaderValue::from_str(&id);
    request.extensions_mut().insert(RequestId(id));
    let mut response = next.run(request).await;
    if let Ok(value) = value {
        response.headers_mut().insert(REQUEST_ID_HEADER, value);
    }
    response
}

/// Returns whether the id has only letters, digits and hyphens, which cannot forge a log line.
fn is_plain(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Returns the tracing span that encloses the log lines of a request.
pub(super) fn span(request: &axum::http::Request<Body>) -> tracing::Span {
    let id = request.extensions().get::<RequestId>().map_or("", |RequestId(id)| id.as_str());
    let trace_id = tracing::field::Empty;
    tracing::info_span!("request", id, method = %request.method(), path = request.uri().path(), trace_id)
}

/// Responds with an internal error if the handler of a request panics.
pub(super) async fn catch_panic(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().cloned();
    let media_type = MediaType::for_refusal(request.headers());
    // The unwind is safe: what the handler shares with other requests stays consistent after a panic.
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(cause) => {
            let cause =
                cause.downcast_ref::<String>().map(String::as_str).or_else(|| cause.downcast_ref().copied());
            tracing::error!(cause, "the handler of a request panicked");
            let id = id.unwrap_or_else(|| RequestId(String::new()));
            media_type.error_response(StatusCode::INTERNAL_SERVER_ERROR, &[panic_error(&id)])
        }
    }
}
