//! Refusals of a whole request: it is not a GraphQL request, the server has no time or permit for it, or the client has
//! no budget left.

use async_graphql::ServerError;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;

use super::MAX_BODY_BYTES;
use super::response::MediaType;
use crate::graphql::rate_limit_message;
use jishu_service::limit::{ClientAddress, RetryAfter};
use jishu_service::security;

/// A GraphQL error with an HTTP status. GraphQL clients read the error, and other clients read the status.
#[derive(Debug)]
pub(super) struct RequestRefusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    retry_after: Option<RetryAfter>,
    headers: Vec<(HeaderName, &'static str)>,
}

impl RequestRefusal {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None, headers: Vec::new() }
    }

    /// Refuses a request that the client must correct, with 400 and `BAD_REQUEST`.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
    }

    /// Refuses a method, with 405 and `BAD_REQUEST`. Names the allowed methods in `Allow`.
    pub(super) fn method_not_allowed(allowed: &'static str, message: &str) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "BAD_REQUEST", message).with_header(header::ALLOW, allowed)
    }

    /// Refuses a body that is too large, with 413 and `BAD_REQUEST`. A body of this size is usually a file of
    /// questions.
    pub(super) fn body_too_large() -> Self {
        let message = format!(
            "The body of this request has more than {MAX_BODY_BYTES} bytes. Import a large file of \
             questions on the server, with `jishu import questions FILE --course CODE --subject CODE`, or in parts."
        );
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "BAD_REQUEST", message)
    }

    /// Refuses a body that ended too early, with 400 and `BAD_REQUEST`.
    pub(super) fn incomplete_body() -> Self {
        Self::bad_request("The body of the request ended before it was complete. Send the request again.")
    }

    /// Refuses a request without a valid access token, with 401 and `UNAUTHENTICATED` (RFC 6750, section 3).
    pub(super) fn unauthenticated(message: impl Into<String>) -> Self {
        const CHALLENGE: &str = r#"Bearer realm="jishu", error="invalid_token""#;
        let refusal = Self::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message);
        refusal.with_header(header::WWW_AUTHENTICATE, CHALLENGE)
    }

    /// Refuses a client that has used up its budget, with 429 and `RATE_LIMITED`. Writes the refusal to the security
    /// log.
    pub(super) fn rate_limited(client: ClientAddress, wait: RetryAfter) -> Self {
        security::too_many_requests(client, "operations", wait);
        Self::new(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED", rate_limit_message(wait)).retry_after(wait)
    }

    /// Adds the time after which the client should retry, as a header and in the error.
    pub(super) fn retry_after(self, wait: RetryAfter) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    /// Adds a header that closes the connection after the response, because the rest of the request is not read.
    pub(super) fn and_close(self) -> Self {
        self.with_header(header::CONNECTION, "close")
    }

    fn with_header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Returns the code of the refusal's error.
    pub(super) fn code(&self) -> &'static str {
        self.code
    }

    /// Returns whether only the server could avoid the refusal: its status is 500 or greater.
    pub(super) fn is_of_server(&self) -> bool {
        self.status.is_server_error()
    }

    /// Returns the refusal as an error of a GraphQL response.
    pub(super) fn error(&self) -> ServerError {
        let mut error = ServerError::new(self.message.as_str(), None);
        let extensions = error.extensions.get_or_insert_default();
        extensions.set("code", self.code);
        if let Some(wait) = self.retry_after {
            extensions.set("retryAfterSeconds", wait.seconds());
        }
        error
    }

    /// Returns the refusal as an HTTP response.
    pub(super) fn into_response(self, media_type: MediaType) -> Response {
        let mut response = media_type.error_response(self.status, &[self.error()]);
        let headers = response.headers_mut();
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.seconds()));
        }
        for (name, value) in self.headers {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
