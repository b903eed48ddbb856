//! Accepting connections and serving them, until the server stops.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use super::connection::{Activity, Patience, Verdict};
use super::places::Places;
use super::socket::Socket;
use crate::config::EdgeConfig;
use crate::http::{Phase, STOP_GRACE, Stop, Stopping};

/// Of one HTTP/2 connection; browsers open one.
const STREAMS_AT_ONCE: u32 = 100;
/// Of the heads of a request together.
const MAX_HEAD_BYTES: u32 = 64 * 1024;
/// A node in trouble tells each of its open connections apart from the dead ones.
const PING_EVERY: Duration = Duration::from_secs(30);
/// After an error that the next try would meet again, such as no file descriptor being left.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(200);
/// When the server stops, a client is waited for that took something of its answer within so long.
const STOP_STALL: Duration = Duration::from_secs(3);
/// What is cut gets so long to be gone.
const CUT_GRACE: Duration = Duration::from_secs(1);

/// What each connection is served with.
#[derive(Clone)]
struct Serving {
    router: Router,
    http: Arc<Builder<TokioExecutor>>,
    patience: Patience,
    stopping: Stopping,
}

/// Serves until `stopped` completes, then finishes what is under way, for at most `drain`. Says whether it was
/// finished.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    edge: &EdgeConfig,
    drain: Duration,
    (stop, stopping): (Stop, Stopping),
    stopped: impl Future<Output = ()>,
) -> bool {
    let patience = Patience {
        head: Duration::from_secs(edge.head_seconds),
        idle: Duration::from_secs(edge.idle_seconds),
    };
    let serving = Serving { router, http: Arc::new(protocols()), patience, stopping };
    let places = Places::new(edge);
    tokio::select! {
        () = accept_all(&listener, &places, &serving) => {}
        () = stopped => {}
    }
    // New connections are refused from here on.
    drop(listener);
    stop.tell(Phase::Stopping);
    drop(serving);
    if tokio::time::timeout(drain, places.empty()).await.is_ok() {
        return true;
    }
    stop.tell(Phase::Over);
    let _ = tokio::time::timeout(CUT_GRACE, places.empty()).await;
    false
}

fn protocols() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // The socket is watched instead.
        .header_read_timeout(None)
        .max_buf_size(MAX_HEAD_BYTES as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .max_concurrent_streams(STREAMS_AT_ONCE)
        .max_header_list_size(MAX_HEAD_BYTES);
    builder
}

/// A connection has its place before it is accepted: those for whom there is none wait in the system's queue. One of
/// a client that has too many is closed at once, so that the others get their turn.
async fn accept_all(listener: &TcpListener, places: &Places, serving: &Serving) {
    while let Some(permit) = places.next().await {
        let (stream, peer) = accept(listener).await;
        let Some(place) = places.give(permit, peer.ip()) else {
            tracing::debug!(%peer, "a client has as many connections as one may have");
            continue;
        };
        // Answers are written whole; waiting for more only delays them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection was gone before it was served");
            continue;
        }
        let activity = Activity::new(Instant::now());
        let socket = Socket::new(stream, activity.clone(), place);
        tokio::spawn(serving.clone().connection(socket, peer, activity));
    }
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        let error = match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => error,
        };
        // Of one connection, which is gone.
        let is_of_one = matches!(
            error.kind(),
            io::ErrorKind::ConnectionRefused
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionReset
        );
        if !is_of_one {
            tracing::error!(%error, "no connection can be accepted; is the limit on open files too low?");
            tokio::time::sleep(PAUSE_AFTER_ERROR).await;
        }
    }
}

impl Serving {
    async fn connection(self, socket: Socket, peer: SocketAddr, activity: Activity) {
        let Self { router, http, patience, stopping } = self;
        let answering = activity.clone();
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let answering = answering.request(request.version());
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            let response = router.clone().oneshot(request);
            async move { Ok::<_, Infallible>(answering.until_sent(response.await?)) }
        });
        let connection = http.serve_connection_with_upgrades(TokioIo::new(socket), service);
        let mut connection = std::pin::pin!(connection);
        let stop = stopping.begun();
        let mut stop = std::pin::pin!(stop);
        let over = stopping.over();
        let mut over = std::pin::pin!(over);
        let mut is_closing = false;
        let mut is_stopping = false;
        let mut look = tokio::time::Instant::now() + patience.head.min(patience.idle);
        loop {
            tokio::select! {
                result = connection.as_mut() => {
                    if let Err(error) = result {
                        tracing::debug!(error, "a connection ended with an error");
                    }
                    return;
                }
                () = tokio::time::sleep_until(look) => {}
                () = &mut stop, if !is_stopping => {
                    is_stopping = true;
                    is_closing = true;
                    connection.as_mut().graceful_shutdown();
                    look = look.min(tokio::time::Instant::now() + STOP_GRACE);
                    continue;
                }
                () = &mut over => return,
            }
            let now = Instant::now();
            let soon = tokio::time::Instant::from_std(now) + STOP_GRACE;
            match activity.judge(patience, now) {
                Verdict::Slow => break,
                Verdict::Idle | Verdict::Untaken if is_closing => break,
                Verdict::Idle | Verdict::Untaken => {
                    is_closing = true;
                    connection.as_mut().graceful_shutdown();
                    look = soon;
                }
                // Nothing was taken on that its client still wants, and it had its chance to finish asking.
                Verdict::Keep(_) if is_stopping && !activity.is_busy(STOP_STALL, now) => break,
                Verdict::Keep(_) if is_stopping => look = soon,
                Verdict::Keep(until) => look = until.into(),
            }
        }
        // Dropping the connection closes it.
        activity.cut();
    }
}
