//! The trait that Razorpay and Stripe implement, and its parameters.

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{
    Amount, PaymentReport, ProviderError, ProviderName, RefundReport, ReturnError, Webhook, WebhookError,
};

/// Maximum length of the reference of an order or a refund, in characters. It is the limit of Razorpay for a receipt.
pub const MAX_REFERENCE_CHARACTERS: usize = 40;

/// Returns the error `Refused` unless an id has 1 to 255 letters, digits and `_`. Ids become parts of URLs, so other
/// characters could change the meaning of a URL.
pub(crate) fn check_id(id: &str) -> Result<&str, ProviderError> {
    let fits =
        (1..=255).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if fits {
        Ok(id)
    } else {
        Err(refused_here("MALFORMED_ID", "the id must have 1 to 255 letters, digits and _"))
    }
}

/// Returns the error `Refused` unless a reference has 1 to 40 characters. A provider would cut or refuse a longer
/// reference.
pub(crate) fn check_reference(reference: &str) -> Result<(), ProviderError> {
    let fits = (1..=MAX_REFERENCE_CHARACTERS).contains(&reference.chars().count());
    if fits {
        Ok(())
    } else {
        Err(refused_here("MALFORMED_REFERENCE", "the reference must have 1 to 40 characters"))
    }
}

/// Makes the error of a request that this crate refuses to send.
fn refused_here(code: &str, message: &str) -> ProviderError {
    ProviderError::Refused { status: 400, code: code.to_owned(), message: message.to_owned() }
}

/// Makes the error for a request that only reads, if its response cannot be understood.
pub(crate) fn unreadable(reason: String) -> ProviderError {
    ProviderError::Unreadable(reason)
}

/// Changes the error of a read that followed a refused write. If the read may be tried again, the outcome of the write
/// is unknown: an earlier attempt of the write may have succeeded and caused the refusal. Other errors stay as they
/// are.
pub(crate) fn unknown_without_look(error: ProviderError) -> ProviderError {
    match error {
        ProviderError::TryAgain { reason, .. } => ProviderError::UnknownOutcome { reason },
        ProviderError::CircuitOpen { .. } => ProviderError::UnknownOutcome {
            reason: "requests to the provider failed repeatedly, so no more are sent for a while".to_owned(),
        },
        other => other,
    }
}

/// Makes the error for a request that writes, if its response cannot be understood. The provider may have carried out
/// the request.
pub(crate) fn unreadable_write(reason: String) -> ProviderError {
    ProviderError::UnknownOutcome { reason }
}

/// The moment when the provider takes the money of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Capture {
    /// The provider takes the money as soon as the bank authorizes the payment. If the bank authorizes a payment at
    /// Razorpay more than 30 minutes after its creation, the payment stays `Authorized`. Then the application captures
    /// it if the order is still wanted. Otherwise Razorpay gives the money back.
    #[default]
    Automatic,
    /// The provider takes the money when the application calls `capture`.
    Manual,
}

/// A payment to create.
#[derive(Debug, Clone, Copy)]
pub struct NewPayment<'a> {
    /// The application's own id of the order, at most 40 characters (a limit of Razorpay). A report has it if the
    /// provider repeats it. It must be unique, because `create_again` finds the order at Razorpay by it.
    pub order_reference: &'a str,
    /// The amount that the buyer shall pay.
    pub money: &'a Amount,
    /// The application's idempotency key of the order, of any length. Within a day, Stripe carries out requests with
    /// the same key once. Use the same key for all tries of an order. Razorpay does not use the key.
    pub idempotency_key: &'a str,
    /// A short text for the provider's console. Do not put personal data into it.
    pub description: &'a str,
    /// The moment when the provider takes the money.
    pub capture: Capture,
}

/// A payment that exists at the provider, with the parameters to pay it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedPayment {
    /// The provider's id of the order: `order_…` at Razorpay, `pi_…` at Stripe.
    pub provider_order: String,
    /// The parameters with which the frontend lets the buyer pay.
    pub client: ClientParameters,
}

