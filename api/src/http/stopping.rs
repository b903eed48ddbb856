//! How what is under way learns that the server is stopping.

use std::time::Duration;

use tokio::sync::watch;

/// From serving to gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Serving,
    /// What was taken on is finished; nothing else is.
    Stopping,
    /// The time to drain is over.
    Over,
}

/// Tells everybody.
pub(crate) struct Stop(watch::Sender<Phase>);

/// Is told. A handler finds it among the extensions of its request.
#[derive(Clone, Debug)]
pub struct Stopping(watch::Receiver<Phase>);

/// A client that is still sending its request when the server stops may go on for so long.
pub(crate) const STOP_GRACE: Duration = Duration::from_secs(1);

impl Stop {
    pub(crate) fn new() -> (Self, Stopping) {
        let (sender, receiver) = watch::channel(Phase::Serving);
        (Self(sender), Stopping(receiver))
    }

    pub(crate) fn tell(&self, phase: Phase) {
        self.0.send_replace(phase);
    }
}

impl Stopping {
    /// Completes when the server begins to stop: end what would go on for ever, such as a subscription.
    pub async fn begun(&self) {
        self.reached(Phase::Stopping).await;
    }

    /// Completes when the time to drain is over: the connection is about to be cut.
    pub async fn over(&self) {
        self.reached(Phase::Over).await;
    }

    async fn reached(&self, phase: Phase) {
        // Without a sender the server is gone.
        let _ = self.0.clone().wait_for(|now| *now >= phase).await;
    }
}
