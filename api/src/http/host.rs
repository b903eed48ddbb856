//! Refuses a request that does not say which host it is for, once. RFC 9112, 3.2: a proxy in front may have read another
//! host from it than this server would.

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Version, header};
use axum::middleware::Next;
use axum::response::Response;

use super::graphql::Media;
use super::refusal::Refusal;

/// Passes a request on whose host is clear. HTTP/2 names it in the request line, and HTTP/1.0 need not name any.
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
            Some("The request has no `Host` header. Send the host that it is for.")
        }
        (None, _) => None,
        (Some(_), Some(_)) => Some("The request has more than one `Host` header. Send one."),
        (Some(host), None) if is_host(host) => None,
        (Some(_), None) => {
            Some("The `Host` header names no host. Send a name or an address, with a port where needed.")
        }
    }
}

/// Empty is what a client sends whose URL names no host.
fn is_host(value: &HeaderValue) -> bool {
    let host = value.as_bytes();
    host.is_empty() || (!host.contains(&b'@') && Authority::try_from(host).is_ok())
}
