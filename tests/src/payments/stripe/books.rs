//! The books of the fake of Stripe.

use std::collections::BTreeMap;

/// All PaymentIntents, refunds and disputes of the account.
#[derive(Debug, Clone, Default)]
pub struct StripeBooks {
    /// The PaymentIntents, oldest first.
    pub intents: Vec<StripeIntent>,
    /// The refunds, oldest first.
    pub refunds: Vec<StripeRefund>,
    /// The disputes, oldest first.
    pub disputes: Vec<StripeDispute>,
}

/// A PaymentIntent.
#[derive(Debug, Clone)]
pub struct StripeIntent {
    /// The id: `pi_…`.
    pub id: String,
    /// The secret with which the buyer's page can use the PaymentIntent.
    pub client_secret: String,
    /// The amount, in the smallest unit of the currency.
    pub amount: i64,
    /// The code of the currency, in lower case.
    pub currency: String,
    /// The capture method: `automatic_async` or `manual`.
    pub capture_method: String,
    /// The status, such as `requires_payment_method` or `succeeded`.
    pub status: &'static str,
    /// The description that the application sent.
    pub description: Option<String>,
    /// The metadata that the application sent.
    pub metadata: BTreeMap<String, String>,
    /// The latest charge. `None` before the first payment.
    pub charge: Option<StripeCharge>,
    /// The decline code of the last payment. `None` if the last payment did not fail.
    pub failure: Option<String>,
    pub(super) canceled_at: Option<i64>,
    pub(super) cancellation_reason: Option<String>,
    pub(super) created: i64,
}

/// A charge: one payment of a PaymentIntent.
#[derive(Debug, Clone)]
pub struct StripeCharge {
    /// The id: `ch_…`.
    pub id: String,
    /// Whether the bank approved the charge.
    pub succeeded: bool,
    /// The amount of the charge that is captured, before refunds.
    pub amount_captured: i64,
    /// The sum of the charge's refunds that did not fail.
    pub amount_refunded: i64,
    pub(super) disputed: bool,
    pub(super) created: i64,
}

/// A refund.
#[derive(Debug, Clone)]
pub struct StripeRefund {
    /// The id: `re_…`.
    pub id: String,
    /// The id of the refunded PaymentIntent.
    pub intent: String,
    /// The amount, in the smallest unit of the currency.
    pub amount: i64,
    /// The status: `pending`, `succeeded` or `failed`.
    pub status: &'static str,
    /// The metadata that the application sent. Empty for a refund that staff made at the provider's console.
    pub metadata: BTreeMap<String, String>,
    pub(super) reason: Option<String>,
    pub(super) created: i64,
}

/// A dispute.
#[derive(Debug, Clone)]
pub struct StripeDispute {
    /// The id: `du_…`.
    pub id: String,
    /// The id of the disputed PaymentIntent.
    pub intent: String,
    /// The amount, in the smallest unit of the currency.
    pub amount: i64,
    /// The status: `needs_response`, `won` or `lost`.
    pub status: &'static str,
    pub(super) created: i64,
}

impl StripeBooks {
    /// Returns the PaymentIntent with this id.
    ///
    /// # Panics
    /// Panics if no PaymentIntent has this id.
    #[must_use]
    pub fn intent(&self, id: &str) -> &StripeIntent {
        self.intents.iter().find(|intent| intent.id == id).unwrap_or_else(|| panic!("no PaymentIntent {id}"))
    }

    pub(super) fn intent_mut(&mut self, id: &str) -> Option<&mut StripeIntent> {
        self.intents.iter_mut().find(|intent| intent.id == id)
    }

    /// Returns the sum of all captured amounts, less the refunds that did not fail.
    #[must_use]
    pub fn kept(&self) -> i64 {
        self.intents
            .iter()
            .filter_map(|intent| intent.charge.as_ref())
            .map(|charge| charge.amount_captured - charge.amount_refunded)
            .sum()
    }
}
