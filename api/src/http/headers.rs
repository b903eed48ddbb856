//! Headers that every response gets, unless its handler has set them.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::config::EdgeConfig;

/// The headers that tell browsers how to treat responses.
#[derive(Clone)]
pub(super) struct SecurityHeaders {
    headers: Arc<[(HeaderName, HeaderValue)]>,
}

impl SecurityHeaders {
    pub(super) fn new(edge: &EdgeConfig) -> Self {
        // Responses are data. Browsers must not run them, show them in a frame, or guess another type. CORS decides
        // which other origins may read them.
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
        Self { headers: headers.into() }
    }

    /// Adds the headers to a response.
    pub(super) fn add(&self, response: &mut Response) {
        for (name, value) in self.headers.iter() {
            response.headers_mut().entry(name).or_insert_with(|| value.clone());
        }
    }
}

/// Forbids caches to store a response, unless its handler has set `Cache-Control`. GraphQL responses belong to one
/// user.
pub(super) async fn forbid_caching(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
