//! Top-level errors: bad documents, missing sign-in and faults of ours. Expected outcomes are `userErrors`.

use std::any::Any;
use std::sync::Arc;

use async_graphql::ErrorExtensionValues;
use sea_orm::DbErr;

/// What a resolver fails with.
///
/// It has no `Display` on purpose: async-graphql turns whatever has one into an error with that text, and so
/// would show a client the cause.
#[derive(Clone, Debug)]
pub(super) enum ApiError {
    /// Nobody is signed in.
    Unauthenticated,
    /// An argument that no client should send; says what to change.
    BadUserInput(String),
    /// The server is doing as much as it can.
    Overloaded(&'static str),
    /// A fault of ours.
    Internal(InternalError),
}

pub(super) type ApiResult<T> = Result<T, ApiError>;

/// The cause of an `INTERNAL` error: logged where the answer leaves, never shown.
#[derive(Clone, Debug)]
pub struct InternalError(pub Arc<str>);

impl ApiError {
    pub(super) fn internal(cause: impl Into<String>) -> Self {
        Self::Internal(InternalError(cause.into().into()))
    }

    pub(super) fn bad_input(message: impl Into<String>) -> Self {
        Self::BadUserInput(message.into())
    }
}

impl From<DbErr> for ApiError {
    fn from(error: DbErr) -> Self {
        Self::internal(error.to_string())
    }
}

impl From<Arc<DbErr>> for ApiError {
    fn from(error: Arc<DbErr>) -> Self {
        Self::internal(error.to_string())
    }
}

impl From<ApiError> for async_graphql::Error {
    fn from(error: ApiError) -> Self {
        let (message, code, source) = match error {
            ApiError::Unauthenticated => (
                "Sign in first: send `Authorization: Bearer` with the access token that `login` returns."
                    .to_owned(),
                "UNAUTHENTICATED",
                None,
            ),
            ApiError::BadUserInput(message) => (message, "BAD_USER_INPUT", None),
            ApiError::Overloaded(message) => (message.to_owned(), "OVERLOADED", None),
            ApiError::Internal(cause) => (
                "Something went wrong on our side. Try again; if it persists, report the request id."
                    .to_owned(),
                "INTERNAL",
                Some(cause),
            ),
        };
        let mut extensions = ErrorExtensionValues::default();
        extensions.set("code", code);
        let source = source.map(|cause| Arc::new(cause) as Arc<dyn Any + Send + Sync>);
        Self { message, source, extensions: Some(extensions) }
    }
}
