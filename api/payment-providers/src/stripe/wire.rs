//! The parts of the objects of Stripe's API that this crate reads.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::{
    Amount, DisputeReport, DisputeState, PaymentReport, PaymentState, ProviderName, RefundReport,
    RefundState, money,
};

/// The key of the application's id of the order in the metadata of a payment.
pub(super) const ORDER_KEY: &str = "order_reference";
/// The key of the application's id of the refund in the metadata of a refund.
pub(super) const REFUND_KEY: &str = "refund_reference";

type Metadata = Option<HashMap<String, String>>;

fn entry(metadata: &Metadata, name: &str) -> Option<String> {
    metadata.as_ref()?.get(name).cloned()
}

fn time(seconds: Option<i64>) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(seconds?, 0)
}

fn money_of(amount: i64, currency: &str) -> Result<Amount, String> {
    money::from_provider(ProviderName::Stripe, amount, currency)
        .ok_or_else(|| format!("the amount {amount} {currency} cannot be converted into minor units"))
}

/// An object of Stripe's API that a response contains as a whole, or only by its id.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Expandable<T> {
    Id(String),
    Object(Box<T>),
}

/// An object of Stripe's API of which this crate reads only the id.
#[derive(Deserialize)]
pub(super) struct Identified {
    id: String,
}

fn id_of(object: Option<Expandable<Identified>>) -> Option<String> {
    Some(match object? {
        Expandable::Id(id) => id,
        Expandable::Object(object) => object.id,
    })
}

/// One page of a list in a response of Stripe.
#[derive(Deserialize)]
pub(super) struct List<T> {
    pub(super) data: Vec<T>,
    pub(super) has_more: bool,
}

#[derive(Deserialize)]
pub(super) struct PaymentIntent {
    pub(super) id: String,
    amount: i64,
    #[serde(default)]
    amount_received: i64,
    currency: String,
    pub(super) status: String,
    pub(super) client_secret: Option<String>,
    metadata: Metadata,
    latest_charge: Option<Expandable<Charge>>,
    last_payment_error: Option<PaymentError>,
    created: Option<i64>,
}

