//! The books of the fake of Razorpay.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// All orders, payments, refunds and disputes of the account.
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
    /// The refund requests by their idempotency keys: the path and the body of each request, and the id of its refund.
    pub(super) refund_keys: BTreeMap<String, (String, Vec<u8>, String)>,
}

/// An order.
#[derive(Debug, Clone)]
pub struct RazorpayOrder {
    /// The id: `order_…`.
    pub id: String,
    /// The amount, in the smallest unit of the currency.
    pub amount: i64,
    /// The code of the currency, in three letters.
    pub currency: String,
    /// The application's id of the order. `None` if the application sent no id.
    pub receipt: Option<String>,
    /// The notes that the application sent, or an empty array.
    pub notes: Value,
    /// Whether the provider captures the payments of this order by itself.
    pub captures: bool,
    /// The status: `created`, `attempted` or `paid`.
    pub status: &'static str,
    /// The number of payments of this order, including failed payments.
    pub attempts: u32,
    /// The indices of the order's payments in [`RazorpayBooks::payments`].
    pub(super) payments: Vec<usize>,
    pub(super) created_at: u64,
}

/// A payment.
#[derive(Debug, Clone)]
pub struct RazorpayPayment {
    /// The id: `pay_…`.
    pub id: String,
    /// The id of the payment's order.
    pub order_id: String,
    /// The amount, in the smallest unit of the currency.
    pub amount: i64,
    /// The code of the currency, in three letters.
    pub currency: String,
    /// The status: `created`, `authorized`, `captured`, `refunded` or `failed`.
    pub status: &'static str,
    /// Whether the payment was ever captured.
    pub captured: bool,
    /// The sum of the payment's refunds that did not fail.
    pub amount_refunded: i64,
    /// The method of payment, such as `upi`.
    pub method: &'static str,
    /// The reason for which the payment failed. `None` if the payment did not fail.
    pub error_reason: Option<String>,
    /// The indices of the payment's refunds in [`RazorpayBooks::refunds`].
    pub(super) refunds: Vec<usize>,
    pub(super) notes: Value,
    pub(super) created_at: u64,
}

/// A refund.
#[derive(Debug, Clone)]
pub struct RazorpayRefund {
    /// The id: `rfnd_…`.
    pub id: String,
    /// The id of the refunded payment.
    pub payment_id: String,
    /// The amount, in the smallest unit of the currency.
    pub amount: i64,
    /// The code of the currency, in three letters.
    pub currency: String,
    /// The application's id of the refund. `None` for a refund that staff made at the provider's console.
    pub receipt: Option<String>,
    /// The notes that the application sent, or an empty array.
    pub notes: Value,
    /// The status: `pending`, `processed` or `failed`.
    pub status: &'static str,
    pub(super) created_at: u64,
}

/// A dispute.
#[derive(Debug, Clone)]
pub struct RazorpayDispute {
    /// The id: `disp_…`.
    pub id: String,
    /// The id of the disputed payment.
    pub payment_id: String,
    /// The amount, in the smallest unit of the currency.
    pub amount: i64,
    /// The code of the currency, in three letters.
    pub currency: String,
    /// The status: `open`, `won` or `lost`.
    pub status: &'static str,
    pub(super) created_at: u64,
}

/// Returns the index of the item with this id. The items are sorted by id, because the account numbers ids upwards
/// while it locks the books.
fn place_of<T>(rows: &[T], id: &str, id_of: impl Fn(&T) -> &str) -> Option<usize> {
    rows.binary_search_by(|row| id_of(row).cmp(id)).ok()
}

impl RazorpayBooks {
    /// Returns the order with this id.
    ///
    /// # Panics
    /// Panics if no order has this id.
    #[must_use]
    pub fn order(&self, id: &str) -> &RazorpayOrder {
        self.find_order(id).unwrap_or_else(|| panic!("no order {id}"))
    }

    /// Returns the payment with this id.
    ///
    /// # Panics
    /// Panics if no payment has this id.
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

    /// Adds a payment to the books and to its order.
    pub(super) fn add_payment(&mut self, payment: RazorpayPayment) {
        let place = self.payments.len();
        self.order_mut(&payment.order_id).expect("the order is there").payments.push(place);
        self.payments.push(payment);
    }

    /// Adds a refund to the books and to its payment.
    pub(super) fn add_refund(&mut self, refund: RazorpayRefund) {
        let place = self.refunds.len();
        self.payment_mut(&refund.payment_id).expect("the payment is there").refunds.push(place);
        self.refunds.push(refund);
    }

    /// Returns the sum of all captured payments, less their refunds that did not fail.
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
