//! Refuses a request that does not name its host exactly once (RFC 9112, section 3.2). A proxy in front may have
//! read another host from it than this server would.

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Version, header};
use axum::middleware::Next;
use axum::response::Response;

use super::graphql::Media;
use super::refusal::Refusal;

/// Passes on a request with one clear host. HTTP/2 names it in the request line, and HTTP/1.0 need not name any.
pub(super) async fn check(request: Request, next: Next) -> Response {
    match fault(request.version(), request.headers()) {
        None => next.run(request).await,
        Some(message) => {
            let media = Media::wanted(request.headers()).unwrap_or(Media::Json);
            Refusal::bad_request(message).and_close().answer(media)
        }
    }
}

fn fault(version: Version, headers: &HeaderMap) -> Option<&'static str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if version == Version::HTTP_11 => {
            Some("The request has no `Host` header. Send one with the name of this server.")
        }
        (None, _) => None,
        (Some(_), Some(_)) => Some("The request has more than one `Host` header. Send one."),
        (Some(host), None) if is_host(host) => None,
        (Some(_), None) => {
            Some("The `Host` header is not a host. Send a name or an address, with a port if needed.")
        }
    }
}

/// Whether this is a host. A client whose URL names no host sends an empty value.
fn is_host(value: &HeaderValue) -> bool {
    let host = value.as_bytes();
    host.is_empty() || (!host.contains(&b'@') && Authority::try_from(host).is_ok())
}
