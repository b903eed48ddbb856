//! The outcome of one HTTP request to a provider, and whether the request may be repeated.

use std::time::Duration;

use reqwest::StatusCode;

use crate::ProviderError;

/// Whether a call may be repeated if the provider may have carried it out already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// The call only reads, so it may be repeated.
    Read,
    /// The call writes, but carrying it out twice has the same effect as once. So it may be repeated.
    Harmless,
    /// The call writes, and carrying it out twice could have its effect twice. So it may not be repeated.
    Never,
}

/// A response of the provider whose body was read to its end.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
    /// The time for which the provider asks the caller to wait. `None` without a readable header `Retry-After` in
    /// seconds.
    pub(super) retry_after: Option<Duration>,
    /// Whether the provider asks the caller to repeat the request. `None` without the header `Stripe-Should-Retry`.
    pub(super) should_retry: Option<bool>,
}

/// The health of the provider as one HTTP request shows it, for the circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    /// The provider responded, so it works.
    Works,
    /// There was no complete response, or the response reports that the provider does not work.
    Fails,
    /// The request was not sent, so it shows nothing about the provider.
    Unknown,
}

impl Health {
    /// Reads the health from the status of a response. A server error or a request timeout is a failure of the
    /// provider. A response that reports a limit or a conflict shows that the provider works.
    pub(super) fn of(status: StatusCode) -> Self {
        match status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
            true => Self::Fails,
            false => Self::Works,
        }
    }
}

/// The outcome of one HTTP request to a provider.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The provider responded, and the response settles the call: a success or a refusal.
    Settled(Response),
    /// The provider certainly did not carry out the request.
    NothingDone { reason: String, retry_after: Option<Duration> },
    /// The provider may have carried out the request. `may_repeat` is false if the provider asks the caller not to
    /// repeat the request.
    MaybeDone { reason: String, may_repeat: bool },
}

impl Outcome {
    /// Classifies a response by its status. A 429 means that the provider did nothing. After a server error, a conflict
    /// or a request timeout, the provider may have done the work. Any other status settles the call.
    pub(super) fn of(response: Response) -> Self {
        let status = response.status;
        let may_repeat = response.should_retry != Some(false);
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Self::NothingDone {
                reason: "the provider responded with 429".into(),
                retry_after: response.retry_after,
            };
        }
        // A conflict means that a request with the same idempotency key is still being carried out.
        if status.is_server_error() || status == StatusCode::CONFLICT || status == StatusCode::REQUEST_TIMEOUT
        {
            return Self::MaybeDone {
                reason: format!("the provider responded with {}", status.as_u16()),
                may_repeat,
            };
        }
        Self::Settled(response)
    }

    /// Whether the same request may be sent again after this outcome. `repeat` is the kind of the call.
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

    /// Ends a call with this outcome of its last request. `maybe_done` says that at least one request of the call may
    /// have been carried out. Then a call that writes ends with `UnknownOutcome`, unless this outcome is `Settled`.
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
