//! Refusing a request as a whole, because it is not one of GraphQL, or there is no time, no place or no budget for it.

use async_graphql::{Response as GraphqlResponse, ServerError, Value};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;

use super::MAX_BODY_BYTES;
use super::graphql::Media;
use crate::graphql::rate_limited;
use jishu_service::limit::{ClientAddress, RetryAfter};
use jishu_service::security;

/// A refusal in the shape that GraphQL clients read, with the HTTP status that all others do.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    retry_after: Option<RetryAfter>,
    headers: Vec<(HeaderName, &'static str)>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None, headers: Vec::new() }
    }

    /// It is not a request of GraphQL: 400, `BAD_REQUEST`.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
    }

    /// Nor is it with this method: 405, with those that are allowed.
    pub(super) fn method(allowed: &'static str, message: &str) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "BAD_REQUEST", message).with(header::ALLOW, allowed)
    }

    /// Refuses a body that is too large, with 413 and `BAD_REQUEST`. Such a body is usually a file of questions.
    pub(super) fn too_large() -> Self {
        let message = format!(
            "The body of this request has more than {MAX_BODY_BYTES} bytes. Import a large file of \
             questions on the server, with `jishu import questions FILE --course CODE --subject CODE`, or in parts."
        );
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "BAD_REQUEST", message)
    }

    /// Its token does not verify: 401, `UNAUTHENTICATED`. RFC 6750, 3.
    pub(super) fn unauthenticated(message: impl Into<String>) -> Self {
        const CHALLENGE: &str = r#"Bearer realm="jishu", error="invalid_token""#;
        let refusal = Self::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message);
        refusal.with(header::WWW_AUTHENTICATE, CHALLENGE)
    }

    /// The client has spent its budget: 429, `RATE_LIMITED`.
    pub(super) fn rate_limited(client: ClientAddress, wait: RetryAfter) -> Self {
        security::too_many_requests(client, "operations", wait);
        Self::new(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED", rate_limited(wait)).retry_after(wait)
    }

    /// Tells the client when to try again.
    pub(super) fn retry_after(self, wait: RetryAfter) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    /// The rest of the request is not read.
    pub(super) fn and_close(self) -> Self {
        self.with(header::CONNECTION, "close")
    }

    fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// What it is among the errors of an answer.
    pub(super) fn error(&self) -> ServerError {
        let mut error = ServerError::new(self.message.as_str(), None);
        let extensions = error.extensions.get_or_insert_default();
        extensions.set("code", self.code);
        if let Some(wait) = self.retry_after {
            extensions.set("retryAfterSeconds", wait.seconds());
        }
        error
    }

    pub(super) fn answer(self, media: Media) -> Response {
        let mut response = media.failed(self.status, &[self.error()]);
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

/// The HTTP side of an answer whose resolvers refused something for lack of a budget (`RATE_LIMITED`): in how many
/// seconds to try again, and status 429 where nothing else is in it.
pub(super) fn when_to_retry(answer: &GraphqlResponse) -> Option<(u64, StatusCode)> {
    let waits = answer.errors.iter().filter_map(|error| {
        match error.extensions.as_ref()?.get("retryAfterSeconds")? {
            Value::Number(seconds) => seconds.as_u64(),
            _ => None,
        }
    });
    let alone = answer.data == Value::Null;
    Some((waits.max()?, if alone { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::OK }))
}
