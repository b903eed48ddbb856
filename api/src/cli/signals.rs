//! The signals with which an operator or the operating system ends a command.

use std::future::pending;
use std::io;

use tokio::signal;

/// Returns a future that completes at SIGTERM or Ctrl-C. The signals are caught from this call on, even before the
/// future is polled.
pub(super) fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    #[cfg(unix)]
    let received = {
        let mut interrupt = signal::unix::signal(signal::unix::SignalKind::interrupt())?;
        let mut terminate = signal::unix::signal(signal::unix::SignalKind::terminate())?;
        async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
    };
    #[cfg(not(unix))]
    let received = async {
        if signal::ctrl_c().await.is_err() {
            pending::<()>().await;
        }
    };
    Ok(received)
}

/// Waits for SIGTERM or Ctrl-C. Until this future is polled, these signals end the process as usual. So a command can
/// be interrupted before it has anything to clean up.
pub(super) async fn interruption() {
    match stop_signal() {
        Ok(received) => received.await,
        // If the signals cannot be caught, they end the process as usual, so this future never completes.
        Err(error) => {
            tracing::debug!(%error, "the signals cannot be caught");
            pending::<()>().await;
        }
    }
}
