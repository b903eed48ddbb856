//! The worker of a node, which delivers outbox messages.

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

/// Maximum number of messages that a node delivers at the same time.
const MAX_CONCURRENT_DELIVERIES: usize = 8;
/// The longest time between two searches for messages that are due. A commit on this node or the end of a delivery
/// starts a search earlier.
const SEARCH_INTERVAL: Duration = Duration::from_secs(1);
/// The shortest time between two searches for messages to erase or delete.
const CLEANING_INTERVAL: Duration = Duration::from_secs(30);

/// The channels through which a node delivers messages.
type Channels = HashMap<OutboxChannel, Arc<dyn Channel>>;

/// Delivers messages, and erases old messages, until the task is dropped. The running deliveries are then stopped.
/// Their leases end later, and a node delivers the messages again.
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
                    tracing::error!(
                        %error,
                        "a delivery panicked; it is repeated when its lease ends, unless the message has no attempts \
                         left or has expired"
                    );
                }
            }
            () = services.outbox.appended.notified() => {}
            () = tokio::time::sleep(SEARCH_INTERVAL) => {}
        }
    }
}

/// Makes the span of a delivery. The span begins a new trace if the delivery is sampled. Otherwise the span is
/// disabled.
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
            "the outcome of a delivery could not be recorded; the message is delivered again after its lease, unless \
             it has no attempts left or has expired"
        );
    }
}

/// Returns the result of a delivery for the metrics.
fn result_of(outcome: &Result<(), DeliveryFailure>, attempts: i32) -> OutboxResult {
    match outcome {
        Ok(()) => OutboxResult::Delivered,
        Err(failure) if failure.is_final || attempts >= MAX_ATTEMPTS => OutboxResult::Dead,
        Err(_) => OutboxResult::Postponed,
    }
}

/// Decrypts one message and hands it to its channel, within the maximum time of a delivery.
async fn attempt(services: &Services, channels: &Channels, lease: &Lease) -> Result<(), DeliveryFailure> {
    let message = &lease.message;
    let Some(channel) = channels.get(&message.channel) else {
        return Err(DeliveryFailure::passing("this node has no channel for messages of this kind"));
    };
    let opened = message.payload.as_deref();
    let opened =
        opened.and_then(|payload| services.secrets.open(PAYLOAD_PURPOSE, &message.message_id, payload));
    let Some(payload) = opened else {
        return Err(DeliveryFailure::lasting(
            "the content cannot be decrypted; configure the signing key that encrypted it, then retry the message",
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
