//! Delivers messages, a few at a time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jishu_entity::outbox_message::OutboxChannel;
use jishu_service_macros::service_call;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{Instrument, Span};

use super::lease::{self, Lease};
use super::{Channel, Delivery, DeliveryFailure, MAX_ATTEMPTS, PAYLOAD_PURPOSE, retention};
use crate::Services;
use crate::metrics::{OutboxResult, PanicPlace};
use crate::trace::{self, TRACE_TARGET};

/// Maximum number of deliveries that a node runs at the same time.
const MAX_CONCURRENT_DELIVERIES: usize = 8;
/// Interval between two searches for messages of other nodes, and for messages whose pause is over.
const SEARCH_INTERVAL: Duration = Duration::from_secs(1);
/// Interval between two searches for messages to erase.
const CLEANING_INTERVAL: Duration = Duration::from_secs(30);

/// The channels of a node.
type Channels = HashMap<OutboxChannel, Arc<dyn Channel>>;

/// Delivers messages until the task is dropped. Then the leases of running deliveries end, and another node repeats them.
#[service_call]
pub async fn keep_delivering(services: Services, channels: Arc<Channels>) {
    let mut running = JoinSet::new();
    let mut cleaned_at: Option<Instant> = None;
    loop {
        if cleaned_at.is_none_or(|at| at.elapsed() >= CLEANING_INTERVAL) {
            cleaned_at = Some(Instant::now());
            if let Err(error) = retention::erase_old(&services).await {
                tracing::warn!(%error, "old outbox messages could not be erased; the server will retry");
            }
        }
        let free = MAX_CONCURRENT_DELIVERIES - running.len();
        if free > 0 {
            match lease::claim(&services, free).await {
                Ok(leases) => {
                    for lease in leases {
                        let delivery = deliver(services.clone(), Arc::clone(&channels), lease);
                        running.spawn(delivery.instrument(delivery_span()));
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the search for outbox messages failed; the server will retry");
                }
            }
        }
        tokio::select! {
            Some(ended) = running.join_next() => {
                if let Err(error) = ended && error.is_panic() {
                    services.metrics.panicked(PanicPlace::Delivery);
                    tracing::error!(%error, "a delivery panicked; it is repeated when its lease ends");
                }
            }
            () = services.outbox.appended.notified() => {}
            () = tokio::time::sleep(SEARCH_INTERVAL) => {}
        }
    }
}

/// Makes the span of a delivery, which is a trace of its own.
fn delivery_span() -> Span {
    trace::first_span(|| tracing::debug_span!(target: TRACE_TARGET, "outbox.deliver", otel.kind = "consumer"))
}

/// Delivers one message and records the outcome.
async fn deliver(services: Services, channels: Arc<Channels>, lease: Lease) {
    let outcome = attempt(&services, &channels, &lease).await;
    let message = &lease.message;
    let (id, kind, attempts) = (message.id.0, message.kind.clone(), message.attempts);
    match &outcome {
        Ok(()) => tracing::debug!(id, kind, attempts, "an outbox message was delivered"),
        Err(error) => {
            tracing::warn!(id, kind, attempts, %error, "an outbox message was not delivered");
        }
    }
    if let Some(metrics) = services.metrics.outbox() {
        metrics.delivery(message.channel, result_of(&outcome, attempts));
    }
    if let Err(error) = lease::record(&services, lease, outcome).await {
        tracing::warn!(
            id, kind, %error,
            "the outcome of a delivery could not be recorded, so the message is delivered again"
        );
    }
}

/// Returns what a delivery means for its message.
fn result_of(outcome: &Result<(), DeliveryFailure>, attempts: i32) -> OutboxResult {
    match outcome {
        Ok(()) => OutboxResult::Delivered,
        Err(failure) if failure.is_final || attempts >= MAX_ATTEMPTS => OutboxResult::Dead,
        Err(_) => OutboxResult::Postponed,
    }
}

/// Delivers one message within the time for a delivery.
async fn attempt(services: &Services, channels: &Channels, lease: &Lease) -> Result<(), DeliveryFailure> {
    let message = &lease.message;
    let Some(channel) = channels.get(&message.channel) else {
        return Err(DeliveryFailure::passing("this node has no such channel"));
    };
    let opened = message.payload.as_deref();
    let opened =
        opened.and_then(|payload| services.secrets.open(PAYLOAD_PURPOSE, &message.message_id, payload));
    let Some(payload) = opened else {
        return Err(DeliveryFailure::lasting(
            "the content cannot be decrypted, because its signing key is gone",
        ));
    };
    let delivery = Delivery {
        message_id: message.message_id.clone(),
        kind: message.kind.clone(),
        payload,
        created_at: message.created_at,
    };
    let timeout = services.outbox.delivery_timeout;
    let delivered = tokio::time::timeout(timeout, channel.deliver(&delivery)).await;
    delivered.unwrap_or_else(|_elapsed| {
        Err(DeliveryFailure::passing(format!("the delivery took longer than {} seconds", timeout.as_secs())))
    })
}
