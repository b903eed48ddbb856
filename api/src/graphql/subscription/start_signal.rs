//! The signal that a subscription has started to receive events.

use std::sync::{Mutex, PoisonError};

use async_graphql::Context;
use tokio::sync::oneshot;

/// Tells the transport that a subscription has started: from then on, it misses no event. Until then, its event
/// source is only being opened.
#[derive(Debug)]
pub struct StartSignal {
    sender: Mutex<Option<oneshot::Sender<()>>>,
}

impl StartSignal {
    /// Returns the signal for the context, and a future that completes when the subscription has started or failed.
    pub fn new() -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (sender, receiver) = oneshot::channel();
        let started_or_failed = async move {
            // If the subscription fails, its context is dropped, and the sender with it.
            let _ = receiver.await;
        };
        (Self { sender: Mutex::new(Some(sender)) }, started_or_failed)
    }
}

/// Tells the transport that the event source of the subscription is open.
pub(super) fn signal_start(ctx: &Context<'_>) {
    let Some(signal) = ctx.data_opt::<StartSignal>() else { return };
    if let Some(sender) = signal.sender.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // The transport may have stopped waiting.
        let _ = sender.send(());
    }
}
