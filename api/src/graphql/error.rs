//! Top-level errors: bad documents, missing sign-in and faults of ours. Expected outcomes are `userErrors`.

use std::any::Any;
use std::sync::Arc;

use async_graphql::{ErrorExtensionValues, ServerError};
use sea_orm::DbErr;

use super::context::RequestId;
use jishu_service::database::Unavailable;
use jishu_service::limit::RetryAfter;

/// Of a fault of ours a client is told no more.
const INTERNAL: &str = "Something went wrong on our side. Try again; if it persists, report the request id.";

/// What a resolver fails with.
///
/// It has no `Display` on purpose: async-graphql turns whatever has one into an error with that text, and so
/// would show a client the cause.
#[derive(Clone, Debug)]
pub(super) enum ApiError {
    /// Nobody is signed in.
    Unauthenticated,
    /// Who is signed in may not do this; says who may.
    Forbidden(&'static str),
    /// An argument that no client should send; says what to change.
    BadUserInput(String),
    /// The server is doing as much as it can.
    Overloaded(&'static str),
    /// The database took too long.
    TimedOut,
    /// The client did more of this than it may.
    RateLimited(RetryAfter),
    /// A fault of ours.
    Internal(InternalError),
}

pub(super) type ApiResult<T> = Result<T, ApiError>;

/// What a nullable field returns that can fail. On `Result<Option<T>>` the engine would null the parent; the
/// specification nulls the field alone.
pub(super) type Nullable<T> = Option<ApiResult<T>>;

/// The cause of an `INTERNAL` error: logged where the answer leaves, never shown.
#[derive(Clone, Debug)]
pub(super) struct InternalError(Arc<str>);

impl ApiError {
    pub(super) fn internal(cause: impl Into<String>) -> Self {
        Self::Internal(InternalError(cause.into().into()))
    }

    pub(super) fn bad_input(message: impl Into<String>) -> Self {
        Self::BadUserInput(message.into())
    }
}

impl From<&DbErr> for ApiError {
    fn from(error: &DbErr) -> Self {
        let Some(cause) = Unavailable::of(error) else { return Self::internal(error.to_string()) };
        tracing::warn!(%error, ?cause, "a database operation failed; the client was told to retry");
        match cause {
            Unavailable::TooSlow => Self::TimedOut,
            Unavailable::NoConnection => Self::Overloaded("The server is busy. Try again in a few seconds."),
            Unavailable::Locked => Self::Overloaded(
                "Something else is changing the same data. Nothing was changed. Try again in a few seconds.",
            ),
            Unavailable::Down => Self::Overloaded(
                "The database is not available. Check whether your change was made, then try again in a few seconds.",
            ),
            Unavailable::ReadOnly | Unavailable::DiskFull => {
                Self::Overloaded("The database is read-only or full. Nothing was changed. Try again later.")
            }
        }
    }
}

impl From<DbErr> for ApiError {
    fn from(error: DbErr) -> Self {
        Self::from(&error)
    }
}

impl From<Arc<DbErr>> for ApiError {
    fn from(error: Arc<DbErr>) -> Self {
        Self::from(&*error)
    }
}

impl From<RetryAfter> for ApiError {
    fn from(wait: RetryAfter) -> Self {
        Self::RateLimited(wait)
    }
}

impl From<ApiError> for async_graphql::Error {
    fn from(error: ApiError) -> Self {
        let mut retry_after = None;
        let (message, code, source) = match error {
            ApiError::Unauthenticated => (
                "Sign in first: send `Authorization: Bearer` with the access token that `login` returns."
                    .to_owned(),
                "UNAUTHENTICATED",
                None,
            ),
            ApiError::Forbidden(message) => (message.to_owned(), "FORBIDDEN", None),
            ApiError::BadUserInput(message) => (message, "BAD_USER_INPUT", None),
            ApiError::Overloaded(message) => (message.to_owned(), "OVERLOADED", None),
            ApiError::TimedOut => (
                "This took too long and was given up. Try again in a few seconds, or ask for less at once."
                    .to_owned(),
                "TIMEOUT",
                None,
            ),
            ApiError::RateLimited(wait) => {
                retry_after = Some(wait.seconds());
                (rate_limited(wait), "RATE_LIMITED", None)
            }
            ApiError::Internal(cause) => (INTERNAL.to_owned(), "INTERNAL", Some(cause)),
        };
        let mut extensions = ErrorExtensionValues::default();
        extensions.set("code", code);
        if let Some(seconds) = retry_after {
            extensions.set("retryAfterSeconds", seconds);
        }
        let source = source.map(|cause| Arc::new(cause) as Arc<dyn Any + Send + Sync>);
        Self { message, source, extensions: Some(extensions) }
    }
}

/// Gives every error of an answer a code, and logs the cause of one that is our fault.
pub fn finish(errors: &mut [ServerError], RequestId(id): &RequestId) {
    for error in errors {
        if let Some(InternalError(cause)) = error.source::<InternalError>() {
            tracing::error!(request_id = id, path = ?error.path, cause = &**cause, "a resolver failed");
            error.extensions.get_or_insert_default().set("requestId", id.as_str());
        } else if error.extensions.as_ref().is_none_or(|extensions| extensions.get("code").is_none()) {
            // Ours all have one: this is the engine's, about the value of an argument.
            error.extensions.get_or_insert_default().set("code", "BAD_USER_INPUT");
        }
    }
}

/// What a client is told whose operation panicked. The panic is logged where it happened.
#[must_use]
pub fn panicked(RequestId(id): &RequestId) -> ServerError {
    let mut error = ServerError::new(INTERNAL, None);
    let extensions = error.extensions.get_or_insert_default();
    extensions.set("code", "INTERNAL");
    extensions.set("requestId", id.as_str());
    error
}

/// What a client is told that did more than it may.
#[must_use]
pub fn rate_limited(wait: RetryAfter) -> String {
    match wait.seconds() {
        1 => "Too many requests. Try again in a second.".to_owned(),
        seconds => format!("Too many requests. Try again in {seconds} seconds."),
    }
}
