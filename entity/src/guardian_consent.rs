//! The consents of the guardians of minors.

use sea_orm::entity::prelude::*;

use crate::{GuardianConsentId, UserId};

/// A row of `guardian_consents`: the request for the consent of a guardian, and what the guardian decided. Each user
/// has at most one row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "guardian_consents")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: GuardianConsentId,
    /// The minor for whom the guardian decides.
    #[sea_orm(unique)]
    pub user_id: UserId,
    /// The e-mail address of the guardian, in lower case.
    pub guardian_email: String,
    /// The SHA-256 hash of the token with which the guardian can revoke the consent, in hexadecimal. Null before the
    /// first consent.
    #[sea_orm(unique)]
    pub revoke_token_hash: Option<String>,
    /// The time when the consent was requested last.
    pub requested_at: DateTimeUtc,
    /// The time when the guardian consented last. Null before the first consent.
    pub consented_at: Option<DateTimeUtc>,
    /// The time when the guardian revoked the consent. Null if it is not revoked.
    pub revoked_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
