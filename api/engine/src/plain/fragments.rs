//! The parts of a response that plain fields have written as JSON already.

use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::Value;
use bytes::Bytes;

/// The parts of the current response that are JSON already. In the response of async-graphql, a `Value::Binary` stands
/// for each part.
///
/// Clones share the parts. The memory of each part stays allocated until the response is written, so no other value of
/// the response can have the same address.
#[derive(Clone, Default)]
pub(crate) struct Fragments(Arc<Mutex<Vec<Bytes>>>);

impl Fragments {
    /// Adds a part, and returns the value that stands for the part in the response.
    pub(super) fn keep(&self, json: Vec<u8>) -> Value {
        let json = Bytes::from(json);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(json.clone());
        Value::Binary(json)
    }

    /// Takes all parts out, after a response is complete. The next response of a subscription begins without parts.
    pub(crate) fn take(&self) -> TakenFragments {
        let mut parts = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        parts.sort_unstable_by_key(address);
        TakenFragments(parts)
    }
}

/// The parts of one response that are JSON already, sorted by their addresses in memory.
#[derive(Debug, Default)]
pub(crate) struct TakenFragments(Vec<Bytes>);

impl TakenFragments {
    /// Tells whether a binary value is one of these parts. Any other binary value comes from a resolver.
    pub(crate) fn contains(&self, value: &Bytes) -> bool {
        self.0.binary_search_by_key(&address(value), address).is_ok()
    }

    /// Returns the number of bytes of all parts.
    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn address(part: &Bytes) -> (usize, usize) {
    (part.as_ptr() as usize, part.len())
}
