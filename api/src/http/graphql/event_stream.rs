//! Server-sent events: graphql-sse in its distinct connections mode.
//! <https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md>

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use async_graphql::{Response as GraphqlResponse, ServerError};
use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;

use super::answer::Errors;
use super::credentials::remaining;
use super::running::{Running, Step};
use crate::http::AppState;
use crate::http::stopping::Stopping;
use jishu_service::auth::{Identity, TokenError};

/// Its data is empty and stands there all the same. Without it browsers would not dispatch the event, and some clients
/// take whatever else is there for an answer: the library's own events can do neither.
const COMPLETE: Bytes = Bytes::from_static(b"event: complete\ndata:\n\n");

/// A comment, so that nobody on the way takes a quiet connection for a dead one.
const KEEP_ALIVE: Bytes = Bytes::from_static(b":\n\n");

/// What a connection still has to say.
struct Connection {
    running: Running,
    /// The token has expired.
    expiry: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// The server stops.
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// After so long without an event there is a comment.
    quiet: Duration,
    queue: VecDeque<Bytes>,
    is_over: bool,
}

/// The answers of a subscription, until it ends, the client leaves, its token expires, or the server stops.
pub(super) fn subscribed(
    state: &AppState,
    identity: Option<&Identity>,
    stopping: Stopping,
    running: Running,
) -> Response {
    let left = identity.map(|identity| remaining(state, identity));
    let connection = Connection {
        running,
        expiry: Box::pin(async move {
            match left {
                Some(left) => tokio::time::sleep(left).await,
                None => std::future::pending().await,
            }
        }),
        stop: Box::pin(async move { stopping.begun().await }),
        quiet: state.live.ping(),
        queue: VecDeque::new(),
        is_over: false,
    };
    respond(stream::unfold(connection, Connection::next))
}

/// The one answer of a query or a mutation.
pub(super) fn executed(answer: &GraphqlResponse) -> Response {
    respond(stream::iter(next(answer).into_iter().chain([COMPLETE])))
}

/// The answer to an operation that is not executed. Not a status: the browser's `EventSource` would hide it.
pub(super) fn refused(errors: &[ServerError]) -> Response {
    respond(stream::iter(errors_event(errors).into_iter().chain([COMPLETE])))
}

fn respond(events: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::VARY, HeaderValue::from_static("accept, authorization, origin")),
        // Else nginx would collect events before it passes them on.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (headers, Body::from_stream(events.map(Ok::<_, Infallible>))).into_response()
}

impl Connection {
    async fn next(mut self) -> Option<(Bytes, Self)> {
        while self.queue.is_empty() && !self.is_over {
            tokio::select! {
                biased;
                // Without `complete`: the client is to come again, and finds another node.
                () = &mut self.stop => self.is_over = true,
                () = &mut self.expiry => self.end(&[expired()]),
                step = self.running.next() => match step {
                    Some(Step::Next(response)) => self.queue.extend(next(&response)),
                    Some(Step::Failed(errors)) => self.end(&errors),
                    Some(Step::Complete) => self.end(&[]),
                    None => self.is_over = true,
                },
                () = tokio::time::sleep(self.quiet) => self.queue.push_back(KEEP_ALIVE),
            }
        }
        self.queue.pop_front().map(|event| (event, self))
    }

    fn end(&mut self, errors: &[ServerError]) {
        if !errors.is_empty() {
            self.queue.extend(errors_event(errors));
        }
        self.queue.push_back(COMPLETE);
        self.is_over = true;
    }
}

/// JSON has no line breaks of its own.
fn next(answer: &impl Serialize) -> Option<Bytes> {
    let mut event = b"event: next\ndata: ".to_vec();
    if let Err(error) = serde_json::to_writer(&mut event, answer) {
        tracing::error!(%error, "an answer cannot be written as JSON");
        return None;
    }
    event.extend_from_slice(b"\n\n");
    Some(event.into())
}

fn errors_event(errors: &[ServerError]) -> Option<Bytes> {
    next(&Errors { errors })
}

fn expired() -> ServerError {
    let mut error = ServerError::new(TokenError::Expired.to_string(), None);
    error.extensions.get_or_insert_default().set("code", "UNAUTHENTICATED");
    error
}
