//! The reports of a provider about payments, refunds and disputes.

use chrono::{DateTime, Utc};

use crate::Amount;

/// The state of one payment.
///
/// `Failed` is not final. At Stripe the buyer can pay the same payment with another card. At Razorpay a bank can report
/// days later that a failed payment succeeded. `Captured` and `Cancelled` are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PaymentState {
    /// The buyer has not finished the payment, or the bank is still working on it.
    Pending,
    /// The bank reserved the money. The money must be captured, or the provider gives it back after some days.
    Authorized,
    /// The provider took the money. It can only be refunded now.
    Captured,
    /// The buyer's last try to pay failed. A later try can succeed.
    Failed,
    /// The payment can no longer be paid: it was cancelled, or Razorpay gave the money back because nobody captured the
    /// payment in time.
    Cancelled,
}

/// A payment in the state that the provider reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentReport {
    /// The provider's id of the order: `order_…` at Razorpay, `pi_…` at Stripe. Empty if a payment at Razorpay was made
    /// without an order.
    pub provider_order: String,
    /// The id of the payment, which `capture` and `refund` take: `pay_…` at Razorpay. At Stripe it is the same as
    /// `provider_order`, because a PaymentIntent is captured at most once. Both providers always report it.
    pub payment: Option<String>,
    /// The `order_reference` that was given to `create`. `None` if the provider's payment has no such reference. At
    /// Razorpay only the event `order.paid` has it, because a buyer can write the notes of a payment.
    pub order_reference: Option<String>,
    /// The state of the payment.
    pub state: PaymentState,
    /// The amount of the payment. Compare it with the amount of the order before anything is granted.
    pub money: Amount,
    /// The part of the amount that was refunded, in minor units. `None` if the provider did not report it.
    pub refunded_minor: Option<i64>,
    /// The means by which the buyer paid, in the provider's words: `upi`, `card`, `netbanking`. `None` if the provider
    /// did not report it.
    pub method: Option<String>,
    /// The provider's code for the failure of the payment. `None` if the provider reported no failure.
    pub failure: Option<String>,
    /// The id of the account at the provider, if the report came with a webhook that names it.
    pub account: Option<String>,
    /// The time at which the provider made the payment, if the provider reported it.
    pub created_at: Option<DateTime<Utc>>,
}

/// The state of a refund.
///
/// A settled refund can still fail later, if the bank sends the money back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefundState {
    /// The provider is working on the refund.
    Pending,
    /// The money went to the bank of the buyer.
    Settled,
    /// The bank sent the money back, the refund failed for another reason, or it was cancelled.
    Failed,
}

/// A refund in the state that the provider reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundReport {
    /// The provider's id of the refund.
    pub refund: String,
    /// The id of the payment that was refunded, the same as in [`PaymentReport::payment`].
    pub payment: String,
    /// The state of the refund.
    pub state: RefundState,
    /// The amount of this refund.
    pub money: Amount,
    /// The reference that was given to `refund`. `None` if the provider's refund has no reference, as after a refund at
    /// its console.
    pub reference: Option<String>,
    /// The provider's code for the failure of the refund. `None` if the provider reported no code. Razorpay never
    /// reports a code.
    pub failure: Option<String>,
    /// The id of the account at the provider, if the report came with a webhook that names it.
    pub account: Option<String>,
    /// The time at which the provider made the refund, if the provider reported it.
    pub created_at: Option<DateTime<Utc>>,
}

/// The state of a dispute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DisputeState {
    /// The dispute is not decided yet. The buyer's bank may have taken the money back for now.
    Open,
    /// The dispute was decided for the seller, who keeps the money.
    Won,
    /// The dispute was decided for the buyer, who has the money back.
    Lost,
    /// The dispute ended without a decision, or the seller accepted it. The provider's console shows which of the two
    /// it was.
    Closed,
}

/// A dispute (chargeback) in the state that the provider reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisputeReport {
    /// The provider's id of the dispute.
    pub dispute: String,
    /// The id of the payment, the same as in [`PaymentReport::payment`].
    pub payment: String,
    /// The state of the dispute.
    pub state: DisputeState,
    /// The disputed amount.
    pub money: Amount,
    /// The reason for the dispute in the provider's words. `None` if the provider reported none.
    pub reason: Option<String>,
    /// The time until which the seller can respond to the dispute. `None` if the provider reported none.
    pub respond_by: Option<DateTime<Utc>>,
    /// The id of the account at the provider, if the webhook names it.
    pub account: Option<String>,
}
