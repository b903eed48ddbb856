//! The tables of jishu as SeaORM entities, one table a file, and the finders that keep owners apart.
//!
//! This crate knows nothing of GraphQL or HTTP. Ids are newtypes ([`id`]), so that a subject's id cannot be
//! passed where a course's is meant. Money is in integer minor units of the course's currency (paise, cents);
//! times are UTC with microseconds.

pub mod audit_event;
pub mod cart_item;
pub mod course;
pub mod entitlement;
pub mod id;
pub mod mock_test_attempt;
pub mod purchase;
pub mod purchase_request;
pub mod purchase_request_owned;
pub mod refresh_token;
pub mod subject;
pub mod user;

pub use id::{
    AuditEventId, CourseId, MockTestAttemptId, PurchaseId, PurchaseRequestId, RefreshTokenId, SubjectId,
    UserId,
};
