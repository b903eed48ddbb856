//! A record of the requests of clients and of the responses they got.

use std::collections::BTreeSet;

/// One request with its idempotency key, and all its retries.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) buyer: i64,
    pub(crate) subjects: BTreeSet<i64>,
    /// The response that acknowledged the request first. `None` while no attempt was acknowledged.
    pub(crate) response: Option<PurchaseResponse>,
    /// Later responses that contradict the first response, and responses that acknowledged another request with the
    /// same key.
    pub(crate) contradictions: Vec<String>,
}

/// The response of an acknowledged request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PurchaseResponse {
    pub(crate) outcome: String,
    pub(crate) purchase: i64,
    pub(crate) created: i64,
    pub(crate) total: i64,
}

/// The requests of one client or of a whole run.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) entries: Vec<Entry>,
    /// Responses that no client should ever see.
    pub(crate) errors: Vec<String>,
    /// Number of attempts that were cut off before a response.
    pub(crate) cut_off: usize,
}

impl Ledger {
    pub(crate) fn acknowledged(&self) -> usize {
        self.entries.iter().filter(|entry| entry.response.is_some()).count()
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.entries.extend(other.entries);
        self.errors.extend(other.errors);
        self.cut_off += other.cut_off;
    }
}
