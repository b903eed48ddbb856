//! Admits requests to GraphQL, data exports and pictures: reads the whole body, takes a permit, and limits the time.
//!
//! The order matters. The body comes first, so that a client that sends slowly holds no permit. A request that finds no
//! free permit is refused at once. The time limit applies only until the response starts, so a subscription can stream
//! for longer.

use std::net::Ipv4Addr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
use super::body::{BodyError, collect};
use super::body_memory::{BodyMemory, BodyReservation};
use super::refusal::RequestRefusal;
use super::response::Negotiated;
use super::shutdown::{REQUEST_GRACE, ShutdownSignal};
use crate::config::EdgeConfig;
use jishu_service::limit::{ClientAddress, RetryAfter};
use jishu_service::metrics::{Metrics, OperationOutcome, OperationTransport};
use jishu_service::trace;

/// The maximum number of bytes that the server reads and drops if a body is too large.
const MAX_DISCARDED_BYTES: usize = 16 * MAX_BODY_BYTES;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(2);

/// The time after which a client should retry if the server is busy or stopping.
const BUSY_RETRY_AFTER: RetryAfter = RetryAfter { wait: Duration::from_secs(1) };

/// Whether the time of a request is over. Requests have this value among their extensions if metrics or traces are on.
#[derive(Clone, Debug, Default)]
pub(super) struct TimeLimit(Arc<AtomicBool>);

