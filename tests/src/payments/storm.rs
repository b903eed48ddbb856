//! Many buyers at once, each of whom does something else. A seed fixes what they do.

use rand::RngExt;
use rand::rngs::StdRng;

use super::faults::Faults;
use super::razorpay::FakeRazorpay;
use super::stripe::FakeStripe;
use super::webhooks::Outbox;

/// The rates at which buyers and staff do something. Each rate is a part of all buyers, between 0 and 1.
#[derive(Debug, Clone, Copy)]
pub struct StormRates {
    /// Leaves without paying.
    pub abandons: f64,
    /// Fails once before the payment.
    pub fails_first: f64,
    /// Pays, but the provider captures nothing by itself, because the bank was late.
    pub late: f64,
    /// Gets a part of the money back from staff at the provider's console.
    pub refunded_at_console: f64,
    /// Disputes the payment.
    pub disputes: f64,
}

impl StormRates {
    /// A fifth leaves, and everything else happens to every tenth.
    pub const ROUGH: Self =
        Self { abandons: 0.2, fails_first: 0.2, late: 0.1, refunded_at_console: 0.1, disputes: 0.05 };
}

/// The actions of a buyer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuyerOutcome {
    /// Paid, and the money is captured.
    Paid,
    /// Paid, and the money waits for its capture.
    Authorized,
    /// Tried in vain, and left.
    Failed,
    /// Left.
    Abandoned,
}

/// One order in the provider's books, in the provider's units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BooksLine {
    /// The provider's order.
    pub provider_order: String,
    /// The application's id of the order.
    pub order_reference: Option<String>,
    /// The amount of the order.
    pub amount: i64,
    /// The currency, in capital letters.
    pub currency: String,
    /// The captured amount, over all payments.
    pub captured: i64,
    /// The amount that waits for its capture.
    pub authorized: i64,
    /// The refunds that did not fail.
    pub refunded: i64,
    /// The applications' ids of the refunds that did not fail. `None` for those at the console.
    pub refund_references: Vec<Option<String>>,
}

/// The operations of both fakes.
pub trait FakeProvider: Send + Sync {
    /// Returns the address of the API.
    fn address(&self) -> &str;
    /// Returns the faults that are planned.
    fn faults(&self) -> &Faults;
    /// Returns the webhooks.
    fn webhooks(&self) -> &Outbox;
    /// Plays one buyer of an order that nobody paid.
    fn play_buyer(&self, order: &str, rates: &StormRates, random: &mut StdRng) -> BuyerOutcome;
    /// Returns the books, one line an order.
    fn lines(&self) -> Vec<BooksLine>;
}

/// A part of an amount, and at least 1.
fn part(amount: i64, random: &mut StdRng) -> i64 {
    random.random_range(1..=amount.max(1))
}

impl FakeProvider for FakeRazorpay {
    fn address(&self) -> &str {
        self.address()
    }

    fn faults(&self) -> &Faults {
        self.faults()
    }

    fn webhooks(&self) -> &Outbox {
        self.webhooks()
    }

    fn play_buyer(&self, order: &str, rates: &StormRates, random: &mut StdRng) -> BuyerOutcome {
        let failed =
            random.random_bool(rates.fails_first).then(|| self.customer_fails(order, "payment_timed_out"));
        if random.random_bool(rates.abandons) {
            return if failed.is_some() { BuyerOutcome::Failed } else { BuyerOutcome::Abandoned };
        }
        let late = random.random_bool(rates.late);
        if let (true, Some(payment)) = (late, &failed) {
            self.bank_authorizes_late(payment);
            return BuyerOutcome::Authorized;
        }
        if late {
            self.customer_pays_uncaptured(order);
            return BuyerOutcome::Authorized;
        }
        let paid = self.customer_pays(order);
        let payment = self.read_books(|books| books.payment(&paid.payment_id).clone());
        if !payment.captured {
            return BuyerOutcome::Authorized;
        }
        if random.random_bool(rates.refunded_at_console) {
            self.refund_at_console(&payment.id, part(payment.amount, random));
        }
        if random.random_bool(rates.disputes) {
            self.customer_disputes(&payment.id, payment.amount);
        }
        BuyerOutcome::Paid
    }

    fn lines(&self) -> Vec<BooksLine> {
        let books = self.books();
        let line = |order: &super::RazorpayOrder| {
            let payments = || books.payments_of(order);
            let refunds = || {
                payments()
                    .flat_map(|payment| books.refunds_of(payment))
                    .filter(|refund| refund.status != "failed")
            };
            BooksLine {
                provider_order: order.id.clone(),
                order_reference: order.receipt.clone(),
                amount: order.amount,
                currency: order.currency.clone(),
                captured: payments().filter(|payment| payment.captured).map(|payment| payment.amount).sum(),
                authorized: payments()
                    .filter(|payment| payment.status == "authorized")
                    .map(|payment| payment.amount)
                    .sum(),
                refunded: refunds().map(|refund| refund.amount).sum(),
                refund_references: refunds().map(|refund| refund.receipt.clone()).collect(),
            }
        };
        books.orders.iter().map(line).collect()
    }
}

impl FakeProvider for FakeStripe {
    fn address(&self) -> &str {
        self.address()
    }

    fn faults(&self) -> &Faults {
        self.faults()
    }

    fn webhooks(&self) -> &Outbox {
        self.webhooks()
    }

    fn play_buyer(&self, order: &str, rates: &StormRates, random: &mut StdRng) -> BuyerOutcome {
        let failed = random.random_bool(rates.fails_first);
        if failed {
            self.customer_fails(order, "insufficient_funds");
        }
        if random.random_bool(rates.abandons) {
            return if failed { BuyerOutcome::Failed } else { BuyerOutcome::Abandoned };
        }
        if random.random_bool(rates.late) {
            self.customer_begins(order);
        }
        self.customer_pays(order);
        let intent = self.books().intent(order).clone();
        if intent.status != "succeeded" {
            return BuyerOutcome::Authorized;
        }
        if random.random_bool(rates.refunded_at_console) {
            self.refund_at_console(order, part(intent.amount, random));
        }
        if random.random_bool(rates.disputes) {
            self.customer_disputes(order, intent.amount);
        }
        BuyerOutcome::Paid
    }

    fn lines(&self) -> Vec<BooksLine> {
        let books = self.books();
        let line = |intent: &super::StripeIntent| {
            let refunds = || {
                books.refunds.iter().filter(|refund| refund.status != "failed" && refund.intent == intent.id)
            };
            BooksLine {
                provider_order: intent.id.clone(),
                order_reference: intent.metadata.get("order_reference").cloned(),
                amount: intent.amount,
                currency: intent.currency.to_uppercase(),
                captured: intent.charge.as_ref().map_or(0, |charge| charge.amount_captured),
                authorized: if intent.status == "requires_capture" { intent.amount } else { 0 },
                refunded: refunds().map(|refund| refund.amount).sum(),
                refund_references: refunds()
                    .map(|refund| refund.metadata.get("refund_reference").cloned())
                    .collect(),
            }
        };
        books.intents.iter().map(line).collect()
    }
}
