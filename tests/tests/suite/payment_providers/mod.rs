//! The crate `payment-providers` against fakes of Razorpay and Stripe, over HTTP.

mod outcomes;
mod razorpay;
mod storm;
mod stripe;

use jishu_tests::payments::{Outbox, UnsentWebhook};
use payment_providers::{
    Amount, Capture, NewPayment, PaymentProvider, ProviderError, Webhook, WebhookError, WebhookEvent,
};

/// Returns an amount of 499 rupees.
fn rupees() -> Amount {
    Amount::new(499_00, "INR")
}

fn new<'a>(reference: &'a str, money: &'a Amount) -> NewPayment<'a> {
    NewPayment {
        order_reference: reference,
        money,
        idempotency_key: reference,
        description: "Physics, 50 mock tests",
        capture: Capture::Automatic,
    }
}

/// Verifies a webhook with the headers that the fake would send with it now.
fn verify(
    provider: &dyn PaymentProvider,
    outbox: &Outbox,
    event: &UnsentWebhook,
) -> Result<Webhook, WebhookError> {
    verify_body(provider, &outbox.headers(event), &event.body)
}

fn verify_body(
    provider: &dyn PaymentProvider,
    headers: &[(String, String)],
    body: &[u8],
) -> Result<Webhook, WebhookError> {
    let header = |name: &str| {
        let found = headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone())
    };
    provider.verify_webhook(&header, body, chrono::Utc::now())
}

/// Takes all webhooks that the fake has queued, and verifies them. Panics if a webhook does not verify.
fn received(provider: &dyn PaymentProvider, outbox: &Outbox) -> Vec<Webhook> {
    outbox.take().iter().map(|event| verify(provider, outbox, event).expect("a right webhook")).collect()
}

/// Returns the kinds of the webhooks, without the webhooks that the crate ignores.
fn kinds(webhooks: &[Webhook]) -> Vec<&str> {
    let read = webhooks.iter().filter(|webhook| !matches!(webhook.event, WebhookEvent::Ignored(_)));
    read.map(|webhook| webhook.kind.as_str()).collect()
}

fn code(error: &ProviderError) -> &str {
    match error {
        ProviderError::Refused { code, .. } => code,
        _ => "",
    }
}
