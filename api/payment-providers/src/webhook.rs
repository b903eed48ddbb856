//! Webhooks: the requests with which a provider reports a change without being asked.

use chrono::{DateTime, Utc};

use crate::{DisputeReport, PaymentReport, RefundReport};

/// A webhook whose signature was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The provider's id of the event. It is the same for each repetition of the webhook. Razorpay sends it in a header
    /// that the signature does not cover, so whoever can replay a webhook can change the id. Handling an event twice
    /// must therefore be harmless. `None` if Razorpay did not send the header.
    pub event_id: Option<String>,
    /// The provider's name of the kind of event, for logs and metrics: `payment.captured`, `charge.refunded`.
    pub kind: String,
    /// The time at which the provider made the event, if the body has it. Webhooks arrive in any order.
    pub created_at: Option<DateTime<Utc>>,
    /// The id of the account at the provider, if the body names it.
    pub account: Option<String>,
    /// The content of the event.
    pub event: WebhookEvent,
}

/// The content of a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookEvent {
    /// A payment changed. The report has its new state.
    Payment(PaymentReport),
    /// A refund changed. The report has its new state.
    Refund(RefundReport),
    /// A dispute changed. The report has its new state.
    Dispute(DisputeReport),
    /// An event that gives no report: this crate does not read events of this name, or the object in the event belongs
    /// to no order. The text is the provider's name of the event. Respond with success, so that the provider does not
    /// send the webhook again.
    Ignored(String),
}
