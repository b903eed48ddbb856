//! The audit log. Each entry is written in the same transaction as the action.

use sea_orm::entity::prelude::*;

use crate::{AuditEventId, UserId};

/// A row of `audit_events`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_events")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: AuditEventId,
    /// The time of the action.
    pub at: DateTimeUtc,
    /// The user who acted. Null if the system acted.
    pub actor_id: Option<UserId>,
    /// The action, such as `purchase.created`.
    pub action: String,
    /// The table of the changed row.
    pub target_type: String,
    /// The id of the changed row.
    pub target_id: i64,
    /// The values that the action changed, before it, as a JSON object. Null if the action changed no values.
    pub state_before: Option<String>,
    /// The values after the action.
    pub state_after: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
