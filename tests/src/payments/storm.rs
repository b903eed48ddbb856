//! Simulates buyers and staff at a fake provider, and lists the orders in its books. Seeded random numbers decide what
//! buyers and staff do.

use rand::RngExt;
use rand::rngs::StdRng;

use super::faults::Faults;
use super::razorpay::FakeRazorpay;
use super::stripe::FakeStripe;
use super::webhooks::Outbox;

/// The probabilities, from 0 to 1, of what buyers and staff do.
#[derive(Debug, Clone, Copy)]
pub struct StormRates {
    /// The buyer leaves without paying.
    pub abandons: f64,
    /// A first payment fails, before the buyer leaves or pays.
    pub fails_first: f64,
    /// The buyer pays, but Razorpay does not capture the payment by itself, because the bank was late. At Stripe, the
    /// payment has the status `processing` first.
    pub late: f64,
    /// Staff refund a random part, or all, of the captured payment at the provider's console.
    pub refunded_at_console: f64,
    /// The buyer disputes the captured payment.
    pub disputes: f64,
}

impl StormRates {
    /// The first payment of a fifth of the buyers fails. A fifth of the buyers leave, and a tenth of those who stay pay
    /// late. A tenth of the captured payments get a refund, and a twentieth get a dispute.
    pub const ROUGH: Self =
        Self { abandons: 0.2, fails_first: 0.2, late: 0.1, refunded_at_console: 0.1, disputes: 0.05 };
}

/// The state of an order after its buyer left the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuyerOutcome {
    /// The buyer paid, and the payment is captured.
    Paid,
    /// The buyer paid, and the payment waits for its capture.
    Authorized,
    /// A payment failed, and the buyer left.
    Failed,
    /// The buyer left without a payment.
    Abandoned,
}

/// One order in the provider's books, with amounts in the units that the provider uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BooksLine {
    /// The provider's id of the order.
    pub provider_order: String,
    /// The application's id of the order. `None` if the application sent no id.
    pub order_reference: Option<String>,
    /// The amount of the order.
    pub amount: i64,
    /// The currency, in capital letters.
    pub currency: String,
    /// The sum of all captured payments of the order, before refunds.
    pub captured: i64,
    /// The sum of the payments that wait for their capture.
    pub authorized: i64,
    /// The sum of the refunds that did not fail.
    pub refunded: i64,
    /// The application's ids of the refunds that did not fail. `None` for each refund that staff made at the provider's
    /// console.
    pub refund_references: Vec<Option<String>>,
}

/// The operations that the fakes of Razorpay and Stripe have in common.
pub trait FakeProvider: Send + Sync {
    /// Returns the URL of the fake: `http://` with the address and port.
    fn address(&self) -> &str;
    /// Returns the faults of the fake, so that a test can plan more faults.
    fn faults(&self) -> &Faults;
    /// Returns the outbox with the webhooks of the fake.
    fn webhooks(&self) -> &Outbox;
    /// Simulates one buyer of an order that is not paid yet. If the payment is captured, staff may refund it, and the
    /// buyer may dispute it.
    fn play_buyer(&self, order: &str, rates: &StormRates, random: &mut StdRng) -> BuyerOutcome;
    /// Returns a line for each order in the books, oldest first.
    fn lines(&self) -> Vec<BooksLine>;
}

/// Returns a random part of an amount: at least 1, and at most the whole amount.
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
