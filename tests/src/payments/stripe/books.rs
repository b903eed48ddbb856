//! The books of the fake of Stripe.

use std::collections::BTreeMap;

/// All that happened in the account.
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
    /// The secret that its buyer has.
    pub client_secret: String,
    /// The amount.
    pub amount: i64,
    /// The currency, in small letters.
    pub currency: String,
    /// `automatic_async` or `manual`.
    pub capture_method: String,
    /// The status.
    pub status: &'static str,
    /// The description.
    pub description: Option<String>,
    /// The metadata.
    pub metadata: BTreeMap<String, String>,
    /// The latest charge.
    pub charge: Option<StripeCharge>,
    /// The code of the last failure.
    pub failure: Option<String>,
    pub(super) canceled_at: Option<i64>,
    pub(super) cancellation_reason: Option<String>,
    pub(super) created: i64,
}

/// A charge.
#[derive(Debug, Clone)]
pub struct StripeCharge {
    /// The id: `ch_…`.
    pub id: String,
    /// Whether the bank agreed.
    pub succeeded: bool,
    /// The captured amount.
    pub amount_captured: i64,
    /// The sum of its refunds.
    pub amount_refunded: i64,
    pub(super) disputed: bool,
    pub(super) created: i64,
}

/// A refund.
#[derive(Debug, Clone)]
pub struct StripeRefund {
    /// The id: `re_…`.
    pub id: String,
    /// The PaymentIntent.
    pub intent: String,
    /// The amount.
    pub amount: i64,
    /// `pending`, `succeeded` or `failed`.
    pub status: &'static str,
    /// The metadata. Empty for a refund at the provider's console.
    pub metadata: BTreeMap<String, String>,
    pub(super) reason: Option<String>,
    pub(super) created: i64,
}

/// A dispute.
#[derive(Debug, Clone)]
pub struct StripeDispute {
    /// The id: `du_…`.
    pub id: String,
    /// The PaymentIntent.
    pub intent: String,
    /// The amount.
    pub amount: i64,
    /// `needs_response`, `won` or `lost`.
    pub status: &'static str,
    pub(super) created: i64,
}

impl StripeBooks {
    /// Returns a PaymentIntent.
    ///
    /// # Panics
    /// Panics if there is none.
    #[must_use]
    pub fn intent(&self, id: &str) -> &StripeIntent {
        self.intents.iter().find(|intent| intent.id == id).unwrap_or_else(|| panic!("no PaymentIntent {id}"))
    }

    pub(super) fn intent_mut(&mut self, id: &str) -> Option<&mut StripeIntent> {
        self.intents.iter_mut().find(|intent| intent.id == id)
    }

    /// Returns the captured amount less the refunds that did not fail, over all payments.
    #[must_use]
    pub fn kept(&self) -> i64 {
        self.intents
            .iter()
            .filter_map(|intent| intent.charge.as_ref())
            .map(|charge| charge.amount_captured - charge.amount_refunded)
            .sum()
    }
}
