//! GraphQL over server-sent events: graphql-sse in its distinct connections mode.
//! <https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md>

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use async_graphql::ServerError;
use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};
use graphql_engine::ExecutedResponse;

use super::credentials::end_of_token;
use super::execution::{Execution, ExecutionEvent};
use crate::http::response::ErrorResponse;
use crate::http::{AppState, ShutdownSignal};
use jishu_service::auth::{AuthenticatedViewer, TokenError};

/// The last event of a stream. It needs a `data` line although the data is empty: browsers drop an event without a
/// `data` line, and some clients take any other data for a response. axum's own event type cannot write an empty `data`
/// line.
const COMPLETE: Bytes = Bytes::from_static(b"event: complete\ndata:\n\n");

/// A comment in the stream, which shows proxies that a quiet connection is still in use.
const KEEP_ALIVE: Bytes = Bytes::from_static(b":\n\n");

/// A stream of the events of one subscription.
struct EventStream {
    execution: Execution,
    /// Completes when the access token of the client is no longer valid.
    end_of_token: Pin<Box<dyn Future<Output = TokenError> + Send>>,
    /// Completes when the server starts to shut down.
    shutdown: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// The time without an event after which a comment is sent to the client.
    keep_alive_interval: Duration,
    queue: VecDeque<Bytes>,
    has_ended: bool,
}

/// Returns a stream with the responses of a subscription. The stream ends with the subscription, when the client
/// leaves, when the access token is no longer valid, or when the server stops.
pub(super) fn subscribed(
    state: &AppState,
    identity: Option<&AuthenticatedViewer>,
    shutdown: ShutdownSignal,
    execution: Execution,
) -> Response {
    let events = EventStream {
        execution,
        end_of_token: end_of_token(state, identity),
        shutdown: Box::pin(async move { shutdown.draining().await }),
        keep_alive_interval: state.live.ping(),
        queue: VecDeque::new(),
        has_ended: false,
    };
    respond(stream::unfold(events, EventStream::next))
}

/// Returns a stream with the one response of a query or a mutation.
pub(super) fn executed(response: &ExecutedResponse) -> Response {
    respond(stream::iter([next_event(&response.to_json()), COMPLETE]))
}

/// Returns a stream with the errors of an operation that is not executed. The status is 200, because the
/// `EventSource` of browsers hides the errors with any other status.
pub(super) fn refused(errors: &[ServerError]) -> Response {
    respond(stream::iter(error_event(errors).into_iter().chain([COMPLETE])))
}

fn respond(events: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::VARY, HeaderValue::from_static("accept, authorization, origin")),
        // Without this header, nginx collects events before it passes them on.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (headers, Body::from_stream(events.map(Ok::<_, Infallible>))).into_response()
}

impl EventStream {
    async fn next(mut self) -> Option<(Bytes, Self)> {
        while self.queue.is_empty() && !self.has_ended {
            tokio::select! {
                biased;
                // The stream ends without `complete`, so that the client connects again and reaches another node.
                () = &mut self.shutdown => self.has_ended = true,
                reason = &mut self.end_of_token => self.end(&[unauthenticated(&reason)]),
                event = self.execution.next() => match event {
                    Some(ExecutionEvent::Next(response)) => self.queue.push_back(next_event(&response.to_json())),
                    Some(ExecutionEvent::Failed(errors)) => self.end(&errors),
                    Some(ExecutionEvent::Complete) => self.end(&[]),
                    None => self.has_ended = true,
                },
                () = tokio::time::sleep(self.keep_alive_interval) => self.queue.push_back(KEEP_ALIVE),
            }
        }
        self.queue.pop_front().map(|event| (event, self))
    }

    fn end(&mut self, errors: &[ServerError]) {
        if !errors.is_empty() {
            self.queue.extend(error_event(errors));
        }
        self.queue.push_back(COMPLETE);
        self.has_ended = true;
    }
}

/// Writes a `next` event. Its data fits on one line, because JSON is written without line breaks.
fn next_event(json: &[u8]) -> Bytes {
    [b"event: next\ndata: ", json, b"\n\n"].concat().into()
}

fn error_event(errors: &[ServerError]) -> Option<Bytes> {
    match serde_json::to_vec(&ErrorResponse { errors }) {
        Ok(json) => Some(next_event(&json)),
        Err(error) => {
            tracing::error!(%error, "cannot write a response as JSON");
            None
        }
    }
}

fn unauthenticated(reason: &TokenError) -> ServerError {
    let mut error = ServerError::new(reason.to_string(), None);
    error.extensions.get_or_insert_default().set("code", "UNAUTHENTICATED");
    error
}
