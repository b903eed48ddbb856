//! Metrics of what learners and staff do.

use prometheus_client::metrics::counter::Counter;

use super::counters::CounterFamily;
use super::labels::{OrderStep, PurchaseResult, SignInResult, SittingEnd, StartResult};
use super::registrar::Registrar;

/// The metrics of what learners and staff do. Each counts after the commit.
pub struct BusinessMetrics {
    purchases: CounterFamily<PurchaseResult>,
    cards: Counter,
    starts: CounterFamily<StartResult>,
    saves: Counter,
    answers: Counter,
    ends: CounterFamily<SittingEnd>,
    refunds: Counter,
    orders: CounterFamily<OrderStep>,
    sign_ins: CounterFamily<SignInResult>,
}

impl BusinessMetrics {
    pub(super) fn register(registry: &mut Registrar) -> Self {
        Self {
            purchases: CounterFamily::register(
                registry,
                "purchases",
                "result",
                "Requests to purchase, by result",
            ),
            cards: registry.add("cards_granted", "Test cards that purchases made"),
            starts: CounterFamily::register(
                registry,
                "sitting_starts",
                "result",
                "Requests to start a sitting, by result",
            ),
            saves: registry.add("answer_batches_saved", "Batches of answers that were saved"),
            answers: registry
                .add("answers_saved", "Answers in the batches that were saved, without superseded ones"),
            ends: CounterFamily::register(
                registry,
                "sitting_ends",
                "by",
                "Sittings that were submitted by learners or closed after their deadline",
            ),
            refunds: registry.add("refunds", "Refunds that were made"),
            orders: CounterFamily::register(registry, "orders", "step", "Orders that were opened or paid"),
            sign_ins: CounterFamily::register(
                registry,
                "sign_ins",
                "result",
                "Attempts to sign in with a password",
            ),
        }
    }

    /// Counts a request to purchase. `cards` is the number of cards that it made.
    pub(crate) fn purchase(&self, result: PurchaseResult, cards: u64) {
        self.purchases.count(result);
        self.cards.inc_by(cards);
    }

    /// Counts a request to start a sitting.
    pub(crate) fn start(&self, result: StartResult) {
        self.starts.count(result);
    }

    /// Counts a saved batch with this number of answers that stay.
    pub(crate) fn save(&self, answers: usize) {
        self.saves.inc();
        self.answers.inc_by(answers as u64);
    }

    /// Counts a submission by a learner.
    pub(crate) fn submit(&self) {
        self.ends.count(SittingEnd::Learner);
    }

    /// Counts a sitting that was closed after its deadline.
    pub(crate) fn close_overdue(&self) {
        self.ends.count(SittingEnd::Deadline);
    }

    /// Counts a refund.
    pub(crate) fn refund(&self) {
        self.refunds.inc();
    }

    /// Counts an order that was opened.
    pub(crate) fn open_order(&self) {
        self.orders.count(OrderStep::Opened);
    }

    /// Counts an order that was granted.
    pub(crate) fn grant_order(&self) {
        self.orders.count(OrderStep::Granted);
    }

    /// Counts an attempt to sign in.
    pub(crate) fn sign_in(&self, result: SignInResult) {
        self.sign_ins.count(result);
    }
}
