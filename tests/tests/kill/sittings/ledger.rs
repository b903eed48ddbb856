//! A record of the answers that learners sent, and of the responses that they got.

use std::collections::BTreeMap;

use serde_json::Value;

/// A sitting, as the responses to its learner described it.
#[derive(Clone, Debug)]
pub(crate) struct Sitting {
    /// The global id of the sitting.
    pub(crate) id: String,
    pub(crate) learner: i64,
    /// The database id of the card.
    pub(crate) card: i64,
    /// Whether the time limit is two seconds, so that the deadline passes during the run.
    pub(crate) is_short: bool,
    pub(crate) attempt: i64,
    /// The deadline in the first response.
    pub(crate) expires_at: String,
    /// The questions in the order of their slots. The first question has slot 1.
    pub(crate) questions: Vec<Question>,
    /// All answers that the learner sent, by slot and sequence.
    pub(crate) sent: BTreeMap<(i64, i64), Given>,
    /// The greatest acknowledged sequence of each slot.
    pub(crate) acknowledged: BTreeMap<i64, i64>,
    /// The status and the result in the response to the submission. `None` before the submission.
    pub(crate) result: Option<(Value, Value)>,
}

/// A question as a sitting shows it.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// The number of the question in the bank.
    pub(crate) number: i64,
    /// For each option in the order shown: its position in the author's order, and its global id.
    pub(crate) options: Vec<(i64, String)>,
}

/// An answer as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Given {
    /// The chosen options. Each bit stands for a position in the author's order.
    pub(crate) chosen: i64,
    pub(crate) number: Option<String>,
    pub(crate) text: Option<String>,
}

/// The sittings of one learner or of a whole run, and the requests that went wrong.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) sittings: Vec<Sitting>,
    /// Responses that no client should ever see, and responses that contradict an earlier response.
    pub(crate) errors: Vec<String>,
    /// Number of requests that were cut off before a response.
    pub(crate) cut_off: usize,
    /// Number of starts that never got a response.
    pub(crate) without_response: usize,
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
        self.without_response += other.without_response;
    }
}
