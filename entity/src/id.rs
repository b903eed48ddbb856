//! The types of ids. Each table whose primary key is a number `id` has a type of its own.

use sea_orm::DeriveValueType;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, DeriveValueType)]
        pub struct $name(pub i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

ids! {
    /// The id of a row of `users`.
    UserId,
    /// The id of a row of `courses`.
    CourseId,
    /// The id of a row of `subjects`.
    SubjectId,
    /// The id of a row of `purchases`.
    PurchaseId,
    /// The id of a row of `purchase_requests`.
    PurchaseRequestId,
    /// The id of a row of `mock_test_attempts`, which is a test card.
    MockTestAttemptId,
    /// The id of a row of `topics`.
    TopicId,
    /// The id of a row of `questions`.
    QuestionId,
    /// The id of a row of `question_versions`.
    QuestionVersionId,
    /// The id of a row of `question_corrections`.
    QuestionCorrectionId,
    /// The id of a row of `papers`.
    PaperId,
    /// The id of a row of `test_sessions`, which is a sitting.
    TestSessionId,
    /// The id of a row of `refresh_tokens`.
    RefreshTokenId,
    /// The id of a row of `sign_in_networks`.
    SignInNetworkId,
    /// The id of a row of `audit_events`.
    AuditEventId,
    /// The id of a row of `refunds`.
    RefundId,
    /// The id of a row of `allowances`.
    AllowanceId,
    /// The id of a row of `account_links`.
    AccountLinkId,
    /// The id of a row of `outbox`.
    OutboxMessageId,
    /// The id of a row of `guardian_consents`.
    GuardianConsentId,
    /// The id of a row of `recovery_codes`.
    RecoveryCodeId,
    /// The id of a row of `sign_in_challenges`.
    SignInChallengeId,
    /// The id of a row of `oidc_identities`.
    OidcIdentityId,
    /// The id of a row of `oidc_logins`.
    OidcLoginId,
    /// The id of a row of `orders`.
    OrderId,
    /// The id of a row of `payment_events`.
    PaymentEventId,
    /// The id of a row of `payment_refunds`.
    PaymentRefundId,
}
