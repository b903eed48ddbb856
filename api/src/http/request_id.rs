//! A name for each request: the client's `x-request-id` where it is a plain one, or one made here.

use std::any::Any;

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use uuid::Uuid;

use crate::graphql::RequestId;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Puts the id into the request's extensions and the answer's headers.
pub(super) async fn assign(mut request: Request, next: Next) -> Response {
    let given =
        request.headers().get(&HEADER).and_then(|value| value.to_str().ok()).filter(|id| is_plain(id));
    let id = given.map_or_else(|| Uuid::new_v4().to_string(), str::to_owned);
    let value = HeaderValue::from_str(&id);
    request.extensions_mut().insert(RequestId(id));
    let mut response = next.run(request).await;
    if let Ok(value) = value {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

/// Letters, digits and hyphens: nothing that could forge a log line.
fn is_plain(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// The span in which a request's log lines stand.
pub(super) fn span(request: &axum::http::Request<Body>) -> tracing::Span {
    let id = request.extensions().get::<RequestId>().map_or("", |RequestId(id)| id.as_str());
    tracing::info_span!("request", id, method = %request.method(), path = request.uri().path())
}

/// The answer to a request whose handler panicked. The panic itself is logged where it happened, in the
/// request's span.
#[expect(clippy::needless_pass_by_value, reason = "the shape that the layer calls")]
pub(super) fn panicked(cause: Box<dyn Any + Send>) -> Response {
    let cause = cause.downcast_ref::<String>().map(String::as_str).or_else(|| cause.downcast_ref().copied());
    tracing::error!(cause, "a handler panicked");
    let error = json!({
        "message": "Something went wrong on our side. Try again; if it persists, report the x-request-id.",
        "extensions": { "code": "INTERNAL" },
    });
    (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({ "errors": [error] }))).into_response()
}
