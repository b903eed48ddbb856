//! The trait that both providers implement.

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{
    Amount, PaymentReport, ProviderError, ProviderName, RefundReport, ReturnError, Webhook, WebhookError,
};

/// Maximum length of a reference, in characters: that of a receipt at Razorpay.
pub const MAX_REFERENCE_CHARACTERS: usize = 40;

/// Refuses an id that no provider has given, because ids become parts of addresses.
pub(crate) fn check_id(id: &str) -> Result<&str, ProviderError> {
    let fits =
        (1..=255).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if fits {
        Ok(id)
    } else {
        Err(refused_here("MALFORMED_ID", "the id has other characters than letters, digits and _"))
    }
}

/// Refuses a reference that a provider would cut or refuse.
pub(crate) fn check_reference(reference: &str) -> Result<(), ProviderError> {
    let fits = (1..=MAX_REFERENCE_CHARACTERS).contains(&reference.chars().count());
    if fits {
        Ok(())
    } else {
        Err(refused_here("MALFORMED_REFERENCE", "the reference must have 1 to 40 characters"))
    }
}

/// A refusal before anything is sent.
fn refused_here(code: &str, message: &str) -> ProviderError {
    ProviderError::Refused { status: 400, code: code.to_owned(), message: message.to_owned() }
}

/// The error of a response to a request that only reads.
pub(crate) fn unreadable(reason: String) -> ProviderError {
    ProviderError::Unreadable(reason)
}

/// The error of a look that failed after a write was refused. An earlier attempt of the write may be the reason of the refusal.
pub(crate) fn unknown_without_look(error: ProviderError) -> ProviderError {
    match error {
        ProviderError::TryAgain { reason, .. } => ProviderError::UnknownOutcome { reason },
        ProviderError::CircuitOpen { .. } => {
            ProviderError::UnknownOutcome { reason: "the provider failed repeatedly".to_owned() }
        }
        other => other,
    }
}

/// The error of a response to a request that did something.
pub(crate) fn unreadable_write(reason: String) -> ProviderError {
    ProviderError::UnknownOutcome { reason }
}

/// The moment when the money is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Capture {
    /// As soon as the bank authorizes it. A payment at Razorpay that the bank authorizes more than 30 minutes late stays
    /// `Authorized`: the application captures it if the order is still wanted. Otherwise Razorpay gives the money back.
    #[default]
    Automatic,
    /// The moment when the application calls `capture`.
    Manual,
}

/// A payment to create.
#[derive(Debug, Clone, Copy)]
pub struct NewPayment<'a> {
    /// The application's own id of the order, at most 40 characters (a limit of Razorpay). Reports repeat it. It must
    /// be unique: at Razorpay, `create_again` finds the order by it.
    pub order_reference: &'a str,
    /// The amount.
    pub money: &'a Amount,
    /// The key that makes a repetition harmless at Stripe, at most 255 characters. Use one for each order, not for each try.
    pub idempotency_key: &'a str,
    /// A short text for the provider's console. Put no personal data into it.
    pub description: &'a str,
    /// The moment when the money is taken.
    pub capture: Capture,
}

/// A payment that the provider made, and that the buyer can pay now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedPayment {
    /// The provider's order: `order_…` at Razorpay, `pi_…` at Stripe.
    pub provider_order: String,
    /// The parameters with which the frontend lets the buyer pay.
    pub client: ClientParameters,
}

/// The parameters with which the frontend lets the buyer pay. Only the buyer of the order may see it.
#[derive(Clone, PartialEq, Eq)]
pub enum ClientParameters {
    /// The parameters of Razorpay Checkout.
    Razorpay {
        /// The public key: `rzp_live_…`.
        key_id: String,
        /// The order.
        order_id: String,
    },
    /// The parameters of Stripe Elements.
    Stripe {
        /// The public key: `pk_live_…`.
        publishable_key: String,
        /// The secret of this payment. It lets its owner pay and read the payment. Never log it.
        client_secret: String,
    },
}

