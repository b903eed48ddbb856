//! Erases the content of messages that nobody needs any more, and deletes old messages.

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

/// The time for which a row without content is kept after its message expired, so that an operator can see what was sent.
const RECORD_RETENTION: TimeDelta = TimeDelta::days(30);
/// Maximum number of rows that one transaction changes.
const MAX_ROWS_PER_TRANSACTION: u64 = 1_000;

/// The reason of a message that was not delivered in time.
const EXPIRED: &str = "it expired before it was delivered";

/// The rows that one transaction changes.
struct EraseMessages {
    expired: Vec<OutboxMessageId>,
    old: Vec<OutboxMessageId>,
}

/// Erases the content of expired messages, and deletes the rows of old ones.
///
/// # Errors
/// Returns the database's error.
#[service_call("outbox.erase_old")]
pub async fn erase_old(services: &Services) -> Result<(), Fault> {
    let policy = WritePolicy::idempotent("outbox.erase");
    loop {
        let now = services.clock.now();
        // A message that was sent has no content.
        let undelivered = [OutboxState::Pending, OutboxState::Leased, OutboxState::Dead];
        let with_content = Condition::all()
            .add(Column::State.is_in(undelivered))
            .add(Column::ExpiresAt.lte(now))
            .add(Column::Payload.is_not_null());
        let erase = EraseMessages {
            expired: find(services, with_content).await?,
            old: find_old(services, now).await?,
        };
        let found = erase.expired.len().max(erase.old.len()) as u64;
        if found > 0 {
            services
                .database
                .write(policy, erase, |transaction, EraseMessages { expired, old }| {
                    Box::pin(async move {
                        outbox_message::Entity::update_many()
                            .col_expr(Column::State, Expr::value(OutboxState::Dead))
                            .col_expr(Column::Payload, Expr::value(None::<String>))
                            .col_expr(Column::LeaseOwner, Expr::value(None::<String>))
                            .col_expr(Column::LastError, Expr::col(Column::LastError).if_null(EXPIRED))
                            .filter(Column::Id.is_in(expired.iter().copied()))
                            .filter(Column::Payload.is_not_null())
                            .exec(transaction)
                            .await?;
                        outbox_message::Entity::delete_many()
                            .filter(Column::Id.is_in(old.iter().copied()))
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
