//! The parts of the objects of Razorpay's API that this crate reads.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::{
    Amount, DisputeReport, DisputeState, PaymentReport, PaymentState, ProviderName, RefundReport,
    RefundState, money,
};

/// The name of the note with the application's id of an order. The receipt of the order has the same id.
pub(super) const ORDER_NOTE: &str = "order_reference";
/// The name of the note with the application's id of a refund. The receipt of the refund has the same id.
pub(super) const REFUND_NOTE: &str = "refund_reference";

/// One page of a list in a response of Razorpay.
#[derive(Deserialize)]
pub(super) struct Collection<T> {
    pub(super) items: Vec<T>,
}

/// Reads the notes of an object. Razorpay sends a map, or an empty array if there are no notes. Anything that is not a
/// map is read as no notes.
fn notes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HashMap<String, Value>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Notes {
        Map(HashMap<String, Value>),
        Other(serde::de::IgnoredAny),
    }
    Ok(match Notes::deserialize(deserializer)? {
        Notes::Map(map) => map,
        Notes::Other(_) => HashMap::new(),
    })
}

fn note(notes: &HashMap<String, Value>, name: &str) -> Option<String> {
    notes.get(name)?.as_str().map(str::to_owned)
}

fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn time(seconds: Option<i64>) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(seconds?, 0)
}

fn money_of(amount: i64, currency: &str) -> Result<Amount, String> {
    money::from_provider(ProviderName::Razorpay, amount, currency)
        .ok_or_else(|| format!("the amount {amount} {currency} cannot be converted into minor units"))
}

#[derive(Deserialize)]
pub(super) struct Order {
    pub(super) id: String,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) receipt: Option<String>,
    pub(super) status: String,
    #[serde(default, deserialize_with = "notes")]
    notes: HashMap<String, Value>,
    #[serde(default)]
    pub(super) created_at: i64,
}

impl Order {
    pub(super) fn reference(&self) -> Option<String> {
        note(&self.notes, ORDER_NOTE).or_else(|| filled(self.receipt.clone()))
    }
}

#[derive(Deserialize)]
pub(super) struct Payment {
    pub(super) id: String,
    amount: i64,
    currency: String,
    status: String,
    order_id: Option<String>,
    method: Option<String>,
    #[serde(default)]
    amount_refunded: Option<i64>,
    captured: Option<bool>,
    error_code: Option<String>,
    error_reason: Option<String>,
    created_at: Option<i64>,
}

impl Payment {
    /// Whether the payment belongs to an order. Payments of other products of Razorpay, such as payment links, do not.
    pub(super) fn has_order(&self) -> bool {
        self.order_id.as_ref().is_some_and(|id| !id.is_empty())
    }

    pub(super) fn is_captured(&self) -> bool {
        match self.status.as_str() {
            "captured" => true,
            // If nobody captures an authorized payment in time, Razorpay gives the money back. The status of the
            // payment is then `refunded`, but `captured` is false.
            "refunded" => self.captured != Some(false),
            _ => false,
        }
    }

    /// Makes the report of the payment. The report has no reference of the order: a buyer can write the notes of a
    /// payment, so they do not prove to which order it belongs.
    pub(super) fn report(self, account: Option<String>) -> Result<PaymentReport, String> {
        let state = match self.status.as_str() {
            "created" => PaymentState::Pending,
            "authorized" => PaymentState::Authorized,
            // A refund does not undo a capture: the refund has a report of its own.
            "captured" | "refunded" if self.is_captured() => PaymentState::Captured,
            "captured" | "refunded" => PaymentState::Cancelled,
            "failed" => PaymentState::Failed,
            other => return Err(format!("a payment has the unknown status {other}")),
        };
        let refunded = match self.amount_refunded {
            Some(amount) => Some(money_of(amount, &self.currency)?.amount_minor),
            None => None,
        };
        Ok(PaymentReport {
            provider_order: self.order_id.unwrap_or_default(),
            order_reference: None,
            state,
            money: money_of(self.amount, &self.currency)?,
            refunded_minor: refunded,
            method: filled(self.method),
            failure: filled(self.error_reason).or_else(|| filled(self.error_code)),
            account,
            created_at: time(self.created_at),
            payment: Some(self.id),
        })
    }
}

#[derive(Deserialize)]
pub(super) struct Refund {
    id: String,
    amount: i64,
    currency: String,
    payment_id: String,
    status: String,
    receipt: Option<String>,
    #[serde(default, deserialize_with = "notes")]
    notes: HashMap<String, Value>,
    created_at: Option<i64>,
}

impl Refund {
    pub(super) fn report(self, account: Option<String>) -> Result<RefundReport, String> {
        let state = match self.status.as_str() {
            "pending" => RefundState::Pending,
            "processed" => RefundState::Settled,
            "failed" => RefundState::Failed,
            other => return Err(format!("a refund has the unknown status {other}")),
        };
        Ok(RefundReport {
            money: money_of(self.amount, &self.currency)?,
            reference: note(&self.notes, REFUND_NOTE).or_else(|| filled(self.receipt)),
            refund: self.id,
            payment: self.payment_id,
            state,
            failure: None,
            account,
            created_at: time(self.created_at),
        })
    }
}

#[derive(Deserialize)]
pub(super) struct Dispute {
    id: String,
    payment_id: String,
    amount: i64,
    currency: String,
    status: String,
    reason_code: Option<String>,
    respond_by: Option<i64>,
}

impl Dispute {
    pub(super) fn report(self, account: Option<String>) -> Result<DisputeReport, String> {
        let state = match self.status.as_str() {
            "won" => DisputeState::Won,
            "lost" => DisputeState::Lost,
            "closed" => DisputeState::Closed,
            // Any other status, such as `open` or `under_review`, is read as a dispute that has not ended.
            _ => DisputeState::Open,
        };
        Ok(DisputeReport {
            money: money_of(self.amount, &self.currency)?,
            dispute: self.id,
            payment: self.payment_id,
            state,
            reason: filled(self.reason_code),
            respond_by: time(self.respond_by),
            account,
        })
    }
}

/// Reads the code and the message of an error from the body of a response. The code is `UNREADABLE` if the body is not
/// an error of Razorpay, and `UNKNOWN` if the error has no code.
pub(super) fn explain(body: &[u8]) -> (String, String) {
    #[derive(Deserialize)]
    struct Body {
        error: Error,
    }
    #[derive(Deserialize)]
    struct Error {
        code: Option<String>,
        description: Option<String>,
        reason: Option<String>,
        field: Option<String>,
    }
    let Ok(Body { error }) = serde_json::from_slice(body) else {
        return (
            "UNREADABLE".to_owned(),
            "the body of the refusal is not an error in Razorpay's JSON format".to_owned(),
        );
    };
    let mut message = error.description.unwrap_or_default();
    for (name, value) in [("field", error.field), ("reason", error.reason)] {
        if let Some(value) = value.filter(|value| !value.is_empty() && value != "NA") {
            message.push_str(&format!(" ({name}: {value})"));
        }
    }
    (error.code.unwrap_or_else(|| "UNKNOWN".to_owned()), message)
}
