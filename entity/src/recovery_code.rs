//! Recovery codes. A code works once, in place of a code of the authenticator app. Only its hash is stored.

use sea_orm::entity::prelude::*;

use crate::{RecoveryCodeId, UserId};

/// A row of `recovery_codes`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "recovery_codes")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: RecoveryCodeId,
    /// The account to which the code belongs.
    pub user_id: UserId,
    /// The SHA-256 hash of the code, in hexadecimal. Unique.
    #[sea_orm(unique)]
    pub code_hash: String,
    /// The time when the code was made.
    pub created_at: DateTimeUtc,
    /// The time when the code was used. Null until then.
    pub used_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
