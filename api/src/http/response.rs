//! GraphQL responses: media types and status codes.
//! <https://graphql.github.io/graphql-over-http/draft/#sec-Response>

use async_graphql::{ServerError, Value};
use async_graphql_axum::GraphQLResponse;
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use graphql_engine::ExecutedResponse;
use serde::Serialize;

use super::negotiation::Accepted;
use jishu_service::metrics::OperationTransport;

const GRAPHQL_RESPONSE: &str = "application/graphql-response+json";
const JSON: &str = "application/json";
const EVENT_STREAM: &str = "text/event-stream";

const VARY: HeaderValue = HeaderValue::from_static("accept, accept-encoding, authorization, origin");

/// The media type of a JSON response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MediaType {
    /// `application/graphql-response+json`: the status tells whether the operation was executed.
    GraphqlResponse,
    /// `application/json`, for older clients: the status is 200 even if the document is invalid. The status is 400 if
    /// the request does not name its document properly, or if the document exceeds a limit.
    Json,
}

/// The forms in which a client accepts responses.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResponseFormat {
    /// The media type of a single response, and of a refusal with a status.
    pub(super) media_type: MediaType,
    /// Whether the client accepts a stream of events.
    pub(super) accepts_events: bool,
    /// Whether the client prefers a stream of events even for a single response.
    pub(super) prefers_events: bool,
}

impl ResponseFormat {
    /// Chooses the format by the `Accept` header: JSON without the header, and None if the client accepts no format of
    /// this server.
    pub(super) fn negotiate(headers: &HeaderMap) -> Option<Self> {
        let accepted = Accepted::by(headers, &header::ACCEPT);
        let best = accepted.best(&[JSON, GRAPHQL_RESPONSE, EVENT_STREAM])?;
        let prefers_events = best == EVENT_STREAM;
        let accepts_events = prefers_events || accepted.accepts_by_name(EVENT_STREAM);
        let media_type = if best == GRAPHQL_RESPONSE { MediaType::GraphqlResponse } else { MediaType::Json };
        Some(Self { media_type, accepts_events, prefers_events })
    }
}

/// The response format that was negotiated for a request. The request has it among its extensions. None if the client
/// accepts no format of this server.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Negotiated(pub(super) Option<ResponseFormat>);

impl Negotiated {
    /// Returns the format that was negotiated for a request with these extensions. The returned value contains None if
    /// no format was negotiated.
    pub(super) fn of(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or_default()
    }

    /// Returns the media type of a refusal. Falls back to JSON if the client accepts no format of this server.
    pub(super) fn for_refusal(self) -> MediaType {
        self.0.map_or(MediaType::Json, |format| format.media_type)
    }

    /// Returns the transport of an operation: an event stream if the client prefers event streams, and otherwise by the
    /// method of the request.
    pub(super) fn transport(self, method: &Method) -> OperationTransport {
        match (self.0.is_some_and(|format| format.prefers_events), method) {
            (true, _) => OperationTransport::EventStream,
            (false, &Method::POST) => OperationTransport::Post,
            (false, _) => OperationTransport::Get,
        }
    }
}

impl MediaType {
    /// Chooses the media type of a refusal. Falls back to JSON if the client accepts no format of this server.
    pub(super) fn for_refusal(headers: &HeaderMap) -> Self {
        Negotiated(ResponseFormat::negotiate(headers)).for_refusal()
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
        })
    }

    /// Returns the HTTP response for an executed operation. `compress` returns the compressed body, or None if the body
    /// is sent uncompressed. If a resolver was refused because a budget is used up, the response has `Retry-After`.
    pub(super) fn executed(
        self,
        executed: ExecutedResponse,
        compress: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
    ) -> Response {
        let retry = retry_after_of(&executed);
        let json = executed.to_json();
        let compressed = compress(&json);
        let is_compressed = compressed.is_some();
        // async-graphql-axum sets the headers that resolvers asked for. The body comes from the engine.
        let mut response = GraphQLResponse::from(executed.without_data()).into_response();
        *response.body_mut() = compressed.unwrap_or(json).into();
        let headers = response.headers_mut();
        if is_compressed {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        headers.insert(header::CONTENT_TYPE, self.content_type());
        headers.insert(header::VARY, VARY);
        if let Some((seconds, status)) = retry {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            *response.status_mut() = status;
        }
        response
    }

    /// Returns the HTTP response for a document that the engine refused.
    pub(super) fn refused(self, refusal: &graphql_engine::Rejection) -> Response {
        let status = match self {
            Self::GraphqlResponse => StatusCode::BAD_REQUEST,
            Self::Json if refusal.malformed => StatusCode::BAD_REQUEST,
            Self::Json => StatusCode::OK,
        };
        self.error_response(status, &refusal.errors)
    }

    /// Returns an HTTP response with errors and without data.
    pub(super) fn error_response(self, status: StatusCode, errors: &[ServerError]) -> Response {
        let headers = [(header::CONTENT_TYPE, self.content_type()), (header::VARY, VARY)];
        match serde_json::to_vec(&ErrorResponse { errors }) {
            Ok(body) => (status, headers, body).into_response(),
            Err(error) => {
                tracing::error!(%error, "cannot write a response as JSON");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

/// A GraphQL response without `data`, because no operation was executed.
#[derive(Serialize)]
pub(super) struct ErrorResponse<'e> {
    pub(super) errors: &'e [ServerError],
}

/// Returns the time after which an operation should be retried, in seconds, if a resolver was refused because a budget
/// was used up (`RATE_LIMITED`). Also returns the HTTP status: 429 if the response has no data, and 200 otherwise.
fn retry_after_of(response: &ExecutedResponse) -> Option<(u64, StatusCode)> {
    let waits = response.errors().iter().filter_map(|error| {
        match error.extensions.as_ref()?.get("retryAfterSeconds")? {
            Value::Number(seconds) => seconds.as_u64(),
            _ => None,
        }
    });
    let status = if response.has_no_data() { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::OK };
    Some((waits.max()?, status))
}
