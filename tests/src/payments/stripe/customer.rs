//! The actions of customers, of banks, and of staff at the console.

use std::collections::BTreeMap;

use super::books::{StripeBooks, StripeCharge, StripeDispute};
use super::{Account, FakeStripe, objects};

impl FakeStripe {
    /// Pays a PaymentIntent. Its status becomes `requires_capture` if its capture is manual, or else `succeeded`.
    pub fn customer_pays(&self, intent: &str) {
        let mut books = self.account.books();
        let at = self.account.now();
        let charge_id = self.account.id("ch");
        let found = payable(&mut books, intent);
        let manual = found.capture_method == "manual";
        found.failure = None;
        found.status = if manual { "requires_capture" } else { "succeeded" };
        found.charge = Some(StripeCharge {
            id: charge_id,
            succeeded: true,
            amount_captured: if manual { 0 } else { found.amount },
            amount_refunded: 0,
            disputed: false,
            created: at,
        });
        self.account.emit_charge("charge.succeeded", &books, intent);
        let kind =
            if manual { "payment_intent.amount_capturable_updated" } else { "payment_intent.succeeded" };
        self.account.emit_intent(kind, &books, intent);
    }

    /// Makes a failed payment of a PaymentIntent, with this decline code. The customer may pay again later.
    pub fn customer_fails(&self, intent: &str, decline_code: &str) {
        let mut books = self.account.books();
        let at = self.account.now();
        let charge_id = self.account.id("ch");
        let found = payable(&mut books, intent);
        found.status = "requires_payment_method";
        found.failure = Some(decline_code.to_owned());
        found.charge = Some(StripeCharge {
            id: charge_id,
            succeeded: false,
            amount_captured: 0,
            amount_refunded: 0,
            disputed: false,
            created: at,
        });
        self.account.emit_charge("charge.failed", &books, intent);
        self.account.emit_intent("payment_intent.payment_failed", &books, intent);
    }

    /// Begins a payment of a PaymentIntent with a method whose bank takes days. The PaymentIntent stays `processing`
    /// until [`Self::customer_pays`] or [`Self::customer_fails`] is called.
    pub fn customer_begins(&self, intent: &str) {
        let mut books = self.account.books();
        let found = payable(&mut books, intent);
        found.status = "processing";
        found.failure = None;
        self.account.emit_intent("payment_intent.processing", &books, intent);
    }

    /// Captures a payment in full, as staff do at the console.
    pub fn capture(&self, intent: &str) {
        let mut books = self.account.books();
        self.account.capture(&mut books, intent, &BTreeMap::new()).expect("the payment can be captured");
    }

    /// Cancels a payment, as staff do at the console.
    pub fn cancel_at_console(&self, intent: &str) {
        let mut books = self.account.books();
        self.account.cancel(&mut books, intent, &BTreeMap::new()).expect("the payment can be cancelled");
    }

    /// Refunds an amount of a payment, as staff do at the console, without a reference of the application. Returns the
    /// id of the refund.
    pub fn refund_at_console(&self, intent: &str, amount: i64) -> String {
        let form = [("payment_intent", intent.to_owned()), ("amount", amount.to_string())];
        let form = form.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let refund =
            self.account.refund(&mut self.account.books(), &form).expect("the payment can be refunded");
        refund["id"].as_str().expect("an id").to_owned()
    }

    /// Marks a pending refund as succeeded.
    pub fn settle_refund(&self, refund: &str) {
        end_refund(&self.account, refund, "succeeded");
    }

    /// Marks a refund as failed, because the bank sent the money back. The refund may be pending or settled.
    pub fn fail_refund(&self, refund: &str) {
        end_refund(&self.account, refund, "failed");
    }

    /// Opens a dispute about an amount of a payment. Returns the id of the dispute.
    pub fn customer_disputes(&self, intent: &str, amount: i64) -> String {
        let mut books = self.account.books();
        let dispute = StripeDispute {
            id: self.account.id("du"),
            intent: intent.to_owned(),
            amount,
            status: "needs_response",
            created: self.account.now(),
        };
        let charge = books.intent_mut(intent).and_then(|found| found.charge.as_mut());
        charge.expect("the payment has a charge").disputed = true;
        self.account.emit("charge.dispute.created", &objects::dispute(&dispute, books.intent(intent)));
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
        self.account.emit("charge.dispute.closed", &objects::dispute(&found, books.intent(&found.intent)));
    }
}

/// Returns a PaymentIntent that the customer can pay. Panics if its status does not allow a payment.
fn payable<'a>(books: &'a mut StripeBooks, intent: &str) -> &'a mut super::StripeIntent {
    let found = books.intent_mut(intent).expect("the PaymentIntent is there");
    let payable = matches!(found.status, "requires_payment_method" | "requires_action" | "processing");
    assert!(payable, "{intent} is {}, so Stripe refuses a payment", found.status);
    found
}

fn end_refund(account: &Account, refund: &str, status: &'static str) {
    let mut books = account.books();
    let found = books.refunds.iter_mut().find(|found| found.id == refund).expect("the refund is there");
    found.status = status;
    let found = found.clone();
    if status == "failed" {
        let charge = books.intent_mut(&found.intent).and_then(|intent| intent.charge.as_mut());
        charge.expect("the payment has a charge").amount_refunded -= found.amount;
    }
    let object = objects::refund(&found, books.intent(&found.intent));
    account.emit("refund.updated", &object);
    account.emit("charge.refund.updated", &object);
    if status == "failed" {
        account.emit("refund.failed", &object);
    }
}
