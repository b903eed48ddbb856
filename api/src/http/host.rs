//! Refuses a request that does not name its host exactly once (RFC 9112, section 3.2). A proxy in front of the server
//! might otherwise see another host than the server does.

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Version, header};
use axum::response::Response;

use super::refusal::RequestRefusal;
use super::response::MediaType;

/// Returns the refusal of a request that does not name one valid host, and None for any other request. The header
/// `Host` is optional in HTTP/1.0, and in HTTP/2, which names the host in another way.
pub(super) fn refusal(request: &Request) -> Option<Response> {
    let message = host_error(request.version(), request.headers())?;
    let media_type = MediaType::for_refusal(request.headers());
    Some(RequestRefusal::bad_request(message).and_close().into_response(media_type))
}

fn host_error(version: Version, headers: &HeaderMap) -> Option<&'static str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if version == Version::HTTP_11 => {
            Some("The request has no `Host` header. Send one with the name of this server.")
        }
        (None, _) => None,
        (Some(_), Some(_)) => Some("The request has more than one `Host` header. Send one."),
        (Some(host), None) if is_host(host) => None,
        (Some(_), None) => {
            Some("The `Host` header is not a valid host. Send a name or an address, with a port if needed.")
        }
    }
}

/// Returns whether the value is a valid host. An empty value is valid: a client sends it if its URL has no host.
fn is_host(value: &HeaderValue) -> bool {
    let host = value.as_bytes();
    host.is_empty() || (!host.contains(&b'@') && Authority::try_from(host).is_ok())
}
