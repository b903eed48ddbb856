//! The actions of customers, of banks, and of staff at the console.

use serde_json::{Value, json};

use super::books::{RazorpayBooks, RazorpayDispute, RazorpayPayment, RazorpayRefund};
use super::{FakeRazorpay, now};
use crate::payments::sign::hmac_hex;

/// The values that Checkout gives to the page after a payment.
#[derive(Debug, Clone)]
pub struct CheckoutReturn {
    /// The parameter `razorpay_order_id`.
    pub order_id: String,
    /// The parameter `razorpay_payment_id`.
    pub payment_id: String,
    /// The parameter `razorpay_signature`.
    pub signature: String,
}

impl FakeRazorpay {
    /// Pays an order. The provider captures the payment by itself, unless the order leaves the capture to the
    /// application.
    pub fn customer_pays(&self, order: &str) -> CheckoutReturn {
        let payment = self.attempt(order, "authorized", None);
        if self.read_books(|books| books.order(order).captures) {
            self.capture(&payment);
        }
        self.checkout_return(order, &payment)
    }

    /// Pays an order, but the provider does not capture the payment by itself, because the bank was late.
    pub fn customer_pays_uncaptured(&self, order: &str) -> CheckoutReturn {
        let payment = self.attempt(order, "authorized", None);
        self.checkout_return(order, &payment)
    }

    /// Pays an order with an amount or a currency that the order does not have. Razorpay promises that nobody can do
    /// this.
    pub fn customer_pays_other_money(&self, order: &str, amount: i64, currency: &str) -> CheckoutReturn {
        let payment = self.attempt_with(order, (amount, currency), "authorized", None);
        self.capture(&payment);
        self.checkout_return(order, &payment)
    }

    /// Pays an order a second time. Razorpay promises that nobody can do this. Returns the id of the second payment.
    pub fn customer_pays_again(&self, order: &str) -> String {
        let (amount, currency) = self.read_books(|books| {
            let found = books.order(order);
            (found.amount, found.currency.clone())
        });
        let payment = self.attempt_with(order, (amount, &currency), "authorized", None);
        self.account.set_captured(&mut self.account.books(), &payment);
        payment
    }

    /// Makes a failed payment of an order, with this reason for the failure. Returns the id of the payment.
    pub fn customer_fails(&self, order: &str, reason: &str) -> String {
        self.attempt(order, "failed", Some(reason))
    }

    /// Begins a payment of an order, and does not finish it. No event is sent. Returns the id of the payment.
    pub fn customer_begins(&self, order: &str) -> String {
        self.attempt(order, "created", None)
    }

    /// Authorizes a payment that failed or was only begun, because the bank reports late.
    pub fn bank_authorizes_late(&self, payment: &str) {
        let mut books = self.account.books();
        let found = books.payment_mut(payment).expect("the payment is there");
        assert!(matches!(found.status, "failed" | "created"), "{payment} is {}", found.status);
        found.status = "authorized";
        found.error_reason = None;
        let found = found.clone();
        self.account.emit("payment.authorized", &[("payment", found.json())]);
    }

    /// Captures an authorized payment, as Razorpay does by itself, or as staff do at Razorpay's console.
    pub fn capture(&self, payment: &str) {
        let mut books = self.account.books();
        let found = books.payment(payment).clone();
        let body = json!({ "amount": found.amount, "currency": found.currency });
        self.account.capture(&mut books, payment, &body).expect("the payment can be captured");
    }

    /// Refunds an authorized payment in full, because nobody captured it in time. Sends no event.
    pub fn give_back_uncaptured(&self, payment: &str) {
        let mut books = self.account.books();
        let found = books.payment_mut(payment).expect("the payment is there");
        assert_eq!(found.status, "authorized", "{payment}");
        found.status = "refunded";
        found.amount_refunded = found.amount;
    }

    /// Refunds an amount of a payment at the console, without a reference of the application. Returns the id of the
    /// refund.
    pub fn refund_at_console(&self, payment: &str, amount: i64) -> String {
        let mut books = self.account.books();
        let refund = self.account.make_refund(&mut books, payment, Some(amount), None, json!([]));
        refund.expect("the payment can be refunded").id
    }

    /// Marks a pending refund as processed.
    pub fn settle_refund(&self, refund: &str) {
        self.end_refund(refund, "processed");
    }

