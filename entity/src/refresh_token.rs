//! Refresh tokens. Each can be used once, belongs to a family, and is stored only as a hash.

use sea_orm::entity::prelude::*;

use crate::{RefreshTokenId, UserId};

/// A row of `refresh_tokens`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "refresh_tokens")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: RefreshTokenId,
    /// The owner.
    pub user_id: UserId,
    /// The SHA-256 hash of the token, in hexadecimal. Unique.
    #[sea_orm(unique)]
    pub token_hash: String,
    /// The family: all tokens that descend from one sign-in. A canonical UUID.
    pub family_id: String,
    /// The time when the token was issued.
    pub created_at: DateTimeUtc,
    /// The time when the token expires.
    pub expires_at: DateTimeUtc,
    /// The time when the token was exchanged for its successor. A second use revokes the family.
    pub used_at: Option<DateTimeUtc>,
    /// The time when the family was revoked.
    pub revoked_at: Option<DateTimeUtc>,
    /// The successor of the token, encrypted with a key that is derived from this token. It is erased when the
    /// successor is used, when the family is revoked, or soon after `successor_until`.
    pub successor: Option<String>,
    /// Until this time, a second use of this token returns its successor.
    pub successor_until: Option<DateTimeUtc>,
    /// The time when the family began. Null for a family that is older than this column.
    pub session_began_at: Option<DateTimeUtc>,
    /// The program to which the token was issued, such as `Firefox on Linux`. Only the latest token of a live family has
    /// one.
    pub program: Option<String>,
    /// The network to which the token was issued, without its last part. Only the latest token of a live family has one.
    pub network: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
