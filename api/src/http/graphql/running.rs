//! An operation that is being executed, and its answers as they come.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_graphql::parser::types::OperationType;
use async_graphql::{PathSegment, Response, ServerError, Value};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, Stream, StreamExt, stream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::Instrument;

use crate::auth::Viewer;
use crate::graphql::{Begun, RequestId, finish, panicked};
use crate::http::AppState;
use crate::limit::{ClientAddress, SubscriptionPlace};
use graphql_engine::PreparedOperation;

/// How many answers may wait for a client, beside the one that is made. Then the operation waits; that the client
/// takes nothing at all is for its connection to tell, where others share it.
const WAITING: usize = 1;

/// How long a subscription may take to begin before others stop waiting for it.
const BEGINNING: Duration = Duration::from_secs(2);

/// What becomes of an operation.
pub(super) enum Step {
    /// It has an answer.
    Next(Response),
    /// It cannot be executed, or not go on, and has ended.
    Failed(Vec<ServerError>),
    /// It has ended.
    Complete,
}

/// Runs in a task of its own, so that a client that takes its time holds nothing but its answers. Ends when it is
/// dropped.
pub(super) struct Running {
    is_live: bool,
    is_over: bool,
    id: RequestId,
    steps: mpsc::Receiver<Step>,
    task: JoinHandle<()>,
    /// What a subscription holds of what its user may have, until it is over or dropped.
    place: Option<SubscriptionPlace>,
    begun: Option<BoxFuture<'static, ()>>,
}

impl Running {
    /// With `patience`, ends without a last word when its client takes nothing for so long.
    pub(super) fn start(
        state: &AppState,
        id: &RequestId,
        viewer: Option<Viewer>,
        client: ClientAddress,
        operation: PreparedOperation,
        patience: Option<Duration>,
    ) -> Self {
        let is_live = operation.kind() == OperationType::Subscription;
        let mut data = state.context(viewer, client);
        let mut begun = None;
        // Every subscription begins here, whatever it comes over. One without a sign-in fails at once, and holds none.
        let place = viewer.filter(|_| is_live).map(|viewer| state.subscriptions.take(viewer.user_id));
        let answers = if let Some(None) = place {
            let refused = too_many(state.subscriptions.most());
            stream::once(async { refused }).boxed()
        } else if is_live {
            let (tells, told) = Begun::new();
            data.insert(tells);
            begun = Some(timeout(BEGINNING, told).map(drop).boxed());
            state.engine.subscribe(operation, data)
        } else {
            let state = state.clone();
            let answer = async move {
                let answer = state.places.take(state.engine.execute(operation, data)).await;
                answer.unwrap_or_else(|refusal| Response::from_errors(vec![refusal.error()]))
            };
            stream::once(answer).boxed()
        };
        let (sender, steps) = mpsc::channel(WAITING);
        let pump = Pump { is_live, id: id.clone(), patience, sender };
        let task = tokio::spawn(pump.run(answers).in_current_span());
        Self { is_live, is_over: false, id: id.clone(), steps, task, place: place.flatten(), begun }
    }

    /// For a subscription, once: completes when it has begun and misses nothing more; when it has failed; or when
    /// that takes too long to be waited for.
    pub(super) fn begun(&mut self) -> Option<BoxFuture<'static, ()>> {
        self.begun.take()
    }

    /// Whether it goes on until somebody ends it.
    pub(super) fn is_live(&self) -> bool {
        self.is_live
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stream for Running {
    type Item = Step;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Step>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let step = match ready!(self.steps.poll_recv(cx)) {
            Some(step) => Some(step),
            // The task ended without a last word: it panicked, or lost its patience.
            None => match ready!(Pin::new(&mut self.task).poll(cx)) {
                Err(error) if error.is_panic() => {
                    tracing::error!(request_id = self.id.0, "an operation panicked");
                    Some(Step::Failed(vec![panicked(&self.id)]))
                }
                _ => None,
            },
        };
        self.is_over = !matches!(step, Some(Step::Next(_)));
        if self.is_over {
            // Who is told of the end may begin another at once, before this one is dropped.
            self.place = None;
        }
        Poll::Ready(step)
    }
}

struct Pump {
    is_live: bool,
    id: RequestId,
    patience: Option<Duration>,
    sender: mpsc::Sender<Step>,
}

impl Pump {
    async fn run(self, mut answers: BoxStream<'static, Response>) {
        while let Some(mut response) = answers.next().await {
            finish(&mut response.errors, &self.id);
            if self.is_live && has_failed(&response) {
                self.send(Step::Failed(response.errors)).await;
                return;
            }
            if !self.send(Step::Next(response)).await {
                return;
            }
        }
        self.send(Step::Complete).await;
    }

    async fn send(&self, step: Step) -> bool {
        let sent = self.sender.send(step);
        let Some(patience) = self.patience else { return sent.await.is_ok() };
        let Ok(sent) = timeout(patience, sent).await else {
            tracing::info!("an operation ended: its client takes nothing");
            return false;
        };
        sent.is_ok()
    }
}

/// Whether the source of events has failed, and not what was selected of one: the error is about the field of the
/// subscription itself.
fn has_failed(response: &Response) -> bool {
    let is_of_source = |error: &ServerError| matches!(error.path.as_slice(), [] | [PathSegment::Field(_)]);
    response.data == Value::Null && response.errors.iter().any(is_of_source)
}

fn too_many(most: u32) -> Response {
    let message = format!(
        "A user may have {most} subscriptions at once, over all connections. Complete one before you begin another."
    );
    Response::from_errors(vec![beyond("subscriptions", most, message)])
}

/// What a client is told that has as many of something as it may have at once.
pub(super) fn beyond(limit: &str, most: u32, message: String) -> ServerError {
    let mut error = ServerError::new(message, None);
    let extensions = error.extensions.get_or_insert_default();
    extensions.set("code", "LIMIT_EXCEEDED");
    extensions.set("limit", limit);
    extensions.set("maximum", most);
    error
}
