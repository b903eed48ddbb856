//! Decides which origins may use the API from a browser, and open WebSockets.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::config::EdgeConfig;

/// The time for which a browser may cache the response to a preflight request.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_secs(60 * 60);

/// The configured origins whose pages may use the API from a browser.
#[derive(Clone, Debug)]
pub struct AllowedOrigins {
    origins: Arc<[HeaderValue]>,
}

impl AllowedOrigins {
    pub(super) fn new(edge: &EdgeConfig) -> Self {
        let origins = edge.cors_origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
        Self { origins: origins.collect() }
    }

    /// Returns whether a request may open a WebSocket, by its `Origin` header: the server's own origin, a configured
    /// origin, or none (a client that is not a browser). The check is needed because browsers open WebSockets across
    /// origins without a preflight request.
    #[must_use]
    pub fn admit(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let authority_and_host = origin.to_str().ok().and_then(authority).zip(host);
        let is_own = authority_and_host.is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host));
        is_own || self.origins.contains(origin)
    }

    /// Returns the layer that responds to preflight requests, and that lets pages of the configured origins read
    /// responses. It does not allow cookies: pages send tokens themselves, and the server uses no cookies.
    pub(super) fn cors_layer(&self) -> CorsLayer {
        let request_id = HeaderName::from_static("x-request-id");
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(self.origins.iter().cloned()))
            .allow_methods([Method::GET, Method::POST])
            .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, request_id.clone()])
            .expose_headers([header::RETRY_AFTER, header::WWW_AUTHENTICATE, request_id])
            .max_age(PREFLIGHT_MAX_AGE)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.origins.is_empty()
    }
}

/// Returns the host and port of an origin, in the form of the `Host` header.
fn authority(origin: &str) -> Option<String> {
    let uri: Uri = origin.parse().ok()?;
    uri.scheme()?;
    uri.authority().map(ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_origin_a_configured_one_or_none_is_admitted() {
        let origins =
            AllowedOrigins { origins: [HeaderValue::from_static("https://app.example.com")].into() };
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
