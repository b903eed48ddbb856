//! Top-level errors, such as invalid arguments, missing sign-in, rate limits, an overloaded server and internal errors.
//! Expected outcomes are `userErrors`.

use std::any::Any;
use std::sync::Arc;

use async_graphql::{ErrorExtensionValues, ServerError};
use sea_orm::DbErr;
use uuid::Uuid;

use jishu_service::Fault;
use jishu_service::database::Unavailable;
use jishu_service::limit::RetryAfter;

/// The id of an HTTP request. Log lines and internal errors in responses contain it.
#[derive(Clone, Debug)]
pub struct RequestId(pub Arc<str>);

impl RequestId {
    /// Makes a random id for a request.
    #[must_use]
    pub fn random() -> Self {
        Self::from(&*Uuid::new_v4().hyphenated().encode_lower(&mut Uuid::encode_buffer()))
    }
}

impl From<&str> for RequestId {
    fn from(id: &str) -> Self {
        Self(id.into())
    }
}

/// The message of every internal error. The cause of the error goes only to the log.
const INTERNAL: &str =
    "Something went wrong on our side. Try again. If it happens again, report the request id.";

/// An error of a resolver.
///
/// The type does not implement `Display` on purpose. async-graphql converts any type with `Display` into an error with
/// the displayed text. The client would then see the cause of an internal error.
#[derive(Clone, Debug)]
pub(super) enum ApiError {
    /// The field needs a signed-in user, but nobody is signed in.
    Unauthenticated,
    /// The viewer does not have a role that the field requires, or is deactivated. The message says what to do.
    Forbidden(&'static str),
    /// The operator requires that staff have a second factor, and the viewer has no second factor.
    SecondFactorRequired,
    /// The client sent an argument that no correct client sends. The message says what to change.
    BadUserInput(String),
    /// The server is at its limit, another change holds a lock, or the database is not available or accepts no
    /// changes. The message says what happened.
    Overloaded(&'static str),
    /// The database took too long, or another transaction held the rows for too long.
    TimedOut,
    /// The client exceeded a rate limit.
    RateLimited(RetryAfter),
    /// A fault of the server, whose cause only the log shows.
    Internal(InternalError),
}

pub(super) type ApiResult<T> = Result<T, ApiError>;

/// The result of a nullable field that can fail. If a field returns `Result<Option<T>>` and fails, async-graphql nulls
/// the parent object. The GraphQL specification nulls only the field, and so does this type.
pub(super) type Nullable<T> = Option<ApiResult<T>>;

/// The cause of an internal error. [`finish_errors`] logs it, and the client never sees it.
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
                "Another change has locked the same data, so this request was not completed. Try again in a few seconds.",
            ),
            Unavailable::Down => Self::Overloaded(
                "The database is not available. If you sent a change, check whether it was made. Try again in a few seconds.",
            ),
            Unavailable::ReadOnly | Unavailable::DiskFull => Self::Overloaded(
                "The database is read-only or full, so this request was not completed. Try again later.",
            ),
        }
    }
}

impl From<Fault> for ApiError {
    fn from(fault: Fault) -> Self {
        Self::from(&fault)
    }
}

impl From<&Fault> for ApiError {
    fn from(fault: &Fault) -> Self {
        match fault {
            Fault::Database(error) => error.into(),
            Fault::Busy => Self::Overloaded(
                "Too many people are signing in, registering or changing passwords. Try again in a few seconds.",
            ),
            Fault::Held => Self::TimedOut,
            Fault::Inconsistent(cause) => Self::internal(cause.as_str()),
        }
    }
}

impl From<Arc<Fault>> for ApiError {
    fn from(fault: Arc<Fault>) -> Self {
        Self::from(&*fault)
    }
}

/// Separates the error of a service function: a refusal, which the payload of a mutation shows, becomes the inner
/// error. A fault, which fails the whole field, becomes the outer error.
pub(super) fn refused_or<T, R>(result: Result<T, jishu_service::Error<R>>) -> ApiResult<Result<T, R>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(jishu_service::Error::Refused(refusal)) => Ok(Err(refusal)),
        Err(jishu_service::Error::Failed(fault)) => Err(fault.into()),
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
                "Sign in first, for example with `login`. Then send the access token as `Authorization: Bearer`."
                    .to_owned(),
                "UNAUTHENTICATED",
                None,
            ),
            ApiError::Forbidden(message) => (message.to_owned(), "FORBIDDEN", None),
            ApiError::SecondFactorRequired => (
                "Staff of this platform must have a second factor. Set one up with `beginTwoFactor` and \
                 `confirmTwoFactor`."
                    .to_owned(),
                "SECOND_FACTOR_REQUIRED",
                None,
            ),
            ApiError::BadUserInput(message) => (message, "BAD_USER_INPUT", None),
            ApiError::Overloaded(message) => (message.to_owned(), "OVERLOADED", None),
            ApiError::TimedOut => (
                "The request took too long and was stopped. Try again in a few seconds, or request less at once."
                    .to_owned(),
                "TIMEOUT",
                None,
            ),
            ApiError::RateLimited(wait) => {
                retry_after = Some(wait.seconds());
                (rate_limit_message(wait), "RATE_LIMITED", None)
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

/// Gives each error of a response a code in `extensions.code`, if it has none. Logs the cause of an internal error, and
/// adds the id of the request to the error.
pub fn finish_errors(errors: &mut [ServerError], RequestId(id): &RequestId) {
    for error in errors {
        if let Some(InternalError(cause)) = error.source::<InternalError>() {
            tracing::error!(request_id = &**id, path = ?error.path, cause = &**cause, "a resolver failed");
            error.extensions.get_or_insert_default().set("requestId", &**id);
        } else if error.extensions.as_ref().is_none_or(|extensions| extensions.get("code").is_none()) {
            // Only errors that async-graphql itself makes have no code. These errors concern the value of an argument.
            error.extensions.get_or_insert_default().set("code", "BAD_USER_INPUT");
        }
    }
}

/// Makes the error for an operation that panicked, with the code `INTERNAL` and the id of the request. Does not log the
/// panic.
#[must_use]
pub fn panic_error(RequestId(id): &RequestId) -> ServerError {
    let mut error = ServerError::new(INTERNAL, None);
    let extensions = error.extensions.get_or_insert_default();
    extensions.set("code", "INTERNAL");
    extensions.set("requestId", &**id);
    error
}

/// Makes the message for a client that exceeded a rate limit.
#[must_use]
pub fn rate_limit_message(wait: RetryAfter) -> String {
    match wait.seconds() {
        1 => "Too many requests. Try again in a second.".to_owned(),
        seconds => format!("Too many requests. Try again in {seconds} seconds."),
    }
}
