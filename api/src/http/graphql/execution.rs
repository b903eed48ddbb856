//! Runs an operation in a task of its own, and passes on its responses.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_graphql::parser::types::OperationType;
use async_graphql::{PathSegment, ServerError};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, Stream, StreamExt, stream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{Instrument, Span};

use super::caller::Caller;
use super::observed::ObservedOperation;
use crate::graphql::{RequestId, StartSignal, finish_errors, panic_error};
use crate::http::AppState;
use graphql_engine::{ExecutedResponse, PreparedOperation};
use jishu_service::limit::SubscriptionPermit;

/// Maximum number of responses of an operation that wait in its channel for the client. If the channel is full, the
/// operation waits with its next response.
const MAX_WAITING_RESPONSES: usize = 1;

/// Maximum time for which the response to a subscription, or the next message of its WebSocket, waits until the
/// subscription has started.
const START_TIMEOUT: Duration = Duration::from_secs(2);

/// An event in the execution of an operation.
pub(super) enum ExecutionEvent {
    /// The operation has a response.
    Next(Box<ExecutedResponse>),
    /// The operation cannot be executed or continued, and has ended.
    Failed(Vec<ServerError>),
    /// The operation has ended.
    Complete,
}

/// A running operation, as a stream of events.
///
/// The operation runs in a task of its own, so that a slow client holds back only its own responses. Dropping the
/// execution aborts the task.
pub(super) struct Execution {
    is_subscription: bool,
    has_ended: bool,
    request_id: RequestId,
    events: mpsc::Receiver<ExecutionEvent>,
    task: JoinHandle<()>,
    /// The permit of a subscription. It is freed when the subscription ends or is dropped.
    permit: Option<SubscriptionPermit>,
    started: Option<BoxFuture<'static, ()>>,
}

impl Execution {
    /// Starts an operation. If `stall_timeout` is given and the next event waits for the client for this time, the
    /// operation ends without a last event. Pass None if several operations share a connection: then the connection has
    /// the timeout.
    pub(super) fn start(
        state: &AppState,
        request_id: &RequestId,
        caller: Caller,
        (operation, observed): (PreparedOperation, ObservedOperation),
        stall_timeout: Option<Duration>,
    ) -> Self {
        let is_subscription = operation.kind() == OperationType::Subscription;
        let mut data = state.resolver_data(caller);
        let mut started = None;
        // Subscriptions of every transport start here. An anonymous subscription fails at once, so it needs no permit.
        let subscriber = caller.viewer.filter(|_| is_subscription);
        let permit = subscriber.map(|viewer| state.subscriptions.take(viewer.user_id));
        let responses = if let Some(None) = permit {
            let refused = too_many_subscriptions(state.subscriptions.max_per_key());
            stream::once(async { refused }).boxed()
        } else if is_subscription {
            let (notifier, notified) = StartSignal::new();
            data.insert(notifier);
            started = Some(timeout(START_TIMEOUT, notified).map(drop).boxed());
            state.engine.subscribe(operation, data)
        } else {
            let state = state.clone();
            let response = async move {
                let executed = state.permits.run(state.engine.execute(operation, data)).await;
                executed.unwrap_or_else(|refusal| ExecutedResponse::from_errors(vec![refusal.error()]))
            };
            stream::once(response).boxed()
        };
        let (sender, events) = mpsc::channel(MAX_WAITING_RESPONSES);
        let span = Some(observed.span()).filter(|span| !span.is_disabled()).unwrap_or_else(Span::current);
        let request_id = request_id.clone();
        let forwarder = ResponseForwarder {
            is_subscription,
            request_id: request_id.clone(),
            stall_timeout,
            sender,
            observed,
        };
        let task = tokio::spawn(forwarder.run(responses).instrument(span));
        Self {
            is_subscription,
            has_ended: false,
            request_id,
            events,
            task,
            permit: permit.flatten(),
            started,
        }
    }

