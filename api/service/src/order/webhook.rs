//! Receives the webhooks of the payment provider.

use jishu_entity::payment_event::PaymentEventSource;
use jishu_service_macros::service_call;
use payment_providers::{ProviderName, WebhookError, WebhookEvent};

use super::record::record;
use super::report::Report;
use super::work::Origin;
use crate::Services;
use crate::error::Fault;

/// Maximum number of characters in the provider's id of a webhook. A longer id is not stored.
const MAX_EVENT_ID_CHARS: usize = 128;

/// The response to a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookResponse {
    /// The report of the webhook was handled, or the server ignores webhooks of this kind.
    Accepted,
    /// The server is not configured for this provider.
    NotConfigured,
    /// The webhook was refused: its signature is wrong, missing or too old, or it belongs to another account or mode.
    /// Nothing was stored.
    NotVerified,
    /// The signature is right, but the content cannot be read. Nothing was stored.
    Unreadable,
}

/// Verifies a webhook, and records its report about a payment, a refund or a dispute.
///
/// # Errors
/// Fails if the report could not be recorded. The provider then sends the webhook again.
#[service_call("order.receive")]
pub async fn receive(
    services: &Services,
    provider: &str,
    headers: &(dyn Fn(&str) -> Option<String> + Sync),
    body: &[u8],
) -> Result<WebhookResponse, Fault> {
    let (Some(payments), Ok(name)) = (services.payments.as_deref(), provider.parse::<ProviderName>()) else {
        return Ok(WebhookResponse::NotConfigured);
    };
    let Some(gateway) = payments.gateway.as_ref().filter(|gateway| gateway.name() == name) else {
        return Ok(WebhookResponse::NotConfigured);
    };
    let webhook = match gateway.verify_webhook(headers, body, services.clock.now()) {
        Ok(webhook) => webhook,
        Err(WebhookError::NotConfigured) => return Ok(WebhookResponse::NotConfigured),
        Err(error @ WebhookError::Unreadable(_)) => {
            tracing::warn!(provider, %error, "a webhook has the right signature, but its content cannot be read; nothing was stored");
            return Ok(WebhookResponse::Unreadable);
        }
        Err(error) => {
            tracing::warn!(provider, %error, "a webhook was refused; nothing was stored");
            return Ok(WebhookResponse::NotVerified);
        }
    };
    let report = match webhook.event {
        WebhookEvent::Payment(payment) => Report::Payment(payment),
        WebhookEvent::Refund(refund) => Report::Refund(refund),
        WebhookEvent::Dispute(dispute) => Report::Dispute(dispute),
        WebhookEvent::Ignored(_) => return Ok(WebhookResponse::Accepted),
    };
    let is_plain =
        |id: &String| id.len() <= MAX_EVENT_ID_CHARS && id.bytes().all(|byte| byte.is_ascii_graphic());
    let event_id = webhook.event_id.filter(is_plain);
    let origin = Origin { source: PaymentEventSource::Webhook, event_id, by: None };
    record(services, payments.provider, report, origin).await?;
    Ok(WebhookResponse::Accepted)
}
