//! The audit trail. The audit event of a change is written in the transaction of the change. A look of staff at data of
//! users changes nothing; its audit event is stored before the server sends the data.

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
    /// The user who acted. Null if the server, a guardian or an operator on the command line acted.
    pub actor_id: Option<UserId>,
    /// The action, such as `purchase.created`.
    pub action: String,
    /// The name of the table with the row that the action concerns.
    pub target_type: String,
    /// The id of the row that the action concerns.
    pub target_id: i64,
    /// The values that the action changed, as they were before it, as a JSON object. Null if none are recorded.
    pub state_before: Option<String>,
    /// The values that the action changed, as they were after it, as a JSON object. Null if none are recorded.
    pub state_after: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
