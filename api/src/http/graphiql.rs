//! Serves GraphiQL, the page on which a person tries the API.
//!
//! `build.rs` bundles the page, and the binary contains the bundle, so the page loads nothing from any other host. A
//! binary that was built without the bundle serves a page that loads GraphiQL from a CDN and checks its hashes.

use std::io::{self, Read as _};
use std::sync::OnceLock;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use flate2::read::GzDecoder;

use super::negotiation;

include!(concat!(env!("OUT_DIR"), "/graphiql/assets.rs"));

/// The content security policy of the bundled page. It allows inline styles, because the editor positions and colours
/// its lines with them.
const BUNDLED_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    worker-src 'self'; connect-src 'self'; img-src 'self' data:; font-src 'self' data:; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

/// The content security policy of the page that loads GraphiQL from a CDN. It allows the files of `fallback.html`.
const FALLBACK_POLICY: &str = "default-src 'none'; script-src 'self' \
    https://cdn.jsdelivr.net/npm/react@18.3.1/umd/react.production.min.js \
    https://cdn.jsdelivr.net/npm/react-dom@18.3.1/umd/react-dom.production.min.js \
    https://cdn.jsdelivr.net/npm/graphiql@3.8.2/graphiql.min.js; style-src 'self' 'unsafe-inline' \
    https://cdn.jsdelivr.net/npm/graphiql@3.8.2/graphiql.min.css; connect-src 'self'; img-src 'self' data:; \
    font-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The content security policy of the files that the page loads. The editor's workers get this policy with their own
/// script, and they load nothing.
const ASSET_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// Returns true if the binary contains GraphiQL. Otherwise browsers load it from cdn.jsdelivr.net.
pub fn is_self_hosted() -> bool {
    SELF_HOSTED
}

/// Routes `/` to the page, and `/graphiql/` to the files that it loads.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/", get(page)).route("/graphiql/{*asset}", get(asset))
}

async fn page(headers: HeaderMap) -> Response {
    if negotiation::best(&headers, &header::ACCEPT, &["text/html"]).is_none() {
        let sentence = "This address serves GraphiQL, a page for browsers. The API is at /graphql.\n";
        return (StatusCode::NOT_ACCEPTABLE, [(header::VARY, "accept")], sentence).into_response();
    }
    let policy = if SELF_HOSTED { BUNDLED_POLICY } else { FALLBACK_POLICY };
    PAGE.respond(&headers, "no-cache", policy)
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    // The name of a bundled file contains the hash of its content, so browsers may keep the file.
    let caching = if SELF_HOSTED { "public, max-age=31536000, immutable" } else { "no-cache" };
    match ASSETS.iter().find(|asset| asset.name == name) {
        Some(asset) => asset.respond(&headers, caching, ASSET_POLICY),
        None => (StatusCode::NOT_FOUND, "GraphiQL has no such file.\n").into_response(),
    }
}

/// The page of GraphiQL, or a file that the page loads.
struct Asset {
    name: &'static str,
    content_type: &'static str,
    etag: &'static str,
    /// The content: compressed with gzip if the page is bundled, plain otherwise.
    stored: &'static [u8],
    /// The plain content of a bundled file, decompressed when the first client needs it.
    inflated: OnceLock<Vec<u8>>,
}

impl Asset {
    const fn new(
        name: &'static str,
        content_type: &'static str,
        etag: &'static str,
        stored: &'static [u8],
    ) -> Self {
        Self { name, content_type, etag, stored, inflated: OnceLock::new() }
    }

    /// Responds with this file, or with 304 if the client has it already.
    fn respond(&'static self, request: &HeaderMap, caching: &'static str, policy: &'static str) -> Response {
        let common = [
            (header::ETAG, self.etag),
            (header::CACHE_CONTROL, caching),
            (header::VARY, "accept, accept-encoding"),
            (header::CONTENT_SECURITY_POLICY, policy),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        if self.is_known_to(request) {
            return (StatusCode::NOT_MODIFIED, common).into_response();
        }

        let content_type = [(header::CONTENT_TYPE, self.content_type)];
        // Without `Accept-Encoding`, a request accepts every encoding, but its client may not be able to read gzip. So
        // the client gets the plain file.
        let gzip = request.contains_key(header::ACCEPT_ENCODING)
            && negotiation::best(request, &header::ACCEPT_ENCODING, &["gzip"]).is_some();
        if SELF_HOSTED && gzip {
            let encoding = [(header::CONTENT_ENCODING, "gzip")];
            return (common, content_type, encoding, Bytes::from_static(self.stored)).into_response();
        }
        match self.plain() {
            Ok(bytes) => (common, content_type, Bytes::from_static(bytes)).into_response(),
            Err(error) => {
                tracing::error!(asset = self.name, %error, "an embedded file cannot be decompressed");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }

    /// Returns true if the request names the tag of this file in `If-None-Match`.
    fn is_known_to(&self, request: &HeaderMap) -> bool {
        request
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|tag| tag.trim() == self.etag)
    }

    /// Returns the plain content. Decompresses it at the first call if the page is bundled.
    fn plain(&'static self) -> io::Result<&'static [u8]> {
        if !SELF_HOSTED {
            return Ok(self.stored);
        }
        if let Some(bytes) = self.inflated.get() {
            return Ok(bytes);
        }
        let mut bytes = Vec::new();
        GzDecoder::new(self.stored).read_to_end(&mut bytes)?;
        Ok(self.inflated.get_or_init(|| bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_can_be_read_by_a_client_without_gzip() {
        for asset in ASSETS.iter().chain([&PAGE]) {
            let plain = asset.plain().unwrap();
            assert!(std::str::from_utf8(plain).is_ok(), "{} is not text", asset.name);
        }
    }

    #[test]
    fn the_page_names_only_files_that_exist() {
        let page = std::str::from_utf8(PAGE.plain().unwrap()).unwrap();
        let named: Vec<_> =
            page.split("\"graphiql/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(!named.is_empty());
        for name in named {
            assert!(ASSETS.iter().any(|asset| asset.name == name), "{name} is not an asset");
        }
    }

    #[test]
    fn the_fallback_pins_each_file_of_the_cdn_and_the_policy_allows_it() {
        let page = include_str!("../../graphiql/src/fallback.html");
        let urls: Vec<_> = page.split("https://").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(urls.len(), page.matches("integrity=\"sha384-").count());
        for url in urls {
            assert!(FALLBACK_POLICY.contains(&format!("https://{url}")), "{url} is not in the policy");
        }
    }
}
