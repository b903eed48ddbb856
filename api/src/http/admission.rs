//! The gate before GraphQL: a request is read whole, then waits for nobody, and takes only so long.
//!
//! In this order, so that a client who sends slowly holds nothing that others need. What streams its answer (a
//! subscription) passes: its time ends when the answer begins.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::StreamExt;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::MAX_BODY_BYTES;
use super::graphql::Media;
use super::memory::{Memory, Share};
use super::refusal::Refusal;
use super::stopping::{STOP_GRACE, Stopping};
use crate::config::EdgeConfig;
use jishu_service::limit::{ClientAddress, RetryAfter};

/// Of a body that is refused, so much more is read before its connection closes.
const LINGER_BYTES: usize = 16 * MAX_BODY_BYTES;
const LINGER: Duration = Duration::from_secs(2);

/// When to come back to a server that is busy.
const SOON: RetryAfter = RetryAfter(Duration::from_secs(1));

/// So many operations are executed at once, and each takes only so long: requests, and what comes over WebSockets.
#[derive(Clone)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    timeout: Duration,
}

impl Places {
    pub(super) fn new(edge: &EdgeConfig) -> Self {
        Self { free: Arc::new(Semaphore::new(edge.max_requests as usize)), timeout: edge.request_timeout() }
    }

    /// Does this if there is a place for it, for as long as it may take.
    pub(super) async fn take<T>(&self, work: impl Future<Output = T>) -> Result<T, Refusal> {
        let Ok(_place) = self.free.try_acquire() else { return Err(overloaded()) };
        timeout(self.timeout, work).await.map_err(|_elapsed| {
            tracing::warn!(seconds = self.timeout.as_secs(), "a request took too long");
            timed_out(self.timeout)
        })
    }
}

/// What all requests share.
#[derive(Clone)]
pub(super) struct Admission {
    places: Places,
    memory: Memory,
    body_timeout: Duration,
    stopping: Stopping,
}

impl Admission {
    pub(super) fn new(edge: &EdgeConfig, places: Places, stopping: Stopping) -> Self {
        Self {
            places,
            memory: Memory::new(edge),
            body_timeout: Duration::from_secs(edge.body_seconds),
            stopping,
        }
    }

    /// The body, whole, which takes its share of the memory.
    async fn read(&self, body: Body, share: &mut Share) -> Result<Bytes, Refusal> {
        let stopped = async {
            self.stopping.begun().await;
            sleep(STOP_GRACE).await;
        };
        tokio::select! {
            read = collect(body, share) => read,
            () = sleep(self.body_timeout) => Err(too_slow(self.body_timeout)),
            () = stopped => Err(stopping()),
        }
    }
}

async fn collect(body: Body, share: &mut Share) -> Result<Bytes, Refusal> {
    let mut frames = body.into_data_stream();
    let mut first = Bytes::new();
    let mut rest: Option<Vec<u8>> = None;
    while let Some(frame) = frames.next().await {
        let Ok(frame) = frame else { return Err(broken_off()) };
        let length = frame.len() + rest.as_ref().map_or(first.len(), Vec::len);
        if length > MAX_BODY_BYTES {
            return Err(too_large(frames));
        }
        share.take(frame.len()).map_err(|_none_left| overloaded())?;
        match &mut rest {
            Some(bytes) => bytes.extend_from_slice(&frame),
            None if first.is_empty() => first = frame,
            None => rest = Some([&first[..], &frame[..]].concat()),
        }
    }
    Ok(rest.map_or(first, Bytes::from))
}

/// Admits a request, or refuses it in the shape of GraphQL.
pub(super) async fn admit(State(admission): State<Admission>, request: Request, next: Next) -> Response {
    let media = Media::wanted(request.headers()).unwrap_or(Media::Json);
    let (request, _share) = match read_whole(&admission, request).await {
        Ok(read) => read,
        Err(refusal) => return refusal.answer(media),
    };
    admission.places.take(next.run(request)).await.unwrap_or_else(|refusal| refusal.answer(media))
}

/// Only a POST has a body that somebody reads; what becomes a WebSocket must stay as it is.
async fn read_whole(admission: &Admission, request: Request) -> Result<(Request, Option<Share>), Refusal> {
    if request.method() != Method::POST {
        return Ok((request, None));
    }
    let length =
        request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let (parts, body) = request.into_parts();
    if length.is_some_and(|length: u64| length > MAX_BODY_BYTES as u64) {
        return Err(too_large(body.into_data_stream()));
    }
    let client = parts.extensions.get().copied().unwrap_or(ClientAddress::new(Ipv4Addr::UNSPECIFIED.into()));
    let mut share = admission.memory.share(client);
    let body = admission.read(body, &mut share).await?;
    Ok((Request::from_parts(parts, Body::from(body)), Some(share)))
}

fn overloaded() -> Refusal {
    let message = "The server is doing as much as it can. Try again in a few seconds.";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "OVERLOADED", message).retry_after(SOON)
}

fn stopping() -> Refusal {
    let message = "The server is stopping. Send the request again.";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "OVERLOADED", message).retry_after(SOON).and_close()
}

fn timed_out(limit: Duration) -> Refusal {
    let message = format!(
        "The request took longer than {} seconds and was given up. A change that it asked for may have been made \
         all the same: look, or send it again with the same idempotency key. Ask for less at once.",
        limit.as_secs()
    );
    Refusal::new(StatusCode::GATEWAY_TIMEOUT, "TIMEOUT", message)
}

fn too_slow(limit: Duration) -> Refusal {
    let message = format!("The body did not arrive within {} seconds. Send it faster.", limit.as_secs());
    Refusal::new(StatusCode::REQUEST_TIMEOUT, "TIMEOUT", message).and_close()
}

/// A client that still sends when its connection closes may never see the answer, so the rest is read for a while
/// and thrown away.
fn too_large(mut rest: BodyDataStream) -> Refusal {
    tokio::spawn(timeout(LINGER, async move {
        let mut left = LINGER_BYTES;
        while let Some(Ok(frame)) = rest.next().await {
            match left.checked_sub(frame.len()) {
                Some(less) => left = less,
                None => break,
            }
        }
    }));
    Refusal::too_large()
}

fn broken_off() -> Refusal {
    let message = "The body could not be read to its end.";
    Refusal::bad_request(message).and_close()
}