impl TimeLimit {
    /// Returns whether the time is over. Then the operation of the request is dropped, and the client gets the error
    /// `TIMEOUT`.
    pub(super) fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn end(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Limits how many operations run at once, and for how long. HTTP requests and WebSocket messages share the permits.
#[derive(Clone)]
pub(super) struct OperationPermits {
    free: Arc<Semaphore>,
    timeout: Duration,
}

impl OperationPermits {
    pub(super) fn new(edge: &EdgeConfig) -> Self {
        Self { free: Arc::new(Semaphore::new(edge.max_requests as usize)), timeout: edge.request_timeout() }
    }

    /// Runs an operation with a permit. Returns a refusal if no permit is free, or if the operation takes too long.
    pub(super) async fn run<T>(&self, operation: impl Future<Output = T>) -> Result<T, RequestRefusal> {
        self.run_within(None, operation).await
    }

    /// Runs an operation with a permit, as [`Self::run`] does. If the operation exceeds its time, sets `limit` before
    /// the operation is dropped.
    async fn run_within<T>(
        &self,
        limit: Option<&TimeLimit>,
        operation: impl Future<Output = T>,
    ) -> Result<T, RequestRefusal> {
        let Ok(_permit) = self.free.try_acquire() else { return Err(overloaded()) };
        // The pin keeps the operation alive until this function returns. So `limit.end()` runs before the operation is
        // dropped.
        let mut operation = pin!(operation);
        match timeout(self.timeout, operation.as_mut()).await {
            Ok(ended) => Ok(ended),
            Err(_elapsed) => {
                if let Some(limit) = limit {
                    limit.end();
                }
                tracing::warn!(seconds = self.timeout.as_secs(), "a request exceeded the time limit");
                Err(timed_out(self.timeout))
            }
        }
    }
}

/// The limits by which requests to GraphQL, data exports and pictures are admitted or refused: permits, memory for
/// bodies, and times. All clones share the permits and the memory.
#[derive(Clone)]
pub(super) struct Admission {
    permits: OperationPermits,
    memory: BodyMemory,
    body_timeout: Duration,
    shutdown: ShutdownSignal,
    /// The metrics that count refused requests as operations. They are off for routes without operations, such as
    /// pictures.
    metrics: Metrics,
}

impl Admission {
    pub(super) fn new(edge: &EdgeConfig, permits: OperationPermits, shutdown: ShutdownSignal) -> Self {
        Self {
            permits,
            memory: BodyMemory::new(edge),
            body_timeout: Duration::from_secs(edge.body_seconds),
            shutdown,
            metrics: Metrics::off(),
        }
    }

    /// Makes the admission count each refused request as an operation in these metrics.
    pub(super) fn counting(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// Counts a request that is refused before its operation begins.
    fn count(&self, transport: OperationTransport, refusal: &RequestRefusal) {
        let Some(requests) = self.metrics.requests() else { return };
        let is_of_server = refusal.is_of_server();
        let outcome = if is_of_server { OperationOutcome::ServerError } else { OperationOutcome::Refused };
        requests.transported(transport, outcome);
        requests.error(refusal.code());
    }

    /// Reads a whole body, and reserves memory for it. Refuses a body that is too large or too slow, or for which there
    /// is no memory. Also refuses a body that has not arrived one second after the server began to drain.
    async fn read(&self, body: Body, reservation: &mut BodyReservation) -> Result<Bytes, RequestRefusal> {
        let shutdown = async {
            self.shutdown.draining().await;
            sleep(REQUEST_GRACE).await;
        };
        tokio::select! {
            // Most bodies arrive together with the head of their request. They are read first, so that no timer is set
            // for them.
            biased;
            read = collect(body, MAX_BODY_BYTES, reservation) => read.map_err(not_read),
            () = sleep(self.body_timeout) => Err(body_too_slow(self.body_timeout)),
            () = shutdown => Err(stopping()),
        }
    }
}

/// Admits a request, or refuses it with a GraphQL error.
pub(super) async fn admit(State(admission): State<Admission>, request: Request, next: Next) -> Response {
    let negotiated = Negotiated::of(request.extensions());
    let media_type = negotiated.for_refusal();
    let transport = negotiated.transport(request.method());
    let (mut request, _reservation) = match read_whole(&admission, request).await {
        Ok(read) => read,
        Err(refusal) => {
            admission.count(transport, &refusal);
            return refusal.into_response(media_type);
        }
    };
    let limit = (admission.metrics.is_on() || trace::is_on()).then(TimeLimit::default);
    if let Some(limit) = &limit {
        request.extensions_mut().insert(limit.clone());
    }
    let response = admission.permits.run_within(limit.as_ref(), next.run(request)).await;
    response.unwrap_or_else(|refusal| {
        // An operation whose time is over counts itself when it is dropped, so it is not counted here.
        if !limit.is_some_and(|limit| limit.is_over()) {
            admission.count(transport, &refusal);
        }
        refusal.into_response(media_type)
    })
}

/// Reads the whole body of a POST request. Returns the request with the body, and with the reservation of its memory.
/// Returns requests with other methods unchanged: the server does not read their bodies, and a request that becomes a
/// WebSocket must not be changed.
async fn read_whole(
    admission: &Admission,
    request: Request,
) -> Result<(Request, Option<BodyReservation>), RequestRefusal> {
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
    let mut reservation = admission.memory.reservation(client);
    let body = admission.read(body, &mut reservation).await?;
    Ok((Request::from_parts(parts, Body::from(body)), Some(reservation)))
}

/// Makes the refusal of a request whose body is too large, is incomplete, or finds no memory.
fn not_read(error: BodyError) -> RequestRefusal {
    match error {
        BodyError::TooLarge(rest) => too_large(rest),
        BodyError::Incomplete => RequestRefusal::incomplete_body().and_close(),
        BodyError::NoMemory => overloaded(),
    }
}

fn overloaded() -> RequestRefusal {
    let message = "The server is busy. Nothing was changed. Try again in a few seconds.";
    RequestRefusal::new(StatusCode::SERVICE_UNAVAILABLE, "OVERLOADED", message).retry_after(BUSY_RETRY_AFTER)
}

/// Refuses a request for a picture that could not be read from the database.
pub(super) fn unavailable() -> RequestRefusal {
    let message = "The server could not read the picture. Try again in a few seconds.";
    RequestRefusal::new(StatusCode::SERVICE_UNAVAILABLE, "OVERLOADED", message).retry_after(BUSY_RETRY_AFTER)
}

fn stopping() -> RequestRefusal {
    let message = "The server is stopping, so it did not carry out this request. Send the request again.";
    let refusal = RequestRefusal::new(StatusCode::SERVICE_UNAVAILABLE, "OVERLOADED", message);
    refusal.retry_after(BUSY_RETRY_AFTER).and_close()
}

fn timed_out(limit: Duration) -> RequestRefusal {
    let message = format!(
        "The request took longer than {} seconds, so the server gave it up. A mutation may have made its change \
         all the same: read the data, or send the mutation again with the same idempotency key. For a query, ask \
         for less at once.",
        limit.as_secs()
    );
    RequestRefusal::new(StatusCode::GATEWAY_TIMEOUT, "TIMEOUT", message)
}

fn body_too_slow(limit: Duration) -> RequestRefusal {
    let message = format!(
        "The body of the request did not arrive within {} seconds. Check the connection, then send the request \
         again.",
        limit.as_secs()
    );
    RequestRefusal::new(StatusCode::REQUEST_TIMEOUT, "TIMEOUT", message).and_close()
}

/// Refuses a body that is too large. A task reads and drops the rest of the body for at most two seconds: a client that
/// is still sending when its connection closes may never see the response.
fn too_large(mut rest: BodyDataStream) -> RequestRefusal {
    tokio::spawn(timeout(DISCARD_TIMEOUT, async move {
        let mut remaining = MAX_DISCARDED_BYTES;
        while let Some(Ok(frame)) = rest.next().await {
            match remaining.checked_sub(frame.len()) {
                Some(less) => remaining = less,
                None => break,
            }
        }
    }));
    RequestRefusal::body_too_large()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stores in `noted`, when this value is dropped, whether the time of `limit` was over.
    struct Noting {
        limit: TimeLimit,
        noted: Arc<AtomicBool>,
    }

    impl Drop for Noting {
        fn drop(&mut self) {
            self.noted.store(self.limit.is_over(), Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn an_operation_learns_before_its_end_that_its_time_is_over() {
        let permits =
            OperationPermits { free: Arc::new(Semaphore::new(1)), timeout: Duration::from_millis(1) };
        let (limit, noted) = (TimeLimit::default(), Arc::new(AtomicBool::new(false)));
        let noting = Noting { limit: limit.clone(), noted: Arc::clone(&noted) };
        let operation = async move {
            let _noting = noting;
            std::future::pending::<()>().await;
        };
        let refusal = permits.run_within(Some(&limit), operation).await.unwrap_err();
        assert_eq!((refusal.code(), refusal.is_of_server()), ("TIMEOUT", true));
        assert!(noted.load(Ordering::Relaxed));
        // The permit is free again. For an operation that ends in time, `limit` is not set.
        let limit = TimeLimit::default();
        assert_eq!(permits.run_within(Some(&limit), async { 7 }).await.unwrap(), 7);
        assert!(!limit.is_over());
    }
}
