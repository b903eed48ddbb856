//! The consent of a guardian.

use async_graphql::{Enum, Object};
use jishu_entity::guardian_consent;

use crate::graphql::scalar::DateTime;
use jishu_service::guardian::ConsentState;

/// The state of the consent of a guardian for an account.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "ConsentState")]
pub(in crate::graphql) enum GuardianConsentStatus {
    /// The account needs no consent.
    NotNeeded,
    /// The account has no year of birth. Set `birthYear` with `updateProfile`.
    BirthYearMissing,
    /// No guardian was asked yet. Ask one with `requestGuardianConsent`.
    Missing,
    /// A guardian was asked, and has not answered.
    Requested,
    /// The consent is in force.
    Given,
    /// The guardian has revoked the consent.
    Revoked,
}

pub(in crate::graphql) struct GuardianConsent {
    pub(in crate::graphql) state: ConsentState,
    pub(in crate::graphql) row: Option<guardian_consent::Model>,
}

/// The consent of a parent or guardian. Without it, a minor can neither purchase nor start a test, if the operator asks for
/// it.
#[Object]
impl GuardianConsent {
    /// The state of the consent.
    async fn status(&self) -> GuardianConsentStatus {
        self.state.into()
    }

    /// The e-mail address of the guardian. Null if none was asked.
    async fn guardian_email(&self) -> Option<&str> {
        self.row.as_ref().map(|row| row.guardian_email.as_str())
    }

    /// The time of the latest request. Null if none was made.
    async fn requested_at(&self) -> Option<DateTime> {
        self.row.as_ref().map(|row| DateTime(row.requested_at))
    }

    /// The time when the guardian consented last. Null before the first consent.
    async fn consented_at(&self) -> Option<DateTime> {
        self.row.as_ref().and_then(|row| row.consented_at).map(DateTime)
    }

    /// The time when the guardian revoked the consent. Null while it is in force.
    async fn revoked_at(&self) -> Option<DateTime> {
        self.row.as_ref().and_then(|row| row.revoked_at).map(DateTime)
    }
}
