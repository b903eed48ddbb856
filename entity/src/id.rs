//! Row ids as types of their own.

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
    /// A row of `users`.
    UserId,
    /// A row of `courses`.
    CourseId,
    /// A row of `subjects`.
    SubjectId,
    /// A row of `purchases`.
    PurchaseId,
    /// A row of `purchase_requests`.
    PurchaseRequestId,
    /// A row of `mock_test_attempts`: a test card.
    MockTestAttemptId,
    /// A row of `topics`.
    TopicId,
    /// A row of `questions`.
    QuestionId,
    /// A row of `question_versions`.
    QuestionVersionId,
    /// A row of `question_corrections`.
    QuestionCorrectionId,
    /// A row of `papers`.
    PaperId,
    /// A row of `test_sessions`: a sitting.
    TestSessionId,
    /// A row of `refresh_tokens`.
    RefreshTokenId,
    /// A row of `sign_in_networks`.
    SignInNetworkId,
    /// A row of `audit_events`.
    AuditEventId,
}
