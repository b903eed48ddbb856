//! Challenges: sign-ins that wait for the second factor.

use sea_orm::entity::prelude::*;

use crate::{SignInChallengeId, UserId};

/// A row of `sign_in_challenges`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sign_in_challenges")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: SignInChallengeId,
    /// The account to which the user signs in.
    pub user_id: UserId,
    /// The SHA-256 hash of the token of the challenge, in hexadecimal. Unique.
    #[sea_orm(unique)]
    pub token_hash: String,
    /// The number of codes that were tried for the challenge.
    pub attempts: i32,
    /// The time when the challenge was made.
    pub created_at: DateTimeUtc,
    /// The time from which the challenge no longer works.
    pub expires_at: DateTimeUtc,
    /// The time when a right code completed the sign-in, or when another event ended the challenge. Null until then.
    pub used_at: Option<DateTimeUtc>,
    /// The issuer of the identity that a right code links to the account. Null if a right code links no identity.
    pub pending_issuer: Option<String>,
    /// The identifier of the user at that issuer (`sub`). Null if and only if `pending_issuer` is null.
    pub pending_subject: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
