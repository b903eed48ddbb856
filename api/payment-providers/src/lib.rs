//! Payments at Razorpay and Stripe behind one trait, [`PaymentProvider`].
//!
//! The crate sends requests to the providers, reads their responses, and verifies webhooks and what a buyer brings
//! back. It stores nothing: the application stores its orders, and decides what a report of a payment means for them.

mod config;
mod error;
mod http;
mod money;
mod provider;
mod provider_name;
mod razorpay;
mod report;
mod signature;
mod stripe;
mod webhook;

pub use config::{ConfigError, read_secret_file};
pub use error::{AmountError, ProviderError, ReturnError, WebhookError};
pub use http::{CircuitOptions, HttpOptions};
pub use money::{Amount, check_amount};
pub use provider::{
    CancelOutcome, Capture, ClientParameters, ClientReturn, CreatedPayment, MAX_REFERENCE_CHARACTERS,
    NewPayment, PaymentProvider,
};
pub use provider_name::{ProviderName, UnknownProviderName};
pub use razorpay::{Razorpay, RazorpayConfig};
pub use report::{DisputeReport, DisputeState, PaymentReport, PaymentState, RefundReport, RefundState};
/// The trait that reveals the text of a secret.
pub use secrecy::ExposeSecret;
/// A secret text. Its debug output hides the text, and its memory is wiped when it is dropped.
pub use secrecy::SecretString;
pub use stripe::{STRIPE_VERSION, Stripe, StripeConfig};
/// A URL, such as the address of the API of a provider.
pub use url::Url;
pub use webhook::{Webhook, WebhookEvent};
