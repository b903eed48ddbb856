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
}

impl ActiveModelBehavior for ActiveModel {}
