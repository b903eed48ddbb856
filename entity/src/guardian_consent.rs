//! `guardian_consents`: what the guardians of minors have said.

use sea_orm::entity::prelude::*;

use crate::{GuardianConsentId, UserId};

/// The request for the consent of a guardian, and the answer. Each user has at most one.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "guardian_consents")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: GuardianConsentId,
    /// The minor.
    #[sea_orm(unique)]
    pub user_id: UserId,
    /// The e-mail address of the guardian, in lower case.
    pub guardian_email: String,
    /// The SHA-256 hash of the token with which the guardian can revoke, in hexadecimal. Null before the first consent.
    #[sea_orm(unique)]
    pub revoke_token_hash: Option<String>,
    /// The time of the latest request.
    pub requested_at: DateTimeUtc,
    /// The time when the guardian consented last. Null before the first consent.
    pub consented_at: Option<DateTimeUtc>,
    /// The time when the guardian revoked the consent. Null while it is in force.
    pub revoked_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
