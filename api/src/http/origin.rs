//! Pages of other origins: which may use the API from a browser.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::config::EdgeConfig;

/// How long a browser may remember that it may ask.
const PREFLIGHT_AGE: Duration = Duration::from_secs(60 * 60);

/// The origins that are configured.
#[derive(Clone, Debug)]
pub struct AllowedOrigins(Arc<[HeaderValue]>);

impl AllowedOrigins {
    pub(super) fn new(edge: &EdgeConfig) -> Self {
        Self(edge.cors_origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect())
    }

    /// Whether a request may come from where it says: it names no origin (it is from no browser), ours, or one
    /// that is configured. For WebSockets, which browsers open across origins without asking.
    #[must_use]
    pub fn admit(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let ours = origin.to_str().ok().and_then(authority).zip(host);
        self.0.contains(origin) || ours.is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
    }

    /// Answers preflights, and lets pages of these origins read answers. No credentials: tokens are sent by the
    /// page itself, and cookies mean nothing here.
    pub(super) fn layer(&self) -> CorsLayer {
        let request_id = HeaderName::from_static("x-request-id");
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(self.0.iter().cloned()))
            .allow_methods([Method::GET, Method::POST])
            .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, request_id.clone()])
            .expose_headers([header::RETRY_AFTER, header::WWW_AUTHENTICATE, request_id])
            .max_age(PREFLIGHT_AGE)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Host and port of an origin, as `Host` has them.
fn authority(origin: &str) -> Option<String> {
    let uri: Uri = origin.parse().ok()?;
    uri.scheme()?;
    uri.authority().map(ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_none_and_the_configured_are_admitted() {
        let origins = AllowedOrigins([HeaderValue::from_static("https://app.example.com")].into());
        let admit = |origin: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("api.example.com:8080"));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            origins.admit(&headers)
        };
        assert!(admit(None));
        assert!(admit(Some("https://app.example.com")));
        assert!(admit(Some("http://api.example.com:8080")));
        for other in [
            "null",
            "https://evil.example",
            "http://app.example.com",
            "https://app.example.com:444",
            "http://api.example.com",
            "https://app.example.com.evil.example",
            "",
        ] {
            assert!(!admit(Some(other)), "{other}");
        }
    }
}
