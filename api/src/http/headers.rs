//! Headers that every answer has, unless a handler said otherwise.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::config::EdgeConfig;

/// What browsers are told.
#[derive(Clone)]
pub(super) struct SecurityHeaders(Arc<[(HeaderName, HeaderValue)]>);

impl SecurityHeaders {
    pub(super) fn new(edge: &EdgeConfig) -> Self {
        // Answers are data: nothing in them is to be run, framed, or taken for another type. Who may read them
        // across origins is said by CORS.
        let mut headers = vec![
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
            (
                header::CONTENT_SECURITY_POLICY,
                HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
            ),
            (
                HeaderName::from_static("cross-origin-resource-policy"),
                HeaderValue::from_static("same-origin"),
            ),
        ];
        if let Ok(value) = HeaderValue::from_str(&format!("max-age={}", edge.hsts_seconds))
            && edge.hsts_seconds > 0
        {
            headers.push((header::STRICT_TRANSPORT_SECURITY, value));
        }
        Self(headers.into())
    }
}

/// On every answer.
pub(super) async fn secure(State(headers): State<SecurityHeaders>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in headers.0.iter() {
        response.headers_mut().entry(name).or_insert_with(|| value.clone());
    }
    response
}

/// On the answers of GraphQL: they are one user's, and no cache may keep them.
pub(super) async fn not_stored(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
