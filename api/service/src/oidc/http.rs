//! Requests to the issuer, with limits on time and size. So an issuer that is slow or sends too much does not block
//! the server.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect};
use serde::de::DeserializeOwned;
use url::Url;

use super::OidcFailure;
use crate::trace;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum time of a whole request to the issuer, with its response. It is shorter than the default timeout of a
/// GraphQL request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum size of a response of the issuer, in bytes.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// Builds the HTTP client. It follows no redirects: no document of an issuer needs a redirect, and a redirect could
/// lead to another host.
pub(super) fn client() -> Result<Client, reqwest::Error> {
    Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(REQUEST_TIMEOUT)
        .redirect(redirect::Policy::none())
        .user_agent("jishu")
        .build()
}

/// Returns whether requests may be sent to this address: HTTPS, or HTTP to this machine.
pub(super) fn is_allowed(address: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    let is_loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => return false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback)
}

/// Sends a request to the issuer. The response must be JSON with status 200. For another status, returns the failure
/// that `refused` makes of the status and the body.
pub(super) async fn json<T: DeserializeOwned>(
    request: RequestBuilder,
    refused: impl FnOnce(StatusCode, &[u8]) -> OidcFailure,
) -> Result<T, OidcFailure> {
    let unavailable = |error: reqwest::Error| OidcFailure::Unavailable(error.without_url().to_string());
    let request = match trace::traceparent() {
        Some(traceparent) => request.header(trace::TRACEPARENT, traceparent),
        None => request,
    };
    let response = request.send().await.map_err(unavailable)?;
    let status = response.status();
    let body = body(response).await?;
    if status != StatusCode::OK {
        return Err(refused(status, &body));
    }
    serde_json::from_slice(&body)
        .map_err(|error| OidcFailure::Unavailable(format!("a response cannot be read: {error}")))
}

async fn body(mut response: Response) -> Result<Vec<u8>, OidcFailure> {
    let mut body = Vec::new();
    loop {
        let chunk = response.chunk().await;
        let chunk = chunk.map_err(|error| OidcFailure::Unavailable(error.without_url().to_string()))?;
        let Some(chunk) = chunk else { return Ok(body) };
        if body.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(OidcFailure::Unavailable("a response is too long".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
}

/// Makes the failure for a status other than 200 that the specification does not provide for.
pub(super) fn unexpected(status: StatusCode, _: &[u8]) -> OidcFailure {
    OidcFailure::Unavailable(format!("the issuer responded with status {status}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_this_machine_are_allowed() {
        for allowed in
            ["https://id.example.com", "http://127.0.0.1:3000/x", "http://localhost", "http://[::1]:1"]
        {
            assert!(is_allowed(allowed), "{allowed}");
        }
        for refused in
            ["http://id.example.com", "http://localhost.example.com", "ftp://localhost", "x", "file:///etc"]
        {
            assert!(!is_allowed(refused), "{refused}");
        }
    }
}
