//! A name for each request: the client's `x-request-id` where it is a plain one, or one made here.

use std::panic::AssertUnwindSafe;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt;
use uuid::Uuid;

use super::graphql::Media;
use crate::graphql::{RequestId, panic_error};

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

/// Answers a request whose handler panics.
pub(super) async fn catch_panic(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().cloned();
    let media = Media::wanted(request.headers()).unwrap_or(Media::Json);
    // Nothing that the handler may have left half done is looked at again: it shares what is safe to share.
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(cause) => {
            let cause =
                cause.downcast_ref::<String>().map(String::as_str).or_else(|| cause.downcast_ref().copied());
            tracing::error!(cause, "a handler panicked");
            let id = id.unwrap_or_else(|| RequestId(String::new()));
            media.failed(StatusCode::INTERNAL_SERVER_ERROR, &[panic_error(&id)])
        }
    }
}
