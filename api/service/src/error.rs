//! The errors of service operations: a refusal by the rules, or a fault.

use std::convert::Infallible;
use std::fmt;

use sea_orm::DbErr;

use crate::auth::{OneTimePasswordError, PasswordError, RefreshTokenError, TokenError};
use crate::database::Unavailable;

/// The error of an operation: it was refused, or it failed.
#[derive(Debug)]
pub enum Error<R> {
    /// The rules do not allow the operation, so the operation was not carried out. The refusal says why, so that the
    /// caller can change the request. Most refusals write nothing. But a refusal to begin or continue a session can
    /// write: a reused refresh token revokes its family, a challenge counts a wrong code, and a taken identity ends its
    /// challenge.
    Refused(R),
    /// The operation could not be carried out, although the request may be correct. If the connection was lost
    /// during COMMIT, the operation may still have been committed.
    Failed(Fault),
}

/// A reason to refuse an operation. Each operation has an enum of its reasons.
///
/// Only types with this trait convert into [`Error::Refused`], so `?` works on refusals and on database errors alike.
pub trait Refusal: std::error::Error {}

/// The refusal of an operation that no rule can refuse.
impl Refusal for Infallible {}

/// A failure that the caller cannot prevent by changing the request.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A statement of the database failed. [`crate::database::Unavailable::of`] recognises temporary causes.
    #[error(transparent)]
    Database(#[from] DbErr),
    /// Too many passwords are being hashed at this moment, so another password cannot be hashed or verified. Or the
    /// queue of the requests of strangers about accounts is full.
    #[error("too many passwords are being hashed, or too many requests about accounts wait")]
    Busy,
    /// Another transaction had locks on the rows for too long.
    #[error("another transaction had locks on the rows for too long")]
    Held,
    /// Stored rows contradict each other, or a library failed unexpectedly. The text is for the log.
    #[error("{0}")]
    Inconsistent(String),
}

impl Fault {
    /// Makes the fault for a row that must exist but does not. `row` names the row, such as "purchase 7".
    pub(crate) fn missing(row: impl fmt::Display) -> Self {
        Self::Inconsistent(format!("a row is missing: {row}"))
    }

    /// Returns whether the same call may succeed later, because the fault has a temporary cause.
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            Self::Database(error) => Unavailable::of(error).is_some(),
            Self::Busy | Self::Held => true,
            Self::Inconsistent(_) => false,
        }
    }

    /// Returns the database's error, if a failed statement caused the fault.
    pub(crate) fn database_error(&self) -> Option<&DbErr> {
        match self {
            Self::Database(error) => Some(error),
            Self::Busy | Self::Held | Self::Inconsistent(_) => None,
        }
    }
}

impl From<PasswordError> for Fault {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => Self::Busy,
            error => Self::Inconsistent(error.to_string()),
        }
    }
}

impl From<TokenError> for Fault {
    fn from(error: TokenError) -> Self {
        Self::Inconsistent(error.to_string())
    }
}

impl From<OneTimePasswordError> for Fault {
    fn from(error: OneTimePasswordError) -> Self {
        Self::Inconsistent(error.to_string())
    }
}

impl From<RefreshTokenError> for Fault {
    fn from(error: RefreshTokenError) -> Self {
        Self::Inconsistent(error.to_string())
    }
}

impl<R> Error<R> {
    /// Returns the database's error, if a failed statement caused this error.
    pub(crate) fn database_error(&self) -> Option<&DbErr> {
        match self {
            Self::Refused(_) => None,
            Self::Failed(fault) => fault.database_error(),
        }
    }

    /// Converts the refusal of an inner operation to the refusal of an outer operation. Keeps a fault as it is.
    pub fn map<S>(self, map: impl FnOnce(R) -> S) -> Error<S> {
        match self {
            Self::Refused(refusal) => Error::Refused(map(refusal)),
            Self::Failed(fault) => Error::Failed(fault),
        }
    }
}

impl<R: Refusal> From<R> for Error<R> {
    fn from(refusal: R) -> Self {
        Self::Refused(refusal)
    }
}

impl<R> From<Fault> for Error<R> {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

impl<R> From<DbErr> for Error<R> {
    fn from(error: DbErr) -> Self {
        Self::Failed(error.into())
    }
}

impl<R> From<PasswordError> for Error<R> {
    fn from(error: PasswordError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Error<Infallible>> for Fault {
    fn from(error: Error<Infallible>) -> Self {
        match error {
            Error::Refused(never) => match never {},
            Error::Failed(fault) => fault,
        }
    }
}

impl<R: fmt::Display> fmt::Display for Error<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(formatter),
            Self::Failed(fault) => fault.fmt(formatter),
        }
    }
}

impl<R: std::error::Error> std::error::Error for Error<R> {}
