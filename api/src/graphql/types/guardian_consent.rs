//! The consent of a guardian.

use async_graphql::{Enum, Object};
use jishu_entity::guardian_consent;

use crate::graphql::scalar::DateTime;
use jishu_service::guardian::ConsentState;

/// The state of the consent of a guardian for an account.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "ConsentState")]
pub(in crate::graphql) enum GuardianConsentStatus {
    /// The account needs no consent: the operator requires none, or the user is old enough.
    NotNeeded,
    /// The account has no year of birth, so the user can neither purchase nor start a test. Set `birthYear` with
    /// `updateProfile`.
    BirthYearMissing,
    /// No guardian was asked yet. Ask a guardian with `requestGuardianConsent`.
    Missing,
    /// A guardian was asked, and has not consented yet.
    Requested,
    /// A guardian has consented, and the consent is in force.
    Given,
    /// The guardian has revoked the consent. Only the same guardian can consent again.
    Revoked,
}

pub(in crate::graphql) struct GuardianConsent {
    pub(in crate::graphql) state: ConsentState,
    pub(in crate::graphql) row: Option<guardian_consent::Model>,
}

/// The consent of a parent or guardian to the account of a minor. If the operator requires consent, a minor without
/// consent can neither purchase nor start a test.
#[Object]
impl GuardianConsent {
    /// The state of the consent for this account.
    async fn status(&self) -> GuardianConsentStatus {
        self.state.into()
    }

    /// The e-mail address of the guardian who was asked last. Null if no guardian was asked.
    async fn guardian_email(&self) -> Option<&str> {
        self.row.as_ref().map(|row| row.guardian_email.as_str())
    }

    /// The time at which a guardian was last asked to consent. Null if no guardian was asked.
    async fn requested_at(&self) -> Option<DateTime> {
        self.row.as_ref().map(|row| DateTime(row.requested_at))
    }

    /// The time at which the guardian last consented. Null if no guardian has consented. The time stays after the
    /// consent is revoked.
    async fn consented_at(&self) -> Option<DateTime> {
        self.row.as_ref().and_then(|row| row.consented_at).map(DateTime)
    }

    /// The time at which the guardian revoked the consent. Null if the guardian has not revoked it, or has consented
    /// again since.
    async fn revoked_at(&self) -> Option<DateTime> {
        self.row.as_ref().and_then(|row| row.revoked_at).map(DateTime)
    }
}
