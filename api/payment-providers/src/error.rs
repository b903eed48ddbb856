//! The errors of a call to a provider. No variant ever holds a key, a secret or a body.

use std::time::Duration;

use crate::ProviderName;

/// The reason why a call to a provider gave no result. The variants differ by what the caller may do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The provider refused the request for good. Repeating it changes nothing.
    #[error("the provider refused the request with status {status} and code {code}: {message}")]
    Refused {
        /// The status of HTTP.
        status: u16,
        /// The provider's own code, for example `BAD_REQUEST_ERROR` or `charge_already_refunded`.
        code: String,
        /// The provider's sentence for developers, shortened. It is for logs, not for buyers.
        message: String,
    },
    /// The provider did nothing, or the request only read: the caller may repeat it later.
    #[error("the provider could not be asked: {reason}")]
    TryAgain {
        /// The problem, for logs.
        reason: String,
        /// The time that the provider asked to wait.
        retry_after: Option<Duration>,
    },
    /// The request was sent, and its outcome is unknown. The caller must look at what the provider has stored before it
    /// repeats the request: `create_again` for a payment, `fetch` for a capture or a cancellation, `refunds` for a refund.
    #[error("the request was sent, but its outcome is unknown: {reason}")]
    UnknownOutcome {
        /// The problem, for logs.
        reason: String,
    },
    /// The provider failed repeatedly, so nothing was sent. The caller may repeat the request later.
    #[error("the provider failed repeatedly, so the request was not sent; the next try is in {} s", retry_after.as_secs())]
    CircuitOpen {
        /// The time until a request is let through again.
        retry_after: Duration,
    },
    /// The provider cannot process this amount, so nothing was sent.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// The provider responded to a request that only reads, but this crate does not understand the response.
    #[error("the provider's response cannot be understood: {0}")]
    Unreadable(String),
}

impl ProviderError {
    /// Whether the provider certainly did nothing, or only read, and a later try can succeed.
    pub fn may_try_again(&self) -> bool {
        matches!(self, Self::TryAgain { .. } | Self::CircuitOpen { .. })
    }

    /// Whether the caller must look at what the provider has stored.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::UnknownOutcome { .. })
    }
}

/// The reason why a provider cannot process an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// The amount is zero or negative.
    #[error("the amount must be positive")]
    NotPositive,
    /// The currency is not a code of three letters, or its minor unit is unknown.
    #[error("the currency {0} is unknown")]
    UnknownCurrency(String),
    /// The provider takes only multiples of some amount in this currency.
    #[error("{provider} takes only multiples of {multiple_minor} minor units in {currency}")]
    NotAMultiple {
        /// The provider.
        provider: ProviderName,
        /// The currency.
        currency: String,
        /// The multiple, in minor units by ISO 4217.
        multiple_minor: i64,
    },
    /// The amount is larger than the provider takes.
    #[error("the amount is too large")]
    TooLarge,
}

/// The reason why a webhook is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// No secret of webhooks is configured, so nothing can be verified.
    #[error("no secret of webhooks is configured")]
    NotConfigured,
    /// The header with the signature is missing or malformed.
    #[error("the webhook has no readable signature")]
    NoSignature,
    /// No configured secret gives this signature.
    #[error("the signature of the webhook is wrong")]
    BadSignature,
    /// The time in the signature is too far from now.
    #[error("the webhook was signed {seconds} s away from now")]
    Stale {
        /// The distance between the time of the signature and now.
        seconds: i64,
    },
    /// The webhook is of another account, or of test mode in place of live mode.
    #[error("the webhook belongs to another account or mode: {0}")]
    OtherAccount(String),
    /// The signature is right, but the body is not what the provider documents. The caller should respond with an error, so
    /// that the provider sends it again.
    #[error("the body of the webhook cannot be read: {0}")]
    Unreadable(String),
}

/// The reason why the parameters are refused that a buyer brought back from the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReturnError {
    /// The signature of the parameters is wrong.
    #[error("the signature of the returned parameters is wrong")]
    BadSignature,
    /// The provider signs nothing that a buyer brings back. Use `fetch`.
    #[error("this provider signs nothing that a buyer brings back")]
    NotSigned,
}