#[derive(Deserialize)]
struct PaymentError {
    code: Option<String>,
    decline_code: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Charge {
    amount: i64,
    #[serde(default)]
    amount_captured: i64,
    amount_refunded: i64,
    captured: bool,
    currency: String,
    payment_intent: Option<Expandable<Identified>>,
    payment_method_details: Option<MethodDetails>,
    metadata: Metadata,
    created: Option<i64>,
}

#[derive(Deserialize)]
struct MethodDetails {
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl PaymentIntent {
    pub(super) fn report(self, account: Option<String>) -> Result<PaymentReport, String> {
        let state = match self.status.as_str() {
            // After a failed attempt, the payment waits for another payment method, so the buyer can still pay it.
            "requires_payment_method" if self.last_payment_error.is_some() => PaymentState::Failed,
            "requires_payment_method" | "requires_confirmation" | "requires_action" | "processing" => {
                PaymentState::Pending
            }
            "requires_capture" => PaymentState::Authorized,
            "succeeded" => PaymentState::Captured,
            "canceled" => PaymentState::Cancelled,
            other => return Err(format!("a payment has the unknown status {other}")),
        };
        let amount = if state == PaymentState::Captured { self.amount_received } else { self.amount };
        let (method, refunded) = match self.latest_charge {
            Some(Expandable::Object(charge)) => {
                let refunded = money_of(charge.amount_refunded, &charge.currency)?.amount_minor;
                (charge.payment_method_details.and_then(|details| details.kind), Some(refunded))
            }
            Some(Expandable::Id(_)) | None => (None, None),
        };
        Ok(PaymentReport {
            payment: Some(self.id.clone()),
            provider_order: self.id,
            order_reference: entry(&self.metadata, ORDER_KEY),
            state,
            money: money_of(amount, &self.currency)?,
            refunded_minor: refunded,
            method,
            failure: self.last_payment_error.and_then(|error| error.decline_code.or(error.code)),
            account,
            created_at: time(self.created),
        })
    }
}

impl Charge {
    /// Makes the report of the payment to which a captured charge belongs. Returns `None` if the charge is not
    /// captured, or was made without a PaymentIntent.
    pub(super) fn report(self, account: Option<String>) -> Result<Option<PaymentReport>, String> {
        let Some(intent) = id_of(self.payment_intent) else {
            return Ok(None);
        };
        if !self.captured {
            return Ok(None);
        }
        let amount = if self.amount_captured > 0 { self.amount_captured } else { self.amount };
        Ok(Some(PaymentReport {
            payment: Some(intent.clone()),
            provider_order: intent,
            order_reference: entry(&self.metadata, ORDER_KEY),
            state: PaymentState::Captured,
            money: money_of(amount, &self.currency)?,
            refunded_minor: Some(money_of(self.amount_refunded, &self.currency)?.amount_minor),
            method: self.payment_method_details.and_then(|details| details.kind),
            failure: None,
            account,
            created_at: time(self.created),
        }))
    }
}

#[derive(Deserialize)]
pub(super) struct Refund {
    pub(super) id: String,
    amount: i64,
    currency: String,
    status: Option<String>,
    payment_intent: Option<Expandable<Identified>>,
    metadata: Metadata,
    failure_reason: Option<String>,
    created: Option<i64>,
}

impl Refund {
    /// Makes the report of a refund. Returns `None` if the refunded charge was made without a PaymentIntent.
    pub(super) fn report(self, account: Option<String>) -> Result<Option<RefundReport>, String> {
        let Some(payment) = id_of(self.payment_intent) else {
            return Ok(None);
        };
        let state = match self.status.as_deref() {
            Some("pending" | "requires_action") | None => RefundState::Pending,
            Some("succeeded") => RefundState::Settled,
            Some("failed" | "canceled") => RefundState::Failed,
            Some(other) => return Err(format!("a refund has the unknown status {other}")),
        };
        Ok(Some(RefundReport {
            refund: self.id,
            payment,
            state,
            money: money_of(self.amount, &self.currency)?,
            reference: entry(&self.metadata, REFUND_KEY),
            failure: self.failure_reason,
            account,
            created_at: time(self.created),
        }))
    }
}

#[derive(Deserialize)]
pub(super) struct Dispute {
    id: String,
    amount: i64,
    currency: String,
    status: String,
    payment_intent: Option<Expandable<Identified>>,
    reason: Option<String>,
    evidence_details: Option<EvidenceDetails>,
}

#[derive(Deserialize)]
struct EvidenceDetails {
    due_by: Option<i64>,
}

impl Dispute {
    /// Makes the report of a dispute. Returns `None` if the disputed charge was made without a PaymentIntent.
    pub(super) fn report(self, account: Option<String>) -> Result<Option<DisputeReport>, String> {
        let Some(payment) = id_of(self.payment_intent) else {
            return Ok(None);
        };
        let state = match self.status.as_str() {
            "won" => DisputeState::Won,
            "lost" => DisputeState::Lost,
            "warning_closed" | "prevented" => DisputeState::Closed,
            // Any other status is read as a dispute that is not decided: the bank waits for a response, reviews the
            // dispute or an appeal, or warns that a dispute may come.
            _ => DisputeState::Open,
        };
        Ok(Some(DisputeReport {
            dispute: self.id,
            payment,
            state,
            money: money_of(self.amount, &self.currency)?,
            reason: self.reason,
            respond_by: time(self.evidence_details.and_then(|details| details.due_by)),
            account,
        }))
    }
}

/// Reads the code and the message of an error from the body of a response. The code is `UNREADABLE` if the body is not
/// an error of Stripe, and `UNKNOWN` if the error has no code and no type.
pub(super) fn explain(body: &[u8]) -> (String, String) {
    #[derive(Deserialize)]
    struct Body {
        error: Error,
    }
    #[derive(Deserialize)]
    struct Error {
        #[serde(rename = "type")]
        kind: Option<String>,
        code: Option<String>,
        message: Option<String>,
    }
    let Ok(Body { error }) = serde_json::from_slice(body) else {
        return (
            "UNREADABLE".to_owned(),
            "the body of the refusal is not an error in Stripe's JSON format".to_owned(),
        );
    };
    (error.code.or(error.kind).unwrap_or_else(|| "UNKNOWN".to_owned()), error.message.unwrap_or_default())
}
