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
use sea_orm::{
    ActiveEnum, ColumnTrait, Condition, DbErr, EntityTrait, Iterable, QueryFilter, QuerySelect, Select,
};

use super::labels::OutboxResult;
use super::registrar::Registrar;
use crate::Services;
use crate::database::Database;
use crate::outbox::{can_be_retried, is_awaited};

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
                "How long the oldest message that is still needed has waited, in the whole database",
            ),
            deliveries: registry.add("outbox_deliveries", "Deliveries by this node, by channel and result"),
            counted_at: registry
                .add("outbox_counted_timestamp_seconds", "Time when this node counted the messages last"),
        }
    }

    /// Counts a delivery.
    pub(crate) fn delivery(&self, channel: OutboxChannel, result: OutboxResult) {
        self.deliveries.get_or_create(&DeliveryLabels { channel: channel.to_value(), result }).inc();
    }

    /// Counts the messages in the database. Channels and states without messages count as zero.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn measure(&self, database: &Database, now: DateTime<Utc>) -> Result<(), DbErr> {
        let (messages, oldest) = (count(database, now).await?, waiting_since(database, now).await?);
        self.set(messages, &oldest, now);
        Ok(())
    }

    fn set(
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
        // A time in seconds is far below 2^53, so it stays exact.
        self.counted_at.set(now.timestamp() as f64);
    }
}

/// The states that are counted. Messages that were sent are the history, which only grows.
const COUNTED_STATES: [OutboxState; 3] = [OutboxState::Pending, OutboxState::Leased, OutboxState::Dead];

/// Counts the messages of the outbox until the task is dropped. Ends at once if metrics are off.
pub async fn keep_measuring(services: Services) {
    let Some(metrics) = services.metrics.outbox() else { return };
    let mut ticks = tokio::time::interval(COUNT_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = metrics.measure(&services.database, services.clock.now()).await {
            tracing::warn!(%error, "the outbox could not be counted; the server will retry");
        }
    }
}

/// Counts messages by channel and state. A dead message without content stays only as a record, so it does not count.
async fn count(
    database: &Database,
    now: DateTime<Utc>,
) -> Result<Vec<(OutboxChannel, OutboxState, i64)>, DbErr> {
    let counted = Condition::any()
        .add(Column::State.is_in([OutboxState::Pending, OutboxState::Leased]))
        .add(can_be_retried(now));
    outbox_message::Entity::find()
        .select_only()
        .column(Column::Channel)
        .column(Column::State)
        .column_as(Column::Id.count(), "count")
        .filter(counted)
        .group_by(Column::Channel)
        .group_by(Column::State)
        .into_tuple()
        .all(database.reader())
        .await
}

/// Finds since when the oldest message of each channel waits. The health check applies the same rule: a message waits
/// from its creation if it was tried, and otherwise from the time when it is due.
async fn waiting_since(
    database: &Database,
    now: DateTime<Utc>,
) -> Result<HashMap<OutboxChannel, DateTime<Utc>>, DbErr> {
    let awaited = || outbox_message::Entity::find().filter(is_awaited(now));
    let tried = awaited().filter(Column::Attempts.gt(0));
    let due = awaited().filter(Column::Attempts.eq(0)).filter(Column::DueAt.lte(now));
    let mut oldest = first_of_each_channel(database, tried, Column::CreatedAt).await?;
    for (channel, at) in first_of_each_channel(database, due, Column::DueAt).await? {
        oldest.entry(channel).and_modify(|first| *first = at.min(*first)).or_insert(at);
    }
    Ok(oldest)
}

async fn first_of_each_channel(
    database: &Database,
    messages: Select<outbox_message::Entity>,
    time: Column,
) -> Result<HashMap<OutboxChannel, DateTime<Utc>>, DbErr> {
    let rows: Vec<(OutboxChannel, DateTime<Utc>)> = messages
        .select_only()
        .column(Column::Channel)
        .column_as(time.min(), "first")
        .group_by(Column::Channel)
        .into_tuple()
        .all(database.reader())
        .await?;
    Ok(rows.into_iter().collect())
}
