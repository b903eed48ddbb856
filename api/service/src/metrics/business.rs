//! Metrics of the actions of learners and staff, such as purchases and sittings.

use prometheus_client::metrics::counter::Counter;

use super::counters::CounterFamily;
use super::labels::{OrderStep, PurchaseResult, SignInResult, SittingEnd, StartResult};
use super::registrar::Registrar;

/// The metrics of the actions of learners and staff. An action that succeeds is counted after its transaction was
/// committed.
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
            orders: CounterFamily::register(
                registry,
                "orders",
                "step",
                "New orders that must be paid (opened), and paid orders that became purchases (granted)",
            ),
            sign_ins: CounterFamily::register(
                registry,
                "sign_ins",
                "result",
                "Attempts to sign in with a password",
            ),
        }
    }

    /// Counts a purchase request by its result. `cards` is the number of cards that the request made.
    pub(crate) fn purchase(&self, result: PurchaseResult, cards: u64) {
        self.purchases.count(result);
        self.cards.inc_by(cards);
    }

    /// Counts a request to start a sitting, by its result.
    pub(crate) fn start(&self, result: StartResult) {
        self.starts.count(result);
    }

    /// Counts a saved batch. `answers` is the number of its answers that were stored. An answer is not stored if its
    /// slot has the answer of a batch with a greater number, or of another batch with the same number.
    pub(crate) fn save(&self, answers: usize) {
        self.saves.inc();
        self.answers.inc_by(answers as u64);
    }

    /// Counts a sitting that its learner submitted.
    pub(crate) fn submit(&self) {
        self.ends.count(SittingEnd::Learner);
    }

    /// Counts a sitting that the server closed after its deadline.
    pub(crate) fn close_overdue(&self) {
        self.ends.count(SittingEnd::Deadline);
    }

    /// Counts a refund that was made.
    pub(crate) fn refund(&self) {
        self.refunds.inc();
    }

    /// Counts a new order that waits for its payment. Free orders are not counted.
    pub(crate) fn open_order(&self) {
        self.orders.count(OrderStep::Opened);
    }

    /// Counts a paid order from which the server made a purchase.
    pub(crate) fn grant_order(&self) {
        self.orders.count(OrderStep::Granted);
    }

    /// Counts an attempt to sign in with a password, by its result.
    pub(crate) fn sign_in(&self, result: SignInResult) {
        self.sign_ins.count(result);
    }
}