/// The parameters with which the frontend lets the buyer pay. Only the buyer of the order may see them.
#[derive(Clone, PartialEq, Eq)]
pub enum ClientParameters {
    /// The parameters of Razorpay Checkout.
    Razorpay {
        /// The public key: `rzp_live_…`.
        key_id: String,
        /// The id of the order at Razorpay.
        order_id: String,
    },
    /// The parameters of Stripe Elements.
    Stripe {
        /// The public key: `pk_live_…`.
        publishable_key: String,
        /// The client secret of this payment. Whoever has it can pay and read the payment. Never log it.
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
    /// The provider cannot cancel the payment, so it can still succeed. The application must decide what happens with
    /// money that arrives late. At Razorpay, every cancellation has this outcome, and this crate sends no request.
    StaysPayable,
    /// The money was captured before the cancellation. Read the payment with `fetch`.
    TooLate,
}

/// The values of a buyer's return from Razorpay's form. `payment` and `signature` come from the buyer through the
/// frontend, so they prove nothing until `verify_return` has verified the signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientReturn {
    /// The provider's id of the order, as the application stored it and not as the buyer sent it.
    pub provider_order: String,
    /// The id of the payment: `razorpay_payment_id`.
    pub payment: String,
    /// The signature of Razorpay over the ids of the order and the payment: `razorpay_signature`.
    pub signature: String,
}

/// A payment provider.
///
/// Each HTTP request with its repetitions ends within the total timeout of the configuration. A failed request is
/// repeated with backoff if it only reads, if carrying it out twice is harmless, or if the provider certainly did
/// nothing.
#[async_trait]
pub trait PaymentProvider: Send + Sync {
    /// The name of the provider.
    fn name(&self) -> ProviderName;

    /// Creates a payment. Use `create_again` instead if an earlier call for the same order may have reached the
    /// provider.
    async fn create(&self, new: &NewPayment<'_>) -> Result<CreatedPayment, ProviderError>;

    /// Returns the payment that an earlier call of `create` made. If that call made no payment, creates a payment. Use
    /// `create_again` if the outcome of the earlier call is unknown. `new` must have the same fields as in that call.
    /// At Stripe, use this function within a day of that call: later it creates another payment.
    async fn create_again(&self, new: &NewPayment<'_>) -> Result<CreatedPayment, ProviderError>;

    /// Returns the parameters with which the frontend lets the buyer pay an order that was created earlier. Sends no
    /// request to Razorpay, and reads the payment at Stripe.
    async fn client_parameters(&self, provider_order: &str) -> Result<ClientParameters, ProviderError>;

    /// Reads all payments of an order, oldest first. If nobody has tried to pay the order, the list is empty at
    /// Razorpay, and has one pending payment at Stripe.
    async fn fetch(&self, provider_order: &str) -> Result<Vec<PaymentReport>, ProviderError>;

    /// Captures an authorized payment. `money` must be its whole amount. If the payment is captured already, the call
    /// succeeds.
    async fn capture(&self, payment: &str, money: &Amount) -> Result<PaymentReport, ProviderError>;

    /// Cancels an order that is not paid yet, if the provider can cancel it.
    async fn cancel(&self, provider_order: &str) -> Result<CancelOutcome, ProviderError>;

    /// Refunds a payment, or a part of it. `reference` is the application's own id of the refund, at most 40
    /// characters, and different for each refund.
    ///
    /// Providers remember the outcome of each reference, also a refusal. So repeating a call is harmless, and a new try
    /// after a refusal needs a new reference. A provider may forget a reference after a day: read `refunds` before you
    /// repeat a call later.
    async fn refund(
        &self,
        payment: &str,
        money: &Amount,
        reference: &str,
    ) -> Result<RefundReport, ProviderError>;

    /// Reads all refunds of a payment, oldest first, also the refunds that were made at the provider's console. Fails
    /// if there are more than 1,000.
    async fn refunds(&self, payment: &str) -> Result<Vec<RefundReport>, ProviderError>;

    /// Verifies the signature and the account of a webhook, and reads its body. `headers` returns the value of a header
    /// by its name in lower case. `body` is the body exactly as it arrived. A signature of Stripe that was made more
    /// than five minutes before or after `now` is refused.
    fn verify_webhook(
        &self,
        headers: &(dyn Fn(&str) -> Option<String> + Sync),
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Webhook, WebhookError>;

    /// Verifies the signature of the values that a buyer brought back. A right signature proves that the buyer paid
    /// this order, but not how much: read the payment with `fetch` next. Stripe does not sign these values, so for
    /// Stripe the function always returns `NotSigned`.
    fn verify_return(&self, returned: &ClientReturn) -> Result<(), ReturnError>;
}
