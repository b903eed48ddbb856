//! Tells running requests and connections that the server is shutting down.

use std::time::Duration;

use tokio::sync::watch;

/// The phases of a shutdown, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ShutdownPhase {
    /// The server runs normally.
    Running,
    /// The server still serves all requests, but its health check responds that it will stop. So load balancers send
    /// new requests elsewhere.
    Leaving,
    /// The server accepts no new connections. Running requests may finish.
    Draining,
    /// The drain time is over. Open connections are closed.
    Aborting,
}

/// Moves the server from one phase of its shutdown to the next.
pub(crate) struct ShutdownTrigger {
    phase: watch::Sender<ShutdownPhase>,
}

/// Waits for the phases of a shutdown. A request has this signal among its extensions.
#[derive(Clone, Debug)]
pub struct ShutdownSignal {
    phase: watch::Receiver<ShutdownPhase>,
}

/// The time that a client has to finish sending its request after the server began to drain.
pub(crate) const REQUEST_GRACE: Duration = Duration::from_secs(1);

/// Returns both ends of the channel through which the server reports the phase of its shutdown to its requests.
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
    /// Returns whether the shutdown has begun.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        *self.phase.borrow() >= ShutdownPhase::Leaving
    }

    /// Completes when the server begins to drain. Work without an end of its own, such as a subscription, must end
    /// then.
    pub async fn draining(&self) {
        self.wait_for(ShutdownPhase::Draining).await;
    }

    /// Completes when the drain time is over. Then the open connections are closed.
    pub async fn aborting(&self) {
        self.wait_for(ShutdownPhase::Aborting).await;
    }

    async fn wait_for(&self, phase: ShutdownPhase) {
        // An error means that the trigger was dropped, which happens only after the server has ended.
        let _ = self.phase.clone().wait_for(|current| *current >= phase).await;
    }
}
