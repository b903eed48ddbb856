//! The outbox for the operator: which messages are there, and another try for dead ones.

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
    /// The id of the row.
    pub id: i64,
    /// The id of the message for its receiver.
    pub message_id: String,
    /// The kind of the message.
    pub kind: String,
    /// The person whom the message concerns.
    pub user_id: Option<i64>,
    /// The state: `pending`, `leased`, `sent` or `dead`.
    pub state: String,
    /// The number of deliveries that began.
    pub attempts: i32,
    /// Whether the content is still there, so that the message can be delivered.
    pub has_content: bool,
    /// The time of the next attempt, or of the end of the lease.
    pub due_at: DateTime<Utc>,
    /// The time of the transaction that caused the message.
    pub created_at: DateTime<Utc>,
    /// The time when the message was delivered.
    pub sent_at: Option<DateTime<Utc>>,
    /// The reason why the latest delivery failed.
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

/// Lists messages, newest first. Without states, lists those that were not delivered.
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

/// The age of an undelivered message from which the outbox counts as stuck.
const STUCK_AFTER: TimeDelta = TimeDelta::minutes(15);

/// Selects the messages that somebody still needs and that are not given up. Not all of them are due.
pub(super) fn is_awaited(now: DateTime<Utc>) -> Condition {
    Condition::all()
        .add(Column::State.is_in([OutboxState::Pending, OutboxState::Leased]))
        .add(Column::ExpiresAt.gt(now))
}

/// Selects the dead messages that can be delivered after all, because somebody needs them and their content is still there.
pub(super) fn can_be_retried(now: DateTime<Utc>) -> Condition {
    Condition::all()
        .add(Column::State.eq(OutboxState::Dead))
        .add(Column::Payload.is_not_null())
        .add(Column::ExpiresAt.gt(now))
}

/// Returns whether a message that somebody still needs has waited for [`STUCK_AFTER`].
///
/// # Errors
/// Returns the database's error.
#[service_call]
pub async fn is_stuck(database: &Database, now: DateTime<Utc>) -> Result<bool, DbErr> {
    let since = now - STUCK_AFTER;
    // A message may also be written for a later time. It waits only from then on.
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

/// Makes dead messages pending again, with all their attempts. Without ids, takes all dead messages. Skips messages
/// whose content is erased. Returns the number of messages.
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
