//! Tells running requests and connections that the server is shutting down.

use std::time::Duration;

use tokio::sync::watch;

/// The phases of a shutdown, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ShutdownPhase {
    /// The server runs normally.
    Running,
    /// The server says that it is about to stop, so that load balancers send new requests elsewhere. It still serves all.
    Leaving,
    /// Running requests may finish. New ones are refused.
    Draining,
    /// The drain time is over. Connections are closed.
    Aborting,
}

/// Moves the server from one shutdown phase to the next.
pub(crate) struct ShutdownTrigger {
    phase: watch::Sender<ShutdownPhase>,
}

/// Waits for the phases of a shutdown. A handler finds it among the extensions of its request.
#[derive(Clone, Debug)]
pub struct ShutdownSignal {
    phase: watch::Receiver<ShutdownPhase>,
}

/// The time that a client has to finish sending its request after the shutdown has started.
pub(crate) const REQUEST_GRACE: Duration = Duration::from_secs(1);

/// Returns both ends of the channel between the server and its requests.
pub(crate) fn shutdown_channel() -> (ShutdownTrigger, ShutdownSignal) {
    let (sender, receiver) = watch::channel(ShutdownPhase::Running);
    (ShutdownTrigger { phase: sender }, ShutdownSignal { phase: receiver })
}

impl ShutdownTrigger {
    pub(crate) fn enter(&self, phase: ShutdownPhase) {
        self.phase.send_replace(phase);
    }
}

impl ShutdownSignal {
    /// Returns whether the server was told to stop.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        *self.phase.borrow() >= ShutdownPhase::Leaving
    }

    /// Completes when the server stops accepting requests. Work without an end of its own, such as a subscription, must end then.
    pub async fn draining(&self) {
        self.wait_for(ShutdownPhase::Draining).await;
    }

    /// Completes when the drain time is over and the connection is about to be closed.
    pub async fn aborting(&self) {
        self.wait_for(ShutdownPhase::Aborting).await;
    }

    async fn wait_for(&self, phase: ShutdownPhase) {
        // An error means that the trigger was dropped, which happens only after the server has ended.
        let _ = self.phase.clone().wait_for(|current| *current >= phase).await;
    }
}
