//! The tables of jishu as SeaORM entities, one file for each table.
//!
//! The finders named `of` take the id of the owner, so that a query cannot return rows of other users. Ids are newtypes
//! (see [`id`]), so that the id of a subject cannot be passed as the id of a course. Money is an integer in minor units
//! of its currency, such as paise or cents. Times are in UTC, with microseconds. This crate does not depend on GraphQL
//! or HTTP.

pub mod accepted_text;
pub mod account_link;
pub mod allowance;
pub mod audit_event;
pub mod blueprint_part;
pub mod cart_item;
pub mod course;
pub mod entitlement;
pub mod extra_time;
pub mod guardian_consent;
pub mod id;
pub mod mock_test_attempt;
pub mod oidc_identity;
pub mod oidc_login;
pub mod order;
pub mod order_line;
pub mod outbox_message;
pub mod paper;
pub mod paper_question;
pub mod paper_revision;
pub mod paper_score;
pub mod payment_event;
pub mod payment_refund;
pub mod picture;
pub mod purchase;
pub mod purchase_grant;
pub mod purchase_request;
pub mod purchase_request_owned;
pub mod question;
pub mod question_correction;
pub mod question_option;
pub mod question_version;
pub mod question_version_picture;
pub mod recovery_code;
pub mod refresh_token;
pub mod refund;
pub mod refund_line;
pub mod refund_repeat;
pub mod second_factor;
pub mod server_secret;
pub mod sign_in_challenge;
pub mod sign_in_network;
pub mod subject;
pub mod test_answer;
pub mod test_session;
pub mod topic;
pub mod topic_total;
pub mod user;

pub use id::{
    AccountLinkId, AllowanceId, AuditEventId, CourseId, GuardianConsentId, MockTestAttemptId, OidcIdentityId,
    OidcLoginId, OrderId, OutboxMessageId, PaperId, PaymentEventId, PaymentRefundId, PurchaseId,
    PurchaseRequestId, QuestionCorrectionId, QuestionId, QuestionVersionId, RecoveryCodeId, RefreshTokenId,
    RefundId, SignInChallengeId, SignInNetworkId, SubjectId, TestSessionId, TopicId, UserId,
};
