//! Refresh tokens. A token can be used once, and belongs to a family. Only its hash is stored.

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
    /// The user to whom the token was issued.
    pub user_id: UserId,
    /// The SHA-256 hash of the token, in hexadecimal. Unique.
    #[sea_orm(unique)]
    pub token_hash: String,
    /// The family of the token: all tokens that descend from one sign-in. It is a canonical UUID, and the id of the
    /// session.
    pub family_id: String,
    /// The time when the token was issued.
    pub created_at: DateTimeUtc,
    /// The time when the token expires.
    pub expires_at: DateTimeUtc,
    /// The time when the token was exchanged for its successor. Null until then. A later use returns the successor
    /// again while `successor` is set and `successor_until` has not passed, and otherwise revokes the family.
    pub used_at: Option<DateTimeUtc>,
    /// The time when the family was revoked. Null if it was not revoked.
    pub revoked_at: Option<DateTimeUtc>,
    /// The successor of the token, encrypted with a key that is derived from this token. It is erased when the
    /// successor is used, when the family is revoked, or soon after `successor_until`. Null before the first use and
    /// after the erasure, and if `JISHU_REFRESH_REUSE_SECONDS` was 0 at the first use.
    pub successor: Option<String>,
    /// The time until which a further use of this token returns `successor`. Null while `successor` is null.
    pub successor_until: Option<DateTimeUtc>,
    /// The time when the session of the family began. Null for a family that is older than this column.
    pub session_began_at: Option<DateTimeUtc>,
    /// The program to which the token was issued, such as `Firefox on Linux`. Null if the program is unknown, after the
    /// token was used, and after the family was revoked.
    pub program: Option<String>,
    /// The network to which the token was issued: a /24 network of IPv4, or a /48 network of IPv6. Null after the token
    /// was used, after the family was revoked, and for a token that is older than this column.
    pub network: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
