//! Limits on how many connections, subscriptions or other things each client has at once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Permits for each key, up to a maximum number. Only keys with taken permits need memory.
pub struct PermitsPerKey<K: Eq + Hash> {
    max_per_key: u32,
    taken: Arc<Mutex<HashMap<K, u32>>>,
}

/// A taken permit of a key. Dropping this value makes the permit free again.
pub struct KeyPermit<K: Eq + Hash> {
    /// The key of the permit. None if there is no limit, because then no permits are counted.
    key: Option<K>,
    taken: Arc<Mutex<HashMap<K, u32>>>,
}

impl<K: Eq + Hash> Clone for PermitsPerKey<K> {
    fn clone(&self) -> Self {
        Self { max_per_key: self.max_per_key, taken: Arc::clone(&self.taken) }
    }
}

impl<K: Copy + Eq + Hash> PermitsPerKey<K> {
    /// Allows this many permits for each key; 0 means no limit.
    #[must_use]
    pub fn new(max_per_key: u32) -> Self {
        Self { max_per_key, taken: Arc::default() }
    }

    /// Returns the maximum number of permits of each key.
    #[must_use]
    pub fn max_per_key(&self) -> u32 {
        self.max_per_key
    }

    /// Takes a permit for this key. Returns None if all permits of the key are taken.
    #[must_use]
    pub fn take(&self, key: K) -> Option<KeyPermit<K>> {
        let taken = Arc::clone(&self.taken);
        if self.max_per_key == 0 {
            return Some(KeyPermit { key: None, taken });
        }
        let mut counts = lock(&self.taken);
        let count = counts.entry(key).or_default();
        if *count >= self.max_per_key {
            return None;
        }
        *count += 1;
        Some(KeyPermit { key: Some(key), taken })
    }
}

impl<K: Eq + Hash> Drop for KeyPermit<K> {
    fn drop(&mut self) {
        let Some(key) = self.key.take() else { return };
        if let Entry::Occupied(mut count) = lock(&self.taken).entry(key) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

fn lock<K>(taken: &Mutex<HashMap<K, u32>>) -> MutexGuard<'_, HashMap<K, u32>> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_permit_can_be_taken_again() {
        let permits = PermitsPerKey::new(2);
        let (first, second) = (permits.take('a'), permits.take('a'));
        assert!(first.is_some() && second.is_some());
        assert!(permits.take('a').is_none());
        assert!(permits.take('b').is_some(), "another key has no permits of its own");
        drop(first);
        assert!(permits.take('a').is_some());
        drop(second);
        assert!(lock(&permits.taken).is_empty(), "a key without permits is still stored");
    }

    #[test]
    fn zero_means_no_limit() {
        let permits = PermitsPerKey::new(0);
        let held: Vec<_> = (0..1_000).map(|_| permits.take('a')).collect();
        assert!(held.iter().all(Option::is_some));
    }
}