impl fmt::Debug for ClientParameters {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Razorpay { key_id, order_id } => formatter
                .debug_struct("Razorpay")
                .field("key_id", key_id)
                .field("order_id", order_id)
                .finish(),
            Self::Stripe { publishable_key, .. } => formatter
                .debug_struct("Stripe")
                .field("publishable_key", publishable_key)
                .finish_non_exhaustive(),
        }
    }
}

/// The outcome of a cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelOutcome {
    /// The payment is cancelled: the buyer can no longer pay it.
    Cancelled,
    /// The provider cannot cancel: the payment can still succeed. The application must refund a payment that arrives late. Razorpay
    /// always gives this outcome, and nothing is sent to it.
    StaysPayable,
    /// The payment was captured before. Read it with `fetch`.
    TooLate,
}

/// The values that a buyer brings back from the provider's form, through the frontend. They come from the buyer, so
/// they prove nothing before it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientReturn {
    /// The provider's order as the application stored it, not as the buyer sent it.
    pub provider_order: String,
    /// The payment: `razorpay_payment_id`.
    pub payment: String,
    /// The signature: `razorpay_signature`.
    pub signature: String,
}

/// A payment provider.
///
/// Each call ends within the total timeout of the configuration. Calls that only read, and calls with an idempotency key, are
/// repeated inside with backoff. All other calls are sent once.
#[async_trait]
pub trait PaymentProvider: Send + Sync {
    /// The name of the provider.
    fn name(&self) -> ProviderName;

    /// Creates a payment. Call `create_again` if an earlier call may have reached the provider.
    async fn create(&self, new: &NewPayment<'_>) -> Result<CreatedPayment, ProviderError>;

    /// Finds the payment that an earlier `create` made, or creates it. The earlier call may have an unknown outcome. The new
    /// payment must be equal to the earlier one in all fields.
    async fn create_again(&self, new: &NewPayment<'_>) -> Result<CreatedPayment, ProviderError>;

    /// Reads what the frontend needs to let the buyer pay an order that was created earlier.
    async fn client_parameters(&self, provider_order: &str) -> Result<ClientParameters, ProviderError>;

    /// Reads all payments of an order, oldest first. An order that nobody tried to pay has none at Razorpay, and a pending one
    /// at Stripe.
    async fn fetch(&self, provider_order: &str) -> Result<Vec<PaymentReport>, ProviderError>;

    /// Captures an authorized payment, with its whole amount. A payment that is captured already is a success.
    async fn capture(&self, payment: &str, money: &Amount) -> Result<PaymentReport, ProviderError>;

    /// Cancels an order that is not paid yet, if the provider can.
    async fn cancel(&self, provider_order: &str) -> Result<CancelOutcome, ProviderError>;

    /// Refunds a payment, or a part of it. `reference` is the application's own id of the refund, at most 40 characters. Each
    /// refund has its own. Providers remember the outcome of a reference, also a refusal, so repeating a call is harmless, and
    /// a new try after a refusal needs a new reference. Their memory can end after a day: look with `refunds` before a late
    /// repetition.
    async fn refund(
        &self,
        payment: &str,
        money: &Amount,
        reference: &str,
    ) -> Result<RefundReport, ProviderError>;

    /// Reads all refunds of a payment, oldest first, also those made at the provider's console.
    async fn refunds(&self, payment: &str) -> Result<Vec<RefundReport>, ProviderError>;

    /// Verifies a webhook and reads it. `headers` gives the value of a header by its name in lower case. `body` is the body
    /// exactly as it arrived.
    fn verify_webhook(
        &self,
        headers: &(dyn Fn(&str) -> Option<String> + Sync),
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Webhook, WebhookError>;

    /// Verifies what a buyer brought back. A right signature says that the buyer paid this order, not how much: `fetch` the
    /// payment next.
    fn verify_return(&self, returned: &ClientReturn) -> Result<(), ReturnError>;
}
