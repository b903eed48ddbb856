//! The webhooks of Stripe.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Stripe,
    wire::{Charge, Dispute, PaymentIntent, Refund},
};
use crate::{Webhook, WebhookError, WebhookEvent, signature};

/// Maximum difference between the time of a signature and the server's time, in seconds. It limits how long a recorded
/// webhook can be replayed.
const TOLERANCE_SECONDS: i64 = 300;
/// Maximum number of signatures in the header of a webhook that are compared. The rest are ignored.
const MAX_SIGNATURES: usize = 10;

#[derive(Deserialize)]
struct Event {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    livemode: bool,
    account: Option<String>,
    created: Option<i64>,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Value,
}

/// The contents of the header `Stripe-Signature`, such as `t=1614556800,v1=5257a8…,v1=b3c2…,v0=…`.
struct SignatureHeader<'a> {
    time: &'a str,
    signatures: Vec<&'a str>,
}

impl<'a> SignatureHeader<'a> {
    fn read(header: &'a str) -> Option<Self> {
        let mut time = None;
        let mut signatures = Vec::new();
        for part in header.split(',') {
            match part.trim().split_once('=') {
                Some(("t", value)) => time = Some(value),
                Some(("v1", value)) if signatures.len() < MAX_SIGNATURES => signatures.push(value),
                // A signature `v0` is ignored, because Stripe makes it only for tests.
                _ => {}
            }
        }
        Some(Self { time: time?, signatures }).filter(|header| !header.signatures.is_empty())
    }
}

impl Stripe {
    /// Verifies the signature and the account of a webhook, and reads its body. Returns the event `Ignored` if this
    /// crate does not read this kind of event, or if the object in the event gives no report.
    pub(super) fn read_webhook(
        &self,
        headers: &(dyn Fn(&str) -> Option<String> + Sync),
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Webhook, WebhookError> {
        if self.webhook_secrets.is_empty() {
            return Err(WebhookError::NotConfigured);
        }
        let header = headers("stripe-signature").ok_or(WebhookError::NoSignature)?;
        let header = SignatureHeader::read(&header).ok_or(WebhookError::NoSignature)?;
        let signed_at: i64 = header.time.parse().map_err(|_| WebhookError::NoSignature)?;
        let parts = [header.time.as_bytes(), b".", body];
        let verified = self
            .webhook_secrets
            .iter()
            .any(|secret| header.signatures.iter().any(|given| signature::verifies(secret, &parts, given)));
        if !verified {
            return Err(WebhookError::BadSignature);
        }
        let seconds = now.timestamp().saturating_sub(signed_at).saturating_abs();
        if seconds > TOLERANCE_SECONDS {
            return Err(WebhookError::Stale { seconds });
        }

        let event: Event =
            serde_json::from_slice(body).map_err(|error| WebhookError::unexpected_json(&error))?;
        self.check_account(&event)?;
        Ok(Webhook {
            event_id: Some(event.id.clone()),
            created_at: event.created.and_then(|seconds| DateTime::from_timestamp(seconds, 0)),
            account: event.account.clone(),
            kind: event.kind.clone(),
            event: read_event(event)?,
        })
    }

    fn check_account(&self, event: &Event) -> Result<(), WebhookError> {
        if event.livemode != self.live_mode {
            let mode = if event.livemode { "live mode" } else { "test mode" };
            return Err(WebhookError::OtherAccount(mode.to_owned()));
        }
        match &event.account {
            // Only an event of a connected account names an account.
            Some(account) if self.account_id.as_ref() != Some(account) => {
                Err(WebhookError::OtherAccount(account.clone()))
            }
            _ => Ok(()),
        }
    }
}

fn read_event(event: Event) -> Result<WebhookEvent, WebhookError> {
    let Event { kind, account, data, .. } = event;
    // The name of an event does not say which kind of object it contains: `charge.refund.updated` and `refund.updated`
    // contain a refund, but `charge.refunded` contains a charge. So the kind of the object is read, too.
    let object_kind = data.object.get("object").and_then(Value::as_str).unwrap_or_default().to_owned();
    let read = match (kind.as_str(), object_kind.as_str()) {
        (name, "payment_intent") if name.starts_with("payment_intent.") => {
            let intent: PaymentIntent = object(data)?;
            intent.report(account).map(|report| Some(WebhookEvent::Payment(report)))
        }
        ("charge.refunded", "charge") => {
            let charge: Charge = object(data)?;
            charge.report(account).map(|report| report.map(WebhookEvent::Payment))
        }
        ("refund.created" | "refund.updated" | "refund.failed" | "charge.refund.updated", "refund") => {
            let refund: Refund = object(data)?;
            refund.report(account).map(|report| report.map(WebhookEvent::Refund))
        }
        (name, "dispute") if name.starts_with("charge.dispute.") => {
            let dispute: Dispute = object(data)?;
            dispute.report(account).map(|report| report.map(WebhookEvent::Dispute))
        }
        _ => Ok(None),
    };
    Ok(read.map_err(WebhookError::Unreadable)?.unwrap_or(WebhookEvent::Ignored(kind)))
}

fn object<T: serde::de::DeserializeOwned>(data: Data) -> Result<T, WebhookError> {
    serde_json::from_value(data.object).map_err(|error| WebhookError::unexpected_json(&error))
}
