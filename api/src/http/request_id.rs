//! The id of each request: the client's `x-request-id` if it is safe to log, or a new one.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;

use crate::graphql::RequestId;

const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Returns the id of a request with these headers.
pub(super) fn of(headers: &HeaderMap) -> RequestId {
    let given = headers.get(&REQUEST_ID_HEADER).and_then(|value| value.to_str().ok());
    given.filter(|id| is_plain(id)).map_or_else(RequestId::random, RequestId::from)
}

/// Adds the id of a request to its response, as the header `x-request-id`.
pub(super) fn name(response: &mut Response, RequestId(id): &RequestId) {
    if let Ok(value) = HeaderValue::from_str(id) {
        response.headers_mut().insert(REQUEST_ID_HEADER, value);
    }
}

/// Returns whether the id has 1 to 64 letters, digits and hyphens. An id of these characters cannot forge a log line.
fn is_plain(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Returns the tracing span that encloses the log lines of a request.
pub(super) fn span(RequestId(id): &RequestId, request: &Request) -> tracing::Span {
    let trace_id = tracing::field::Empty;
    tracing::info_span!("request", id = &**id, method = %request.method(), path = request.uri().path(), trace_id)
}
