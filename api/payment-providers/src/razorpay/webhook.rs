//! The webhooks of Razorpay.

use chrono::DateTime;
use serde::Deserialize;

use super::{
    Razorpay,
    wire::{Dispute, Order, Payment, Refund},
};
use crate::{Webhook, WebhookError, WebhookEvent, signature};

#[derive(Deserialize)]
struct Event {
    account_id: Option<String>,
    event: String,
    payload: serde_json::Value,
    created_at: Option<i64>,
}

/// The objects in an event of Razorpay. An event contains only some of these objects.
#[derive(Deserialize)]
struct Payload {
    payment: Option<Holder<Payment>>,
    order: Option<Holder<Order>>,
    refund: Option<Holder<Refund>>,
    dispute: Option<Holder<Dispute>>,
}

#[derive(Deserialize)]
struct Holder<T> {
    entity: T,
}

impl Razorpay {
    /// Verifies the signature and the account of a webhook, and reads its body. Returns the event `Ignored` if this
    /// crate does not read this kind of event, or if it reports a payment that was made without an order.
    pub(super) fn read_webhook(
        &self,
        headers: &(dyn Fn(&str) -> Option<String> + Sync),
        body: &[u8],
    ) -> Result<Webhook, WebhookError> {
        if self.webhook_secrets.is_empty() {
            return Err(WebhookError::NotConfigured);
        }
        let signature = headers("x-razorpay-signature").ok_or(WebhookError::NoSignature)?;
        if !self.webhook_secrets.iter().any(|secret| signature::verifies(secret, &[body], signature.trim())) {
            return Err(WebhookError::BadSignature);
        }

        let event: Event =
            serde_json::from_slice(body).map_err(|error| WebhookError::unexpected_json(&error))?;
        if let (Some(ours), Some(theirs)) = (&self.account_id, &event.account_id)
            && ours != theirs
        {
            return Err(WebhookError::OtherAccount(theirs.clone()));
        }
        Ok(Webhook {
            event_id: headers("x-razorpay-event-id"),
            created_at: event.created_at.and_then(|seconds| DateTime::from_timestamp(seconds, 0)),
            account: event.account_id.clone(),
            kind: event.event.clone(),
            event: read_event(event)?,
        })
    }
}

fn read_event(event: Event) -> Result<WebhookEvent, WebhookError> {
    let kind = event.event;
    let account = event.account_id;
    let is_payment = matches!(
        kind.as_str(),
        "payment.authorized" | "payment.captured" | "payment.failed" | "payment.pending" | "order.paid"
    );
    let is_refund = kind.starts_with("refund.");
    let is_dispute = kind.starts_with("payment.dispute.");
    if !is_payment && !is_refund && !is_dispute {
        return Ok(WebhookEvent::Ignored(kind));
    }

    let payload: Payload =
        serde_json::from_value(event.payload).map_err(|error| WebhookError::unexpected_json(&error))?;
    let missing = || {
        WebhookError::Unreadable(format!("the event {kind} does not contain the object that it reports on"))
    };
    if is_refund {
        let refund = payload.refund.ok_or_else(missing)?.entity;
        return refund.report(account).map(WebhookEvent::Refund).map_err(WebhookError::Unreadable);
    }
    if is_dispute {
        let dispute = payload.dispute.ok_or_else(missing)?.entity;
        return dispute.report(account).map(WebhookEvent::Dispute).map_err(WebhookError::Unreadable);
    }
    let payment = payload.payment.ok_or_else(missing)?.entity;
    // A payment without an order was made with a payment link or a payment page of the same account. The payment does
    // not belong to an order of the application.
    if !payment.has_order() {
        return Ok(WebhookEvent::Ignored(kind));
    }
    let mut report = payment.report(account).map_err(WebhookError::Unreadable)?;
    // Only the order names its reference. The application wrote it, and a buyer cannot change it.
    report.order_reference = payload.order.and_then(|order| order.entity.reference());
    Ok(WebhookEvent::Payment(report))
}
