//! Refresh tokens: single use, in families, kept only as hashes.

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
    /// Whose.
    pub user_id: UserId,
    /// SHA-256 of the token, in hexadecimal; unique.
    #[sea_orm(unique)]
    pub token_hash: String,
    /// All tokens that descend from one sign-in. A canonical UUID.
    pub family_id: String,
    /// When it was issued.
    pub created_at: DateTimeUtc,
    /// When it stops working.
    pub expires_at: DateTimeUtc,
    /// When it was exchanged for the next; presenting it again revokes the family.
    pub used_at: Option<DateTimeUtc>,
    /// When its family was revoked.
    pub revoked_at: Option<DateTimeUtc>,
    /// The token that replaced it, encrypted under a key that only this token gives. It is erased when that token
    /// is used, when the family is revoked, or soon after `successor_until`.
    pub successor: Option<String>,
    /// The time until which presenting this token again returns its successor.
    pub successor_until: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