    /// Marks a pending refund as failed, because the bank sent the money back. The payment counts as captured again.
    pub fn fail_refund(&self, refund: &str) {
        self.end_refund(refund, "failed");
    }

    /// Opens a dispute about an amount of a payment. Returns the id of the dispute.
    pub fn customer_disputes(&self, payment: &str, amount: i64) -> String {
        let mut books = self.account.books();
        let found = books.payment(payment).clone();
        let dispute = RazorpayDispute {
            id: self.account.id("disp"),
            payment_id: payment.to_owned(),
            amount,
            currency: found.currency.clone(),
            status: "open",
            created_at: now(),
        };
        self.emit_dispute("payment.dispute.created", &dispute, &found);
        books.disputes.push(dispute.clone());
        dispute.id
    }

    /// Marks a dispute as won or lost by the seller, and sends the event.
    pub fn decide_dispute(&self, dispute: &str, seller_wins: bool) {
        let mut books = self.account.books();
        let found =
            books.disputes.iter_mut().find(|found| found.id == dispute).expect("the dispute is there");
        found.status = if seller_wins { "won" } else { "lost" };
        let found = found.clone();
        let payment = books.payment(&found.payment_id).clone();
        self.emit_dispute(&format!("payment.dispute.{}", found.status), &found, &payment);
    }

    /// Returns the values that Checkout gives to the page after a payment, with their signature.
    #[must_use]
    pub fn checkout_return(&self, order: &str, payment: &str) -> CheckoutReturn {
        CheckoutReturn {
            order_id: order.to_owned(),
            payment_id: payment.to_owned(),
            signature: hmac_hex(Self::KEY_SECRET, &[order.as_bytes(), b"|", payment.as_bytes()]),
        }
    }

    fn emit_dispute(&self, kind: &str, dispute: &RazorpayDispute, payment: &RazorpayPayment) {
        self.account.emit(kind, &[("payment", payment.json()), ("dispute", dispute.json())]);
    }

    fn attempt(&self, order: &str, status: &'static str, reason: Option<&str>) -> String {
        let (amount, currency) = self.read_books(|books| {
            let found = books.order(order);
            assert_ne!(found.status, "paid", "{order} is paid, so Checkout refuses another payment");
            (found.amount, found.currency.clone())
        });
        self.attempt_with(order, (amount, &currency), status, reason)
    }

    fn attempt_with(
        &self,
        order: &str,
        (amount, currency): (i64, &str),
        status: &'static str,
        reason: Option<&str>,
    ) -> String {
        let mut books = self.account.books();
        let found = books.order_mut(order).expect("the order is there");
        found.attempts += 1;
        if found.status != "paid" {
            found.status = "attempted";
        }
        let payment = RazorpayPayment {
            id: self.account.id("pay"),
            order_id: order.to_owned(),
            amount,
            currency: currency.to_owned(),
            status,
            captured: false,
            amount_refunded: 0,
            method: "upi",
            error_reason: reason.map(str::to_owned),
            refunds: Vec::new(),
            // A payment has the notes that the page gives to Checkout. Razorpay's documentation does not say that a
            // payment gets the notes of its order.
            notes: json!([]),
            created_at: now(),
        };
        match status {
            "authorized" => self.account.emit("payment.authorized", &[("payment", payment.json())]),
            "failed" => self.account.emit("payment.failed", &[("payment", payment.json())]),
            _ => {}
        }
        let id = payment.id.clone();
        books.add_payment(payment);
        id
    }

    fn end_refund(&self, refund: &str, status: &'static str) {
        let mut books: std::sync::MutexGuard<'_, RazorpayBooks> = self.account.books();
        let found: &mut RazorpayRefund = books.refund_mut(refund).expect("the refund is there");
        assert_eq!(found.status, "pending", "{refund}");
        found.status = status;
        let found = found.clone();
        let payment = books.payment_mut(&found.payment_id).expect("the payment is there");
        if status == "failed" {
            payment.amount_refunded -= found.amount;
            payment.status = "captured";
        }
        let objects: [(&str, Value); 2] = [("refund", found.json()), ("payment", payment.json())];
        self.account.emit(&format!("refund.{status}"), &objects);
    }
}
