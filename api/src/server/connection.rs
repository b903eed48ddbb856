//! Serves one connection, and closes it when it exceeds a timeout or the server stops.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tower::ServiceExt;

use super::activity::{Activity, ActivityStatus, ConnectionTimeouts};
use super::response_body::keep_until_sent;
use super::socket::Socket;
use crate::config::EdgeConfig;
use crate::http::{REQUEST_GRACE, ShutdownSignal};

/// The maximum number of concurrent requests on an HTTP/2 connection. A client usually opens only one HTTP/2
/// connection.
const MAX_HTTP2_STREAMS: u32 = 100;

/// The maximum size of the head of a request, in bytes.
const MAX_HEAD_BYTES: u32 = 64 * 1024;

/// The interval of HTTP/2 pings, which find connections whose client is gone.
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(30);

/// During a shutdown, the server stops waiting for a client to receive a response if the client has received none of
/// the waiting bytes for this time. The server waits longer for a request that has no bytes to send yet.
const SHUTDOWN_STALL_TIMEOUT: Duration = Duration::from_secs(3);

/// Serves the connections of one server.
#[derive(Clone)]
pub(super) struct ConnectionService {
    router: Router,
    protocols: Arc<Builder<TokioExecutor>>,
    timeouts: ConnectionTimeouts,
    shutdown: ShutdownSignal,
}

impl ConnectionService {
    pub(super) fn new(router: Router, edge: &EdgeConfig, shutdown: ShutdownSignal) -> Self {
        let timeouts = ConnectionTimeouts {
            head: Duration::from_secs(edge.head_seconds),
            idle: Duration::from_secs(edge.idle_seconds),
        };
        Self { router, protocols: Arc::new(protocols()), timeouts, shutdown }
    }

    /// Serves a connection until it closes.
    pub(super) async fn serve(self, socket: Socket, peer: SocketAddr, activity: Activity) {
        let Self { router, protocols, timeouts, shutdown } = self;
        let activity_of_requests = activity.clone();
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let in_flight = activity_of_requests.request_started(request.version());
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            let response = router.clone().oneshot(request);
            async move { Ok::<_, Infallible>(keep_until_sent(in_flight, response.await?)) }
        });
        let mut connection = pin!(protocols.serve_connection_with_upgrades(TokioIo::new(socket), service));
        let mut draining = pin!(shutdown.draining());
        let mut aborting = pin!(shutdown.aborting());
        // Whether hyper was asked to close the connection after the running requests.
        let mut is_closing = false;
        let mut is_draining = false;
        let mut next_check = tokio::time::Instant::now() + timeouts.head.min(timeouts.idle);
        loop {
            tokio::select! {
                result = connection.as_mut() => {
                    if let Err(error) = result {
                        tracing::debug!(error, "a connection ended with an error");
                    }
                    return;
                }
                () = tokio::time::sleep_until(next_check) => {}
                () = &mut draining, if !is_draining => {
                    is_draining = true;
                    is_closing = true;
                    connection.as_mut().graceful_shutdown();
                    next_check = next_check.min(tokio::time::Instant::now() + REQUEST_GRACE);
                    continue;
                }
                () = &mut aborting => return,
            }
            let now = Instant::now();
            let after_grace = tokio::time::Instant::from_std(now) + REQUEST_GRACE;
            match activity.check(timeouts, now) {
                ActivityStatus::ClientTooSlow => break,
                ActivityStatus::Idle | ActivityStatus::ResponseStalled if is_closing => break,
                ActivityStatus::Idle | ActivityStatus::ResponseStalled => {
                    is_closing = true;
                    connection.as_mut().graceful_shutdown();
                    next_check = after_grace;
                }
                // The client had time to finish sending its request, and no response to the client is being made or
                // sent.
                ActivityStatus::Healthy { .. }
                    if is_draining && !activity.is_busy(SHUTDOWN_STALL_TIMEOUT, now) =>
                {
                    break;
                }
                ActivityStatus::Healthy { .. } if is_draining => next_check = after_grace,
                ActivityStatus::Healthy { check_again } => next_check = check_again.into(),
            }
        }
        // This call only records whether a response is cut off. The connection closes when this function returns, which
        // drops `connection`.
        activity.abort();
    }
}

fn protocols() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // `Activity` has a timeout of its own for the head of a request.
        .header_read_timeout(None)
        .max_buf_size(MAX_HEAD_BYTES as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(HTTP2_PING_INTERVAL)
        .max_concurrent_streams(MAX_HTTP2_STREAMS)
        .max_header_list_size(MAX_HEAD_BYTES);
    builder
}
