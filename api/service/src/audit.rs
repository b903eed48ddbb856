//! Audit events: they record who did what, in the transaction that did it.

use chrono::{DateTime, Utc};
use jishu_entity::{UserId, audit_event};
use sea_orm::{ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, ConnectionTrait, DbErr};

/// Appends an event. The actor is None if the server itself acted. The target is the name of a table and the id of
/// a row in it.
///
/// # Errors
/// Returns the database's error.
pub(super) async fn append(
    connection: &impl ConnectionTrait,
    at: DateTime<Utc>,
    actor: Option<UserId>,
    action: &str,
    (target_type, target_id): (&str, i64),
) -> Result<(), DbErr> {
    audit_event::ActiveModel {
        id: NotSet,
        at: Set(at),
        actor_id: Set(actor),
        action: Set(action.to_owned()),
        target_type: Set(target_type.to_owned()),
        target_id: Set(target_id),
    }
    .insert(connection)
    .await?;
    Ok(())
}
