//! A record of what learners sent and of the responses they got.

use std::collections::BTreeMap;

use serde_json::Value;

/// A sitting as its learner knows it.
#[derive(Clone, Debug)]
pub(crate) struct Sitting {
    /// The global id.
    pub(crate) id: String,
    pub(crate) learner: i64,
    /// The row of the card.
    pub(crate) card: i64,
    /// Whether its deadline passes during the run.
    pub(crate) is_short: bool,
    pub(crate) attempt: i64,
    /// As first told.
    pub(crate) expires_at: String,
    /// By slot, from 1.
    pub(crate) questions: Vec<Question>,
    /// All answers that were sent, by slot and number of the batch.
    pub(crate) sent: BTreeMap<(i64, i64), Given>,
    /// The greatest batch that was acknowledged, by slot.
    pub(crate) acknowledged: BTreeMap<i64, i64>,
    /// The status and the result that a submission was told.
    pub(crate) result: Option<(Value, Value)>,
}

/// A question as a sitting shows it.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// Which of the bank.
    pub(crate) number: i64,
    /// The author's position of each option that is shown, and its id.
    pub(crate) options: Vec<(i64, String)>,
}

/// An answer as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Given {
    /// Options as bits of the author's positions.
    pub(crate) chosen: i64,
    pub(crate) number: Option<String>,
}

/// All sittings of a run.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) sittings: Vec<Sitting>,
    /// Answers that no client should ever see, and such that contradict what was told before.
    pub(crate) errors: Vec<String>,
    /// Attempts that were cut off before an answer.
    pub(crate) cut_off: usize,
    /// Sittings whose start was not answered to the end.
    pub(crate) unanswered: usize,
}

impl Ledger {
    pub(crate) fn acknowledged(&self) -> usize {
        self.sittings.iter().map(|sitting| sitting.acknowledged.len()).sum()
    }

    pub(crate) fn results(&self) -> usize {
        self.sittings.iter().filter(|sitting| sitting.result.is_some()).count()
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.sittings.extend(other.sittings);
        self.errors.extend(other.errors);
        self.cut_off += other.cut_off;
        self.unanswered += other.unanswered;
    }
}
