//! The outcome of one request, and whether the request may be repeated.

use std::time::Duration;

use reqwest::StatusCode;

use crate::ProviderError;

/// Whether a call may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// The call only reads.
    Read,
    /// The call writes, and repeating it does nothing new.
    Harmless,
    /// The call writes, and repeating it could do it twice.
    Never,
}

/// A response whose body was read.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
    /// The time that the provider asks to wait.
    pub(super) retry_after: Option<Duration>,
    /// Whether the provider asks for a repetition (`Stripe-Should-Retry`).
    pub(super) should_retry: Option<bool>,
}

/// The outcome of one request.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The provider responded, and the response settles the call: a success or a refusal.
    Settled(Response),
    /// The provider certainly did nothing.
    NothingDone { reason: String, retry_after: Option<Duration> },
    /// The provider may have done it.
    MaybeDone { reason: String, may_repeat: bool },
}

impl Outcome {
    /// Reads the status of a response.
    pub(super) fn of(response: Response) -> Self {
        let status = response.status;
        let may_repeat = response.should_retry != Some(false);
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Self::NothingDone {
                reason: "it responded with 429".into(),
                retry_after: response.retry_after,
            };
        }
        // A conflict means that an equal request with the same key is under way.
        if status.is_server_error() || status == StatusCode::CONFLICT || status == StatusCode::REQUEST_TIMEOUT
        {
            return Self::MaybeDone { reason: format!("it responded with {}", status.as_u16()), may_repeat };
        }
        Self::Settled(response)
    }

    /// Whether the provider is to blame. Limits and conflicts show that it works.
    pub(super) fn is_failure(&self, status: Option<StatusCode>) -> bool {
        match self {
            Self::Settled(_) => false,
            Self::NothingDone { .. } | Self::MaybeDone { .. } => {
                status.is_none_or(|status| status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT)
            }
        }
    }

    /// Whether the same request may be sent again.
    pub(super) fn may_repeat(&self, repeat: Repeat) -> bool {
        match self {
            Self::Settled(_) => false,
            Self::NothingDone { .. } => true,
            Self::MaybeDone { may_repeat, .. } => *may_repeat && repeat != Repeat::Never,
        }
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NothingDone { retry_after, .. } => *retry_after,
            Self::Settled(_) | Self::MaybeDone { .. } => None,
        }
    }

    /// Ends a call with this outcome of its last request. `maybe_done` says that an earlier request may have done the work.
    pub(super) fn end(self, repeat: Repeat, maybe_done: bool) -> Result<Response, ProviderError> {
        let writes = repeat != Repeat::Read;
        match self {
            Self::Settled(response) => Ok(response),
            Self::NothingDone { reason, .. } | Self::MaybeDone { reason, .. } if writes && maybe_done => {
                Err(ProviderError::UnknownOutcome { reason })
            }
            Self::NothingDone { reason, retry_after } => Err(ProviderError::TryAgain { reason, retry_after }),
            Self::MaybeDone { reason, .. } => Err(ProviderError::TryAgain { reason, retry_after: None }),
        }
    }
}
