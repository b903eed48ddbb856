//! Accepts connections until the server stops, then waits for the requests on open connections to finish.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use tokio::net::{TcpListener, TcpStream};

use super::activity::Activity;
use super::connection::ConnectionService;
use super::permits::ConnectionPermits;
use super::socket::Socket;
use crate::config::{DrainTimes, EdgeConfig};
use crate::http::{ShutdownPhase, ShutdownSignal, ShutdownTrigger};

/// The pause after the server could not accept a connection, if the next attempt would probably fail too, for example
/// because too many files are open.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(200);

/// Maximum time that the server waits for connections to close after the drain time is over.
const ABORT_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves until `stopped` completes. Then serves for the notice time, while health checks respond that the server will
/// stop. At last accepts no new connections, and lets running requests finish. Returns whether all requests finished
/// within the drain time.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    edge: &EdgeConfig,
    (times, permits): (DrainTimes, ConnectionPermits),
    (trigger, shutdown): (ShutdownTrigger, ShutdownSignal),
    stopped: impl Future<Output = ()>,
) -> bool {
    let service = ConnectionService::new(router, edge, shutdown);
    tokio::select! {
        () = accept_all(&listener, &permits, &service) => {}
        () = stopped => {}
    }
    if !times.notice.is_zero() {
        trigger.enter(ShutdownPhase::Leaving);
        tokio::select! {
            () = accept_all(&listener, &permits, &service) => {}
            () = tokio::time::sleep(times.notice) => {}
        }
    }
    // From now on, the operating system refuses new connections.
    drop(listener);
    trigger.enter(ShutdownPhase::Draining);
    drop(service);
    if tokio::time::timeout(times.drain, permits.all_released()).await.is_ok() {
        return true;
    }
    trigger.enter(ShutdownPhase::Aborting);
    let _ = tokio::time::timeout(ABORT_TIMEOUT, permits.all_released()).await;
    false
}

/// Accepts connections and spawns a task for each.
///
/// A permit of the server is acquired before a connection is accepted, so excess connections wait in the system's
/// queue. If the client of an accepted connection has its maximum number of connections, the connection is closed at
/// once, so that it does not delay other clients.
async fn accept_all(listener: &TcpListener, permits: &ConnectionPermits, service: &ConnectionService) {
    while let Some(permit) = permits.acquire().await {
        let (stream, peer) = accept(listener).await;
        let Some(permit) = permits.assign(permit, peer.ip()) else {
            tracing::debug!(%peer, "closed a connection: its client has the maximum number of connections");
            continue;
        };
        // Responses are written in large pieces. Waiting until a packet is full would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection was closed before it could be served");
            continue;
        }
        let activity = Activity::new(Instant::now());
        let socket = Socket::new(stream, activity.clone(), permit);
        tokio::spawn(service.clone().serve(socket, peer, activity));
    }
}

/// Accepts one connection. Retries after an error, with a pause if the error concerns more than one connection.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        let error = match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => error,
        };
        // These errors concern one connection, which is already closed.
        let is_of_one_connection = matches!(
            error.kind(),
            io::ErrorKind::ConnectionRefused
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionReset
        );
        if !is_of_one_connection {
            tracing::error!(%error, "cannot accept connections; check whether the limit on open files is too low");
            tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
        }
    }
}