    /// Returns a future for the start of a subscription. The future completes when the subscription receives all
    /// events, when it has failed, or when it takes too long to start. Returns None at each further call, and for a
    /// query or mutation.
    pub(super) fn started(&mut self) -> Option<BoxFuture<'static, ()>> {
        self.started.take()
    }

    /// Returns whether the operation is a subscription, which can run without end.
    pub(super) fn is_subscription(&self) -> bool {
        self.is_subscription
    }
}

impl Drop for Execution {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stream for Execution {
    type Item = ExecutionEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ExecutionEvent>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let event = match ready!(self.events.poll_recv(cx)) {
            Some(event) => Some(event),
            // The task ended without a last event: it panicked, or an event waited for its client for the stall
            // timeout.
            None => match ready!(Pin::new(&mut self.task).poll(cx)) {
                Err(error) if error.is_panic() => {
                    tracing::error!(request_id = &*self.request_id.0, "an operation panicked");
                    Some(ExecutionEvent::Failed(vec![panic_error(&self.request_id)]))
                }
                _ => None,
            },
        };
        self.has_ended = !matches!(event, Some(ExecutionEvent::Next(_)));
        if self.has_ended {
            // The client may start another subscription as soon as it sees the end, before this execution is dropped.
            // So the permit is freed now.
            self.permit = None;
        }
        Poll::Ready(event)
    }
}

/// Passes the responses of an operation to its [`Execution`].
struct ResponseForwarder {
    is_subscription: bool,
    request_id: RequestId,
    stall_timeout: Option<Duration>,
    sender: mpsc::Sender<ExecutionEvent>,
    observed: ObservedOperation,
}

impl ResponseForwarder {
    async fn run(mut self, mut responses: BoxStream<'static, ExecutedResponse>) {
        while let Some(mut response) = responses.next().await {
            finish_errors(response.errors_mut(), &self.request_id);
            self.observed.responded(response.errors());
            if self.is_subscription && is_source_error(&response) {
                self.send(ExecutionEvent::Failed(response.into_errors())).await;
                return;
            }
            if !self.send(ExecutionEvent::Next(Box::new(response))).await {
                return;
            }
        }
        self.send(ExecutionEvent::Complete).await;
    }

    /// Sends an event to the [`Execution`]. Returns false if the client has left, or if the event waited for the client
    /// for the stall timeout. Then no more events can be sent.
    async fn send(&self, event: ExecutionEvent) -> bool {
        let sent = self.sender.send(event);
        let Some(stall_timeout) = self.stall_timeout else { return sent.await.is_ok() };
        let Ok(sent) = timeout(stall_timeout, sent).await else {
            tracing::info!(
                seconds = stall_timeout.as_secs(),
                "a subscription was ended, because its client did not receive the events"
            );
            return false;
        };
        sent.is_ok()
    }
}

/// Returns whether a subscription failed at its source: the response has no data, and an error has no path or the path
/// of the root field. An error below the root field concerns only one event.
fn is_source_error(response: &ExecutedResponse) -> bool {
    let is_of_root_field =
        |error: &ServerError| matches!(error.path.as_slice(), [] | [PathSegment::Field(_)]);
    response.has_no_data() && response.errors().iter().any(is_of_root_field)
}

fn too_many_subscriptions(maximum: u32) -> ExecutedResponse {
    let message = format!(
        "You have {maximum} subscriptions over all connections, which is the maximum for a user. Complete one before \
         you start another."
    );
    ExecutedResponse::from_errors(vec![limit_exceeded("subscriptions", maximum, message)])
}

/// Makes the error for a client that has the maximum number of operations or subscriptions. `limit` says which of the
/// two: `operations` or `subscriptions`.
pub(super) fn limit_exceeded(limit: &str, maximum: u32, message: String) -> ServerError {
    let mut error = ServerError::new(message, None);
    let extensions = error.extensions.get_or_insert_default();
    extensions.set("code", "LIMIT_EXCEEDED");
    extensions.set("limit", limit);
    extensions.set("maximum", maximum);
    error
}
