//! Metrics of the outbox: deliveries, and the messages that wait.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use chrono::{DateTime, Utc};
use jishu_entity::outbox_message::{self, Column, OutboxChannel, OutboxState};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use sea_orm::{ActiveEnum, ColumnTrait, DbErr, EntityTrait, Iterable, QueryFilter, QuerySelect};

use super::labels::OutboxResult;
use super::registrar::Registrar;
use crate::Services;

/// Interval between two counts of the messages. Prometheus scrapes about as often.
const COUNT_INTERVAL: Duration = Duration::from_secs(15);

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
#[derive(Default)]
pub struct OutboxMetrics {
    messages: Family<MessageLabels, Gauge>,
    oldest: Family<ChannelLabels, SecondsGauge>,
    deliveries: Family<DeliveryLabels, Counter>,
    counted_at: SecondsGauge,
}

impl OutboxMetrics {
    pub(super) fn register(registry: &mut Registrar) -> Self {
        let metrics = Self::default();
        registry.register(
            "outbox_messages",
            "Messages that wait, are being delivered, or were given up, in the whole database",
            metrics.messages.clone(),
        );
        registry.register(
            "outbox_oldest_seconds",
            "Age of the oldest message that waits or is being delivered, in the whole database",
            metrics.oldest.clone(),
        );
        registry.register(
            "outbox_deliveries",
            "Deliveries by this node, by channel and result",
            metrics.deliveries.clone(),
        );
        registry.register(
            "outbox_counted_timestamp_seconds",
            "Time when this node counted the messages last",
            metrics.counted_at.clone(),
        );
        metrics
    }

    /// Counts a delivery.
    pub(crate) fn delivery(&self, channel: OutboxChannel, result: OutboxResult) {
        self.deliveries.get_or_create(&DeliveryLabels { channel: channel.to_value(), result }).inc();
    }

    /// Sets the gauges. Channels and states without messages count as zero.
    fn set(&self, counts: Vec<Count>, now: DateTime<Utc>) {
        let mut oldest: HashMap<OutboxChannel, DateTime<Utc>> = HashMap::new();
        let mut counted = HashMap::new();
        for Count { channel, state, count, first } in counts {
            if state != OutboxState::Dead {
                oldest.entry(channel).and_modify(|at| *at = first.min(*at)).or_insert(first);
            }
            counted.insert((channel, state.to_value()), count);
        }
        for channel in OutboxChannel::iter() {
            for state in COUNTED_STATES {
                let labels = MessageLabels { channel: channel.to_value(), state: state.to_value() };
                let count = counted.get(&(channel, state.to_value())).copied().unwrap_or(0);
                self.messages.get_or_create(&labels).set(count);
            }
            let age = oldest.get(&channel).map_or(0.0, |at| (now - *at).as_seconds_f64().max(0.0));
            self.oldest.get_or_create(&ChannelLabels { channel: channel.to_value() }).set(age);
        }
        // A time in seconds is far below 2^53, so it stays exact.
        self.counted_at.set(now.timestamp() as f64);
    }
}

/// The states that are counted. Messages that were sent are the history, which only grows.
const COUNTED_STATES: [OutboxState; 3] = [OutboxState::Pending, OutboxState::Leased, OutboxState::Dead];

/// The number of messages of one channel in one state, and the time of the first.
struct Count {
    channel: OutboxChannel,
    state: OutboxState,
    count: i64,
    first: DateTime<Utc>,
}

/// Counts the messages of the outbox until the task is dropped. Ends at once if metrics are off.
pub async fn keep_measuring(services: Services) {
    let Some(metrics) = services.metrics.outbox() else { return };
    let mut ticks = tokio::time::interval(COUNT_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match count(&services).await {
            Ok(counts) => metrics.set(counts, services.clock.now()),
            Err(error) => tracing::warn!(%error, "the outbox could not be counted; the server will retry"),
        }
    }
}

async fn count(services: &Services) -> Result<Vec<Count>, DbErr> {
    let rows: Vec<(OutboxChannel, OutboxState, i64, DateTime<Utc>)> = outbox_message::Entity::find()
        .select_only()
        .column(Column::Channel)
        .column(Column::State)
        .column_as(Column::Id.count(), "count")
        .column_as(Column::CreatedAt.min(), "first")
        .filter(Column::State.is_in(COUNTED_STATES))
        .group_by(Column::Channel)
        .group_by(Column::State)
        .into_tuple()
        .all(services.database.reader())
        .await?;
    Ok(rows
        .into_iter()
        .map(|(channel, state, count, first)| Count { channel, state, count, first })
        .collect())
}
