//! Counts the undelivered messages of the outbox, for the metrics.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use jishu_entity::outbox_message::{self, Column, OutboxChannel, OutboxState};
use jishu_service_macros::service_call;
use sea_orm::{ColumnTrait, Condition, DbErr, EntityTrait, QueryFilter, QuerySelect, Select};

use super::operator::{can_be_retried, is_awaited};
use crate::Services;
use crate::database::Database;
use crate::metrics::OutboxMetrics;

/// Interval between two counts of the outbox messages.
const COUNT_INTERVAL: Duration = Duration::from_secs(15);

/// Counts the undelivered messages every 15 seconds, and shows them in the metrics, until the task is dropped. Ends at
/// once if metrics are off.
#[service_call]
pub async fn keep_measuring(services: Services) {
    let Some(metrics) = services.metrics.outbox() else { return };
    let mut ticks = tokio::time::interval(COUNT_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = measure_backlog(metrics, &services.database, services.clock.now()).await {
            tracing::warn!(%error, "the outbox could not be counted; the server will retry");
        }
    }
}

/// Counts the undelivered messages in the database, finds the oldest of each channel, and shows both in the metrics.
///
/// # Errors
/// Returns the database's error.
#[service_call]
pub async fn measure_backlog(
    metrics: &OutboxMetrics,
    database: &Database,
    now: DateTime<Utc>,
) -> Result<(), DbErr> {
    let (messages, oldest) = (count(database, now).await?, waiting_since(database, now).await?);
    metrics.show(messages, &oldest, now);
    Ok(())
}

/// Counts the messages that are pending, leased, or dead but still deliverable, by channel and state. A dead message
/// that has expired or lost its content does not count.
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

/// Finds the time since which the oldest message of each channel has waited. The wait of a message begins
/// at its creation if a delivery was tried. Otherwise the wait begins when the message becomes due. The health check
/// uses the same rule.
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
