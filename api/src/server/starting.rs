//! Responds to load balancers while the server starts.

use std::io;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::serve;
use crate::config::{DrainTimes, EdgeConfig};
use crate::http;

/// Maximum time that the running responses of the starting server may take when the real server is ready. The real
/// server waits for these responses.
const HAND_OVER_TIMEOUT: Duration = Duration::from_millis(100);

/// A server that responds only to health checks, and refuses all other requests. It uses the socket on which the real
/// server will accept connections.
pub(crate) struct StartingServer {
    ready: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl StartingServer {
    /// Begins to accept connections. The real server accepts the connections that this server has not accepted when it
    /// ends.
    ///
    /// # Errors
    /// Returns the error of the system if the socket cannot be shared.
    pub(crate) fn start(listener: &TcpListener, edge: &EdgeConfig) -> io::Result<Self> {
        #[cfg(unix)]
        let shared = std::os::fd::AsFd::as_fd(listener).try_clone_to_owned()?;
        #[cfg(windows)]
        let shared = std::os::windows::io::AsSocket::as_socket(listener).try_clone_to_owned()?;
        let listener = TcpListener::from_std(shared.into())?;
        let (ready, is_ready) = oneshot::channel();
        let edge = edge.clone();
        let serving = tokio::spawn(async move {
            let times = DrainTimes { notice: Duration::ZERO, drain: HAND_OVER_TIMEOUT };
            let stop = async {
                // An error means that the start of the real server failed, so this server ends as well.
                let _ = is_ready.await;
            };
            serve(listener, |_| http::starting_routes(), &edge, times, stop).await;
        });
        Ok(Self { ready, serving })
    }

    /// Stops this server. Afterwards only the real server accepts connections.
    pub(crate) async fn end(self) {
        let _ = self.ready.send(());
        let _ = self.serving.await;
    }
}
