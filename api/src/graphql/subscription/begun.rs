//! Signals that a subscription has started to receive events.

use std::sync::{Mutex, PoisonError};

use async_graphql::Context;
use tokio::sync::oneshot;

/// Tells the transport that a subscription has started: from then on, it misses no event. Until then, its event
/// source is only being opened.
#[derive(Debug)]
pub struct Begun(Mutex<Option<oneshot::Sender<()>>>);

impl Begun {
    /// Returns the signal for the context, and a future that completes when the subscription has started or failed.
    pub fn new() -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (sender, begun) = oneshot::channel();
        let begun = async move {
            // If the subscription fails, its context is dropped, and the sender with it.
            let _ = begun.await;
        };
        (Self(Mutex::new(Some(sender))), begun)
    }
}

/// Tells the transport that the event source is open.
pub(super) fn has_begun(ctx: &Context<'_>) {
    let Some(Begun(sender)) = ctx.data_opt::<Begun>() else { return };
    if let Some(sender) = sender.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // The transport may have stopped waiting.
        let _ = sender.send(());
    }
}
