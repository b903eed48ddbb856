//! The outbox for the operator: lists messages, and makes dead messages pending again.

use std::convert::Infallible;

use chrono::{DateTime, TimeDelta, Utc};
use jishu_entity::OutboxMessageId;
use jishu_entity::outbox_message::{self, Column, OutboxState};
use jishu_service_macros::service_call;
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveEnum, ColumnTrait, Condition, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;

use crate::database::{Database, WritePolicy};
use crate::error::{Error, Fault};

/// A message as the operator sees it. It has no address and no content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutboxEntry {
    /// The id of the message's row in the outbox.
    pub id: i64,
    /// The id of the message that its receiver gets.
    pub message_id: String,
    /// The channel and the kind of the message, such as `mail.verify_email`.
    pub kind: String,
    /// The person whom the message concerns. None if it concerns nobody.
    pub user_id: Option<i64>,
    /// The state: `pending`, `leased`, `sent` or `dead`.
    pub state: String,
    /// The number of deliveries that began, since the latest [`retry`] if there was one.
    pub attempts: i32,
    /// Whether the content is still stored. Without it, the message cannot be delivered.
    pub has_content: bool,
    /// The time of the next attempt if the message is pending, or the end of the lease if it is leased. Without meaning
    /// in other states.
    pub due_at: DateTime<Utc>,
    /// The time of the transaction that caused the message.
    pub created_at: DateTime<Utc>,
    /// The time when the message was delivered. None if it was not delivered.
    pub sent_at: Option<DateTime<Utc>>,
    /// The reason why the latest delivery failed. None if no delivery failed, or if the message was delivered.
    pub last_error: Option<String>,
}

impl From<outbox_message::Model> for OutboxEntry {
    fn from(row: outbox_message::Model) -> Self {
        Self {
            id: row.id.0,
            message_id: row.message_id,
            kind: format!("{}.{}", row.channel.to_value(), row.kind),
            user_id: row.user_id.map(|user| user.0),
            state: row.state.to_value(),
            attempts: row.attempts,
            has_content: row.payload.is_some(),
            due_at: row.due_at,
            created_at: row.created_at,
            sent_at: row.sent_at,
            last_error: row.last_error,
        }
    }
}

/// Lists at most `limit` messages in these states, newest first. If `states` is empty, lists the messages that were not
/// delivered.
///
/// # Errors
/// Returns the database's error.
#[service_call]
pub async fn list(
    database: &Database,
    states: &[OutboxState],
    limit: u64,
) -> Result<Vec<OutboxEntry>, DbErr> {
    let undelivered = [OutboxState::Pending, OutboxState::Leased, OutboxState::Dead];
    let states = if states.is_empty() { &undelivered } else { states };
    let rows = outbox_message::Entity::find()
        .filter(Column::State.is_in(states.iter().copied()))
        .order_by_desc(Column::Id)
        .limit(limit)
        .all(database.reader())
        .await?;
    Ok(rows.into_iter().map(OutboxEntry::from).collect())
}

/// The outbox counts as stuck if an undelivered message has waited for this time.
const STUCK_AFTER: TimeDelta = TimeDelta::minutes(15);

/// Selects the messages that are pending or leased and have not expired. Not all of them are due.
pub(super) fn is_awaited(now: DateTime<Utc>) -> Condition {
    Condition::all()
        .add(Column::State.is_in([OutboxState::Pending, OutboxState::Leased]))
        .add(Column::ExpiresAt.gt(now))
}

/// Selects the dead messages that can still be delivered, because they have not expired and their content is stored.
pub(super) fn can_be_retried(now: DateTime<Utc>) -> Condition {
    Condition::all()
        .add(Column::State.eq(OutboxState::Dead))
        .add(Column::Payload.is_not_null())
        .add(Column::ExpiresAt.gt(now))
}

/// Returns whether a message that is not given up or expired has waited for 15 minutes. The wait begins at the
/// creation of the message if a delivery was tried. Otherwise the wait begins when the message becomes due.
///
/// # Errors
/// Returns the database's error.
#[service_call]
pub async fn is_stuck(database: &Database, now: DateTime<Utc>) -> Result<bool, DbErr> {
    let since = now - STUCK_AFTER;
    // A message can be written for a later time. Before its first attempt, only the time since it was due counts as
    // waiting.
    let waits = Condition::any().add(Column::Attempts.gt(0)).add(Column::DueAt.lte(since));
    let found = outbox_message::Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(is_awaited(now))
        .filter(Column::CreatedAt.lte(since))
        .filter(waits)
        .limit(1)
        .into_tuple::<OutboxMessageId>()
        .one(database.reader())
        .await?;
    Ok(found.is_some())
}

/// Makes dead messages pending again, due at once and with no used attempts. If `ids` is empty, takes all dead
/// messages. Skips messages that have expired or have no content. Returns the number of messages that became pending.
///
/// # Errors
/// Returns the database's error.
#[service_call]
pub async fn retry(database: &Database, ids: Vec<i64>, now: DateTime<Utc>) -> Result<u64, Fault> {
    let policy = WritePolicy::idempotent("outbox.retry");
    let retried = database
        .write(policy, (ids, now), |transaction, (ids, now)| {
            Box::pin(async move {
                let mut update = outbox_message::Entity::update_many()
                    .col_expr(Column::State, Expr::value(OutboxState::Pending))
                    .col_expr(Column::Attempts, Expr::value(0))
                    .col_expr(Column::DueAt, Expr::value(*now))
                    .filter(can_be_retried(*now));
                if !ids.is_empty() {
                    update = update.filter(Column::Id.is_in(ids.iter().copied().map(OutboxMessageId)));
                }
                Ok::<_, Error<Infallible>>(update.exec(transaction).await?.rows_affected)
            })
        })
        .await?;
    Ok(retried)
}
