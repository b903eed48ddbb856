//! The books of the fake of Razorpay.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// All that happened in the account.
#[derive(Debug, Clone, Default)]
pub struct RazorpayBooks {
    /// The orders, oldest first.
    pub orders: Vec<RazorpayOrder>,
    /// The payments, oldest first.
    pub payments: Vec<RazorpayPayment>,
    /// The refunds, oldest first.
    pub refunds: Vec<RazorpayRefund>,
    /// The disputes, oldest first.
    pub disputes: Vec<RazorpayDispute>,
    /// The refunds by their idempotency keys, each with the path and the body that made it.
    pub(super) refund_keys: BTreeMap<String, (String, Vec<u8>, String)>,
}

/// An order.
#[derive(Debug, Clone)]
pub struct RazorpayOrder {
    /// The id: `order_…`.
    pub id: String,
    /// The amount.
    pub amount: i64,
    /// The currency.
    pub currency: String,
    /// The application's id of the order.
    pub receipt: Option<String>,
    /// The notes.
    pub notes: Value,
    /// Whether payments are captured by the provider.
    pub captures: bool,
    /// `created`, `attempted` or `paid`.
    pub status: &'static str,
    /// The number of attempts to pay.
    pub attempts: u32,
    /// The places of its payments in the books.
    pub(super) payments: Vec<usize>,
    pub(super) created_at: u64,
}

/// A payment.
#[derive(Debug, Clone)]
pub struct RazorpayPayment {
    /// The id: `pay_…`.
    pub id: String,
    /// The order.
    pub order_id: String,
    /// The amount.
    pub amount: i64,
    /// The currency.
    pub currency: String,
    /// `created`, `authorized`, `captured`, `refunded` or `failed`.
    pub status: &'static str,
    /// Whether the payment was ever captured.
    pub captured: bool,
    /// The sum of its refunds.
    pub amount_refunded: i64,
    /// The method.
    pub method: &'static str,
    /// The reason of its failure.
    pub error_reason: Option<String>,
    /// The places of its refunds in the books.
    pub(super) refunds: Vec<usize>,
    pub(super) notes: Value,
    pub(super) created_at: u64,
}

/// A refund.
#[derive(Debug, Clone)]
pub struct RazorpayRefund {
    /// The id: `rfnd_…`.
    pub id: String,
    /// The payment.
    pub payment_id: String,
    /// The amount.
    pub amount: i64,
    /// The currency.
    pub currency: String,
    /// The application's id of the refund. `None` for a refund at the provider's console.
    pub receipt: Option<String>,
    /// The notes.
    pub notes: Value,
    /// `pending`, `processed` or `failed`.
    pub status: &'static str,
    pub(super) created_at: u64,
}

/// A dispute.
#[derive(Debug, Clone)]
pub struct RazorpayDispute {
    /// The id: `disp_…`.
    pub id: String,
    /// The payment.
    pub payment_id: String,
    /// The amount.
    pub amount: i64,
    /// The currency.
    pub currency: String,
    /// `open`, `won` or `lost`.
    pub status: &'static str,
    pub(super) created_at: u64,
}

/// Finds a row by its id. Ids rise, because the account counts them while it holds the books.
fn place_of<T>(rows: &[T], id: &str, id_of: impl Fn(&T) -> &str) -> Option<usize> {
    rows.binary_search_by(|row| id_of(row).cmp(id)).ok()
}

impl RazorpayBooks {
    /// Returns an order.
    ///
    /// # Panics
    /// Panics if there is none.
    #[must_use]
    pub fn order(&self, id: &str) -> &RazorpayOrder {
        self.find_order(id).unwrap_or_else(|| panic!("no order {id}"))
    }

    /// Returns a payment.
    ///
    /// # Panics
    /// Panics if there is none.
    #[must_use]
    pub fn payment(&self, id: &str) -> &RazorpayPayment {
        self.find_payment(id).unwrap_or_else(|| panic!("no payment {id}"))
    }

