//! The signal with which a subscription reports that it has started to receive events.

use std::sync::{Mutex, PoisonError};

use async_graphql::Context;
use tokio::sync::oneshot;

/// Tells the transport that a subscription has started. From then on its source of events is open, so the subscription
/// misses no event.
#[derive(Debug)]
pub struct StartSignal {
    sender: Mutex<Option<oneshot::Sender<()>>>,
}

impl StartSignal {
    /// Makes a signal. Returns the signal for the context of the subscription, and a future that completes when the
    /// subscription has started or failed.
    pub fn new() -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (sender, receiver) = oneshot::channel();
        let started_or_failed = async move {
            // If the subscription fails, its context is dropped together with the sender, and this wait ends with an
            // error.
            let _ = receiver.await;
        };
        (Self { sender: Mutex::new(Some(sender)) }, started_or_failed)
    }
}

/// Tells the transport that the source of events of the subscription is open. Does nothing if the transport does not
/// wait for the start.
pub(super) fn signal_start(ctx: &Context<'_>) {
    let Some(signal) = ctx.data_opt::<StartSignal>() else { return };
    if let Some(sender) = signal.sender.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // The send fails if the transport no longer waits, which does not matter.
        let _ = sender.send(());
    }
}
