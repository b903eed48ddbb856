//! The webhooks, which a provider sends by itself.

use chrono::{DateTime, Utc};

use crate::{DisputeReport, PaymentReport, RefundReport};

/// A webhook whose signature was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The id of the event: the same for each repetition. Razorpay sends it in a header that its signature does not cover, so
    /// whoever can replay a webhook can change it. Handling an event twice must therefore be harmless.
    pub event_id: Option<String>,
    /// The provider's name of the event, for logs and metrics: `payment.captured`, `charge.refunded`.
    pub kind: String,
    /// The time at which the provider made the event. Webhooks arrive in any order.
    pub created_at: Option<DateTime<Utc>>,
    /// The account at the provider, if the body names it.
    pub account: Option<String>,
    /// The content of the event.
    pub event: WebhookEvent,
}

/// The content of a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookEvent {
    /// A payment changed.
    Payment(PaymentReport),
    /// A refund changed.
    Refund(RefundReport),
    /// A dispute changed.
    Dispute(DisputeReport),
    /// Nothing that this crate reads. Answer with success, so that the provider does not send it again. Holds the name of the
    /// event.
    Ignored(String),
}
