//! Erases the content of expired messages, and deletes the rows of old messages.

use std::convert::Infallible;

use chrono::{DateTime, TimeDelta, Utc};
use jishu_entity::OutboxMessageId;
use jishu_entity::outbox_message::{self, Column, OutboxState};
use jishu_service_macros::service_call;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, Condition, DbErr, EntityTrait, QueryFilter, QuerySelect};

use crate::Services;
use crate::database::WritePolicy;
use crate::error::{Error, Fault};

/// The time for which a row without content is kept after its message expired, so that an operator can see old
/// deliveries.
const RECORD_RETENTION: TimeDelta = TimeDelta::days(30);
/// Maximum number of rows that one transaction erases, and maximum number that it deletes.
const MAX_ROWS_PER_TRANSACTION: u64 = 1_000;

/// The failure that is stored for a message that expired and has no failed delivery.
const EXPIRED: &str = "the message expired before it was delivered";

/// The messages whose content one transaction erases, and the messages whose rows it deletes.
struct EraseMessages {
    expired: Vec<OutboxMessageId>,
    old: Vec<OutboxMessageId>,
    now: DateTime<Utc>,
}

/// Marks expired messages that were not delivered as dead and erases their content. Leaves a message alone while a node
/// delivers it under a lease. Deletes the rows of messages without content that expired at least 30 days ago.
///
/// # Errors
/// Returns the database's error.
#[service_call("outbox.erase_old")]
pub async fn erase_old(services: &Services) -> Result<(), Fault> {
    let policy = WritePolicy::idempotent("outbox.erase");
    loop {
        let now = services.clock.now();
        let erase = EraseMessages {
            expired: find(services, expired(now)).await?,
            old: find_old(services, now).await?,
            now,
        };
        let found = erase.expired.len().max(erase.old.len()) as u64;
        if found > 0 {
            services
                .database
                .write(policy, erase, |transaction, erase| {
                    Box::pin(async move {
                        outbox_message::Entity::update_many()
                            .col_expr(Column::State, Expr::value(OutboxState::Dead))
                            .col_expr(Column::Payload, Expr::value(None::<String>))
                            .col_expr(Column::LeaseOwner, Expr::value(None::<String>))
                            .col_expr(Column::LastError, Expr::col(Column::LastError).if_null(EXPIRED))
                            .filter(Column::Id.is_in(erase.expired.iter().copied()))
                            // A node may have claimed or delivered a message since the search.
                            .filter(expired(erase.now))
                            .exec(transaction)
                            .await?;
                        outbox_message::Entity::delete_many()
                            .filter(Column::Id.is_in(erase.old.iter().copied()))
                            .exec(transaction)
                            .await?;
                        Ok::<_, Error<Infallible>>(())
                    })
                })
                .await?;
        }
        if found < MAX_ROWS_PER_TRANSACTION {
            return Ok(());
        }
    }
}

/// Returns the condition for expired messages with content that no node is delivering. A message that was delivered has
/// no content. The `due_at` of a leased message is the end of its lease.
fn expired(now: DateTime<Utc>) -> Condition {
    let lease_has_ended =
        Condition::all().add(Column::State.eq(OutboxState::Leased)).add(Column::DueAt.lte(now));
    let is_free = Condition::any()
        .add(Column::State.is_in([OutboxState::Pending, OutboxState::Dead]))
        .add(lease_has_ended);
    Condition::all().add(is_free).add(Column::ExpiresAt.lte(now)).add(Column::Payload.is_not_null())
}

async fn find_old(services: &Services, now: DateTime<Utc>) -> Result<Vec<OutboxMessageId>, DbErr> {
    let old =
        Condition::all().add(Column::ExpiresAt.lte(now - RECORD_RETENTION)).add(Column::Payload.is_null());
    find(services, old).await
}

async fn find(services: &Services, condition: Condition) -> Result<Vec<OutboxMessageId>, DbErr> {
    outbox_message::Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(condition)
        .limit(MAX_ROWS_PER_TRANSACTION)
        .into_tuple()
        .all(services.database.reader())
        .await
}
