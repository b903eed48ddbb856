//! The reports of a provider about payments, refunds and disputes.

use chrono::{DateTime, Utc};

use crate::Amount;

/// The state of one payment.
///
/// `Failed` is not final. At Stripe the buyer can pay the same payment with another card. At Razorpay a bank can report the
/// success of a failed payment days later. `Captured` and `Cancelled` are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PaymentState {
    /// The buyer has not finished, or the bank is still working.
    Pending,
    /// The bank reserved the money. It must be captured, or the provider gives it back after some days.
    Authorized,
    /// The money was taken. It can only be refunded.
    Captured,
    /// The attempt failed.
    Failed,
    /// The payment was cancelled and can no longer be paid.
    Cancelled,
}

/// A payment as the provider has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentReport {
    /// The provider's order: `order_…` at Razorpay, `pi_…` at Stripe. Empty if a payment at Razorpay was made without an order.
    pub provider_order: String,
    /// The payment, which `capture` and `refund` take: `pay_…` at Razorpay. At Stripe it is the order itself, because a
    /// PaymentIntent is captured at most once.
    pub payment: Option<String>,
    /// The `order_reference` that `create` was given.
    pub order_reference: Option<String>,
    /// The state.
    pub state: PaymentState,
    /// The amount of the payment. Compare it with the amount of the order before anything is granted.
    pub money: Amount,
    /// The amount that was refunded, in minor units, if the provider tells it.
    pub refunded_minor: Option<i64>,
    /// The means by which the buyer paid, in the provider's words: `upi`, `card`, `netbanking`.
    pub method: Option<String>,
    /// The provider's code of the failure.
    pub failure: Option<String>,
    /// The account at the provider, if the provider says so.
    pub account: Option<String>,
    /// The time at which the provider made the payment.
    pub created_at: Option<DateTime<Utc>>,
}

/// The state of a refund.
///
/// A settled refund can still fail later, if the bank sends the money back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefundState {
    /// The provider is working on it.
    Pending,
    /// The money went to the bank of the buyer.
    Settled,
    /// The money came back, or the refund was cancelled.
    Failed,
}

/// A refund as the provider has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundReport {
    /// The provider's id of the refund.
    pub refund: String,
    /// The payment that was refunded, as [`PaymentReport::payment`] names it.
    pub payment: String,
    /// The state.
    pub state: RefundState,
    /// The amount of this refund.
    pub money: Amount,
    /// The reference that `refund` was given. `None` if the refund was made at the provider's console.
    pub reference: Option<String>,
    /// The provider's code of the failure.
    pub failure: Option<String>,
    /// The account at the provider, if the provider says so.
    pub account: Option<String>,
    /// The time at which the provider made the refund.
    pub created_at: Option<DateTime<Utc>>,
}

/// The state of a dispute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DisputeState {
    /// The buyer's bank asks, or has taken the money back for now.
    Open,
    /// The seller keeps the money.
    Won,
    /// The buyer has the money back.
    Lost,
    /// The dispute ended without a decision, or the seller accepted it; the provider's console tells which.
    Closed,
}

/// A dispute (chargeback) as the provider has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisputeReport {
    /// The provider's id of the dispute.
    pub dispute: String,
    /// The payment, as [`PaymentReport::payment`] names it.
    pub payment: String,
    /// The state.
    pub state: DisputeState,
    /// The disputed amount.
    pub money: Amount,
    /// The reason in the provider's words.
    pub reason: Option<String>,
    /// The time until which the seller can answer.
    pub respond_by: Option<DateTime<Utc>>,
    /// The account at the provider, if the provider says so.
    pub account: Option<String>,
}
