//! Metrics of the outbox: deliveries, and the messages that wait.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;

use chrono::{DateTime, Utc};
use jishu_entity::outbox_message::{OutboxChannel, OutboxState};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use sea_orm::{ActiveEnum, Iterable};

use super::labels::OutboxResult;
use super::registrar::Registrar;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MessageLabels {
    channel: String,
    state: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ChannelLabels {
    channel: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeliveryLabels {
    channel: String,
    result: OutboxResult,
}

/// A gauge of seconds.
type SecondsGauge = Gauge<f64, AtomicU64>;

/// The metrics of the outbox.
pub struct OutboxMetrics {
    messages: Family<MessageLabels, Gauge>,
    oldest: Family<ChannelLabels, SecondsGauge>,
    deliveries: Family<DeliveryLabels, Counter>,
    counted_at: SecondsGauge,
}

impl OutboxMetrics {
    pub(super) fn register(registry: &mut Registrar) -> Self {
        Self {
            messages: registry.add(
                "outbox_messages",
                "Messages that wait, are being delivered, or are dead and can be retried, in the whole database",
            ),
            oldest: registry.add(
                "outbox_oldest_seconds",
                "How long the oldest message that is neither dead nor expired has waited, in the whole database",
            ),
            deliveries: registry.add(
                "outbox_deliveries",
                "Attempts of this node to deliver a message, by channel and result",
            ),
            counted_at: registry
                .add("outbox_counted_timestamp_seconds", "Time when this node counted the messages last"),
        }
    }

    /// Counts a delivery by its channel and result.
    pub(crate) fn delivery(&self, channel: OutboxChannel, result: OutboxResult) {
        self.deliveries.get_or_create(&DeliveryLabels { channel: channel.to_value(), result }).inc();
    }

    /// Sets the numbers of messages that were counted at `now`. `oldest` has the time since which the oldest message of
    /// each channel has waited, and the gauge shows its age in seconds. Channels and states without messages are set to
    /// zero.
    pub(crate) fn show(
        &self,
        messages: Vec<(OutboxChannel, OutboxState, i64)>,
        oldest: &HashMap<OutboxChannel, DateTime<Utc>>,
        now: DateTime<Utc>,
    ) {
        let counted: HashMap<_, _> = messages
            .into_iter()
            .map(|(channel, state, count)| ((channel, state.to_value()), count))
            .collect();
        for channel in OutboxChannel::iter() {
            for state in COUNTED_STATES {
                let labels = MessageLabels { channel: channel.to_value(), state: state.to_value() };
                let count = counted.get(&(channel, state.to_value())).copied().unwrap_or(0);
                self.messages.get_or_create(&labels).set(count);
            }
            let age = oldest.get(&channel).map_or(0.0, |at| (now - *at).as_seconds_f64().max(0.0));
            self.oldest.get_or_create(&ChannelLabels { channel: channel.to_value() }).set(age);
        }
        // The time in whole seconds is far below 2^53, so the conversion to a float is exact.
        self.counted_at.set(now.timestamp() as f64);
    }
}

/// The states whose messages are counted. Sent messages are left out, because they need no more work.
const COUNTED_STATES: [OutboxState; 3] = [OutboxState::Pending, OutboxState::Leased, OutboxState::Dead];