    /// Returns the payments of an order, oldest first.
    pub fn payments_of<'a>(
        &'a self,
        order: &'a RazorpayOrder,
    ) -> impl DoubleEndedIterator<Item = &'a RazorpayPayment> {
        order.payments.iter().map(|place| &self.payments[*place])
    }

    /// Returns the refunds of a payment, oldest first.
    pub fn refunds_of<'a>(
        &'a self,
        payment: &'a RazorpayPayment,
    ) -> impl DoubleEndedIterator<Item = &'a RazorpayRefund> {
        payment.refunds.iter().map(|place| &self.refunds[*place])
    }

    pub(super) fn find_order(&self, id: &str) -> Option<&RazorpayOrder> {
        place_of(&self.orders, id, |order| &order.id).map(|place| &self.orders[place])
    }

    pub(super) fn find_payment(&self, id: &str) -> Option<&RazorpayPayment> {
        place_of(&self.payments, id, |payment| &payment.id).map(|place| &self.payments[place])
    }

    pub(super) fn order_mut(&mut self, id: &str) -> Option<&mut RazorpayOrder> {
        place_of(&self.orders, id, |order| &order.id).map(|place| &mut self.orders[place])
    }

    pub(super) fn payment_mut(&mut self, id: &str) -> Option<&mut RazorpayPayment> {
        place_of(&self.payments, id, |payment| &payment.id).map(|place| &mut self.payments[place])
    }

    pub(super) fn refund_mut(&mut self, id: &str) -> Option<&mut RazorpayRefund> {
        place_of(&self.refunds, id, |refund| &refund.id).map(|place| &mut self.refunds[place])
    }

    /// Adds a payment to its order.
    pub(super) fn add_payment(&mut self, payment: RazorpayPayment) {
        let place = self.payments.len();
        self.order_mut(&payment.order_id).expect("the order is there").payments.push(place);
        self.payments.push(payment);
    }

    /// Adds a refund to its payment.
    pub(super) fn add_refund(&mut self, refund: RazorpayRefund) {
        let place = self.refunds.len();
        self.payment_mut(&refund.payment_id).expect("the payment is there").refunds.push(place);
        self.refunds.push(refund);
    }

    /// Returns the captured amount less the refunds that did not fail, over all payments.
    #[must_use]
    pub fn kept(&self) -> i64 {
        self.payments
            .iter()
            .filter(|payment| payment.captured)
            .map(|payment| payment.amount - payment.amount_refunded)
            .sum()
    }
}

impl RazorpayOrder {
    pub(super) fn json(&self) -> Value {
        let paid = if self.status == "paid" { self.amount } else { 0 };
        json!({
            "id": self.id, "entity": "order", "amount": self.amount, "amount_paid": paid,
            "amount_due": self.amount - paid, "currency": self.currency, "receipt": self.receipt, "offer_id": null,
            "status": self.status, "attempts": self.attempts, "notes": self.notes, "created_at": self.created_at,
        })
    }
}

impl RazorpayPayment {
    pub(super) fn json(&self) -> Value {
        let refund_status = match self.amount_refunded {
            0 => None,
            amount if amount == self.amount => Some("full"),
            _ => Some("partial"),
        };
        let failed = self.error_reason.is_some();
        json!({
            "id": self.id, "entity": "payment", "amount": self.amount, "currency": self.currency,
            "status": self.status, "order_id": self.order_id, "invoice_id": null, "international": false,
            "method": self.method, "amount_refunded": self.amount_refunded, "refund_status": refund_status,
            "captured": self.captured, "description": null, "card_id": null, "bank": null, "wallet": null,
            "vpa": "buyer@examplebank", "email": "buyer@example.com", "contact": "+910000000000",
            "notes": self.notes, "fee": if self.captured { Some(self.amount * 2 / 100) } else { None }, "tax": 0,
            "error_code": failed.then_some("BAD_REQUEST_ERROR"),
            "error_description": failed.then_some("The payment failed."),
            "error_source": failed.then_some("customer"),
            "error_step": failed.then_some("payment_authentication"),
            "error_reason": self.error_reason, "acquirer_data": { "rrn": null }, "created_at": self.created_at,
        })
    }
}

impl RazorpayRefund {
    pub(super) fn json(&self) -> Value {
        json!({
            "id": self.id, "entity": "refund", "amount": self.amount, "currency": self.currency,
            "payment_id": self.payment_id, "notes": self.notes, "receipt": self.receipt,
            "acquirer_data": { "arn": null }, "created_at": self.created_at, "batch_id": null,
            "status": self.status, "speed_processed": "normal", "speed_requested": "normal",
        })
    }
}

impl RazorpayDispute {
    pub(super) fn json(&self) -> Value {
        let deducted = if self.status == "lost" { self.amount } else { 0 };
        json!({
            "id": self.id, "entity": "dispute", "payment_id": self.payment_id, "amount": self.amount,
            "currency": self.currency, "amount_deducted": deducted, "reason_code": "goods_or_services_not_received",
            "respond_by": self.created_at + 604_800, "status": self.status, "phase": "chargeback",
            "created_at": self.created_at,
        })
    }
}
