//! Who did what, appended in the transaction that did it.

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
    /// When.
    pub at: DateTimeUtc,
    /// Who; null for the system itself.
    pub actor_id: Option<UserId>,
    /// What was done, such as `purchase.created`.
    pub action: String,
    /// The table of what it was done to.
    pub target_type: String,
    /// The row of what it was done to.
    pub target_id: i64,
}

impl ActiveModelBehavior for ActiveModel {}
