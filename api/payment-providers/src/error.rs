//! The errors of a call to a provider. No error contains a key, a secret or a whole body.

use std::time::Duration;

use crate::ProviderName;

/// The reason why a call to a provider gave no result. The variants differ by what the caller may do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The provider refused the request for good, or this crate refused to send it because an id or a reference in it
    /// is malformed. Repeating the same request does not help.
    #[error("the request to the provider was refused with status {status} and code {code}: {message}")]
    Refused {
        /// The status of the HTTP response. It is 400 if this crate refused to send the request.
        status: u16,
        /// The code of the error in the provider's response, for example `BAD_REQUEST_ERROR` or
        /// `charge_already_refunded`. This crate adds the codes `MALFORMED_ID` and `MALFORMED_REFERENCE` for requests
        /// that it does not send, and `UNREADABLE` and `UNKNOWN` for responses without a code.
        code: String,
        /// The provider's sentence for developers, cut after 300 characters. It is for logs, not for buyers.
        message: String,
    },
    /// The provider certainly did nothing, or the request only reads. The caller may repeat the request later.
    #[error("the request to the provider had no effect, and can be repeated later: {reason}")]
    TryAgain {
        /// The reason why the request failed, for logs.
        reason: String,
        /// The time for which the provider asked the caller to wait, in a response with the status 429. `None` in all
        /// other cases.
        retry_after: Option<Duration>,
    },
    /// The request was sent, and the provider may have carried it out. Before the caller repeats the request, it must
    /// read what the provider has stored: with `create_again` for a payment, `fetch` for a capture or a cancellation,
    /// `refunds` for a refund.
    #[error("the request was sent to the provider, but its outcome is unknown: {reason}")]
    UnknownOutcome {
        /// The reason why the outcome is unknown, for logs.
        reason: String,
    },
    /// The circuit breaker is open, because requests to the provider failed repeatedly. The provider certainly did
    /// nothing, or the request only reads. The caller may repeat the request later.
    #[error("requests to the provider failed repeatedly, so no more are sent to it for {} s", retry_after.as_secs())]
    CircuitOpen {
        /// The time until the circuit breaker lets a request through again.
        retry_after: Duration,
    },
    /// The provider cannot process this amount, so nothing was sent.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// The provider responded to a request that only reads, but this crate does not understand the response, or the
    /// list in it is too long.
    #[error("the provider's response cannot be understood: {0}")]
    Unreadable(String),
}

impl ProviderError {
    /// Whether the provider certainly did nothing, or the request only reads, and a later try can succeed.
    pub fn may_try_again(&self) -> bool {
        matches!(self, Self::TryAgain { .. } | Self::CircuitOpen { .. })
    }

    /// Whether the provider may have carried out the request, so that the caller must read what the provider has stored
    /// before it repeats the request.
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
    /// The amount is not a multiple of the number that the provider requires in this currency.
    #[error("{provider} takes only multiples of {multiple_minor} minor units in {currency}")]
    NotAMultiple {
        /// The provider that cannot process the amount.
        provider: ProviderName,
        /// The code of the currency, by ISO 4217.
        currency: String,
        /// The number of which the amount must be a multiple, in minor units by ISO 4217.
        multiple_minor: i64,
    },
    /// The amount does not fit into 64 bits in the unit in which the provider counts the currency.
    #[error("the amount is too large for the provider")]
    TooLarge,
}

/// The reason why a webhook is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// No secret of webhooks is configured, so nothing can be verified.
    #[error("no secret of webhooks is configured")]
    NotConfigured,
    /// The header with the signature is missing. For Stripe, also a header that is malformed.
    #[error("the webhook has no readable signature")]
    NoSignature,
    /// The signature in the webhook is not that of its body under any of the configured secrets.
    #[error("the signature of the webhook is wrong")]
    BadSignature,
    /// The time in the signature is more than five minutes before or after the server's time.
    #[error(
        "the time in the signature of the webhook differs from the server's time by {seconds} s, which is too much: \
         check the server's clock"
    )]
    Stale {
        /// The difference between the time in the signature and the server's time, in seconds. It is never negative.
        seconds: i64,
    },
    /// The webhook belongs to another account, or to test mode although live mode is configured, or the reverse. The
    /// text is the id of the account, or the mode of the webhook.
    #[error("the webhook belongs to another account or mode than the configured one: {0}")]
    OtherAccount(String),
    /// The signature is right, but the body does not have the form that the provider documents. The caller should
    /// respond with an error, so that the provider sends the webhook again.
    #[error("the body of the webhook cannot be read: {0}")]
    Unreadable(String),
}

impl WebhookError {
    /// Makes the error for a body whose JSON has another form than expected. The message has the place, if it is known,
    /// but no part of the body.
    pub(crate) fn unexpected_json(error: &serde_json::Error) -> Self {
        // The line is 0 if the JSON was parsed before, so that its text is no longer at hand.
        let place = match error.line() {
            0 => String::new(),
            line => format!(" at line {line}, column {}", error.column()),
        };
        Self::Unreadable(format!("its JSON is not as expected{place}"))
    }
}

/// The reason why the parameters that a buyer brought back from the provider are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReturnError {
    /// The signature of the parameters that the buyer brought back is wrong.
    #[error("the signature of the returned parameters is wrong")]
    BadSignature,
    /// The provider does not sign the parameters that a buyer brings back. Read the payment with `fetch` instead.
    #[error(
        "this provider does not sign the parameters that a buyer brings back: read the payment from the provider \
         instead"
    )]
    NotSigned,
}
