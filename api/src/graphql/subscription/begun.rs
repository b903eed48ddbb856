//! When a subscription has begun.

use std::sync::{Mutex, PoisonError};

use async_graphql::Context;
use tokio::sync::oneshot;

/// Lets who executes a subscription know when it has begun: from then on it misses nothing. Before, its source is only
/// being opened.
#[derive(Debug)]
pub struct Begun(Mutex<Option<oneshot::Sender<()>>>);

impl Begun {
    /// To be put into the context, and what completes when the subscription has begun, or has failed.
    pub fn new() -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (sender, begun) = oneshot::channel();
        let begun = async move {
            // The sender is dropped with the context of a subscription that failed.
            let _ = begun.await;
        };
        (Self(Mutex::new(Some(sender))), begun)
    }
}

/// The source is open.
pub(super) fn has_begun(ctx: &Context<'_>) {
    let Some(Begun(sender)) = ctx.data_opt::<Begun>() else { return };
    if let Some(sender) = sender.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // Nobody may be waiting.
        let _ = sender.send(());
    }
}
