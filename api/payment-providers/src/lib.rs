//! Payments at Razorpay and Stripe behind one trait, [`PaymentProvider`].
//!
//! The crate speaks to the providers and verifies what they send. It stores nothing: the application keeps its orders, and
//! decides what a report of a payment means for them.

mod error;
mod money;
mod provider;
mod report;
mod webhook;

pub use error::{AmountError, ProviderError, ReturnError, WebhookError};
pub use money::Money;
pub use provider::{
    CancelOutcome, Capture, ClientParameters, ClientReturn, CreatedPayment, NewPayment, PaymentProvider,
    ProviderName, UnknownProviderName,
};
pub use report::{DisputeReport, DisputeState, PaymentReport, PaymentState, RefundReport, RefundState};
pub use webhook::{Webhook, WebhookEvent};
