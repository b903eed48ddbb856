//! Answering: media types and status codes.
//! <https://graphql.github.io/graphql-over-http/draft/#sec-Response>

use async_graphql::{Response as GraphqlResponse, ServerError};
use async_graphql_axum::GraphQLResponse;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::http::accept;
use crate::http::refusal::when_to_retry;

const GRAPHQL: &str = "application/graphql-response+json";
const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

const VARY: HeaderValue = HeaderValue::from_static("accept, authorization, origin");

/// As what an answer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Media {
    /// `application/graphql-response+json`: the status tells whether there is data.
    Graphql,
    /// `application/json`, as clients of old read it: 200 whatever became of a request that could be read.
    Json,
}

/// What a client takes for an answer.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Wanted {
    /// For one answer, and for what is refused with a status.
    pub(in crate::http) media: Media,
    /// It takes a stream of answers.
    pub(in crate::http) events: bool,
    /// It takes even one answer best as a stream.
    pub(in crate::http) events_first: bool,
}

impl Wanted {
    /// JSON when the client does not say. None when it takes nothing that we have.
    pub(in crate::http) fn by(headers: &HeaderMap) -> Option<Self> {
        let best = accept::best(headers, &header::ACCEPT, &[JSON, GRAPHQL, EVENTS])?;
        let events_first = best == EVENTS;
        Some(Self {
            media: if best == GRAPHQL { Media::Graphql } else { Media::Json },
            events: events_first || accept::names(headers, &header::ACCEPT, EVENTS),
            events_first,
        })
    }
}

impl Media {
    /// For one answer. JSON when the client does not say; none when it takes nothing that we have.
    pub(in crate::http) fn wanted(headers: &HeaderMap) -> Option<Self> {
        Wanted::by(headers).map(|wanted| wanted.media)
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Graphql => "application/graphql-response+json; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
        })
    }

    /// The answer of an operation that ran.
    pub(in crate::http) fn executed(self, response: GraphqlResponse) -> Response {
        let retry = when_to_retry(&response);
        let mut answer = GraphQLResponse::from(response).into_response();
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, self.content_type());
        headers.insert(header::VARY, VARY);
        if let Some((seconds, status)) = retry {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            *answer.status_mut() = status;
        }
        answer
    }

    /// The answer of one that did not.
    pub(in crate::http) fn refused(self, refusal: &graphql_engine::Refusal) -> Response {
        let status = match self {
            Self::Graphql => StatusCode::BAD_REQUEST,
            Self::Json if refusal.malformed => StatusCode::BAD_REQUEST,
            Self::Json => StatusCode::OK,
        };
        self.send(status, &Errors { errors: &refusal.errors })
    }

    /// Errors with a status of their own.
    pub(in crate::http) fn failed(self, status: StatusCode, errors: &[ServerError]) -> Response {
        self.send(status, &Errors { errors })
    }

    fn send(self, status: StatusCode, body: &impl Serialize) -> Response {
        let headers = [(header::CONTENT_TYPE, self.content_type()), (header::VARY, VARY)];
        match serde_json::to_vec(body) {
            Ok(body) => (status, headers, body).into_response(),
            Err(error) => {
                tracing::error!(%error, "an answer cannot be written as JSON");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

/// An answer without `data`: nothing was executed.
#[derive(Serialize)]
pub(in crate::http) struct Errors<'e> {
    pub(in crate::http) errors: &'e [ServerError],
}
