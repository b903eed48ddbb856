//! Metrics of what learners and staff do.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use super::labels::{PurchaseResult, SignInResult, StartResult};
use super::registrar::Registrar;

/// Says that a learner submitted a sitting.
const BY_LEARNER: &str = "learner";
/// Says that a sitting was closed after its deadline.
const BY_DEADLINE: &str = "deadline";
/// Says that an order was opened.
const OPENED: &str = "opened";
/// Says that an order was granted.
const GRANTED: &str = "granted";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PurchaseLabels {
    result: PurchaseResult,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StartLabels {
    result: StartResult,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SignInLabels {
    result: SignInResult,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndLabels {
    by: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OrderLabels {
    step: &'static str,
}

/// The metrics of what learners and staff do. Each counts after the commit.
#[derive(Default)]
pub struct BusinessMetrics {
    purchases: Family<PurchaseLabels, Counter>,
    cards: Counter,
    starts: Family<StartLabels, Counter>,
    saves: Counter,
    answers: Counter,
    ends: Family<EndLabels, Counter>,
    refunds: Counter,
    orders: Family<OrderLabels, Counter>,
    sign_ins: Family<SignInLabels, Counter>,
}

impl BusinessMetrics {
    pub(super) fn register(registry: &mut Registrar) -> Self {
        let metrics = Self::default();
        registry.register("purchases", "Requests to purchase, by result", metrics.purchases.clone());
        registry.register("cards_granted", "Test cards that purchases made", metrics.cards.clone());
        registry.register("sitting_starts", "Requests to start a sitting, by result", metrics.starts.clone());
        registry.register(
            "answer_batches_saved",
            "Batches of answers that were saved",
            metrics.saves.clone(),
        );
        registry.register(
            "answers_saved",
            "Answers in the batches that were saved, without superseded ones",
            metrics.answers.clone(),
        );
        registry.register(
            "sitting_ends",
            "Sittings that were submitted by learners or closed after their deadline",
            metrics.ends.clone(),
        );
        registry.register("refunds", "Refunds that were made", metrics.refunds.clone());
        registry.register("orders", "Orders that were opened or paid", metrics.orders.clone());
        registry.register("sign_ins", "Attempts to sign in with a password", metrics.sign_ins.clone());
        metrics.start_at_zero();
        metrics
    }

    /// Shows all results from the start, so that the first of each is seen as an increase.
    fn start_at_zero(&self) {
        for &result in PurchaseResult::ALL {
            drop(self.purchases.get_or_create(&PurchaseLabels { result }));
        }
        for &result in StartResult::ALL {
            drop(self.starts.get_or_create(&StartLabels { result }));
        }
        for &result in SignInResult::ALL {
            drop(self.sign_ins.get_or_create(&SignInLabels { result }));
        }
        for by in [BY_LEARNER, BY_DEADLINE] {
            drop(self.ends.get_or_create(&EndLabels { by }));
        }
        for step in [OPENED, GRANTED] {
            drop(self.orders.get_or_create(&OrderLabels { step }));
        }
    }

    /// Counts a request to purchase. `cards` is the number of cards that it made.
    pub(crate) fn purchase(&self, result: PurchaseResult, cards: u64) {
        self.purchases.get_or_create(&PurchaseLabels { result }).inc();
        self.cards.inc_by(cards);
    }

    /// Counts a request to start a sitting.
    pub(crate) fn start(&self, result: StartResult) {
        self.starts.get_or_create(&StartLabels { result }).inc();
    }

    /// Counts a saved batch with this number of answers that stay.
    pub(crate) fn save(&self, answers: usize) {
        self.saves.inc();
        self.answers.inc_by(answers as u64);
    }

    /// Counts a submission by a learner.
    pub(crate) fn submit(&self) {
        self.ends.get_or_create(&EndLabels { by: BY_LEARNER }).inc();
    }

    /// Counts a sitting that was closed after its deadline.
    pub(crate) fn close_overdue(&self) {
        self.ends.get_or_create(&EndLabels { by: BY_DEADLINE }).inc();
    }

    /// Counts a refund.
    pub(crate) fn refund(&self) {
        self.refunds.inc();
    }

    /// Counts an order that was opened.
    pub(crate) fn open_order(&self) {
        self.orders.get_or_create(&OrderLabels { step: OPENED }).inc();
    }

    /// Counts an order that was granted.
    pub(crate) fn grant_order(&self) {
        self.orders.get_or_create(&OrderLabels { step: GRANTED }).inc();
    }

    /// Counts an attempt to sign in.
    pub(crate) fn sign_in(&self, result: SignInResult) {
        self.sign_ins.get_or_create(&SignInLabels { result }).inc();
    }
}
