//! How many of something each client has at once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Places of which each key may have so many. Only keys that have one take memory.
pub struct PlacesPerKey<K: Eq + Hash> {
    most: u32,
    taken: Arc<Mutex<HashMap<K, u32>>>,
}

/// A place of one key, until it is dropped.
pub struct PlaceOfKey<K: Eq + Hash> {
    /// None where there is no limit, and so nothing is counted.
    key: Option<K>,
    taken: Arc<Mutex<HashMap<K, u32>>>,
}

impl<K: Eq + Hash> Clone for PlacesPerKey<K> {
    fn clone(&self) -> Self {
        Self { most: self.most, taken: Arc::clone(&self.taken) }
    }
}

impl<K: Copy + Eq + Hash> PlacesPerKey<K> {
    /// At most so many for each key; 0 is no limit.
    #[must_use]
    pub fn new(most: u32) -> Self {
        Self { most, taken: Arc::default() }
    }

    /// How many each key may have.
    #[must_use]
    pub fn most(&self) -> u32 {
        self.most
    }

    /// One more place for this key, unless it has as many as it may have.
    #[must_use]
    pub fn take(&self, key: K) -> Option<PlaceOfKey<K>> {
        let taken = Arc::clone(&self.taken);
        if self.most == 0 {
            return Some(PlaceOfKey { key: None, taken });
        }
        let mut counts = lock(&self.taken);
        let count = counts.entry(key).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(PlaceOfKey { key: Some(key), taken })
    }
}

impl<K: Eq + Hash> Drop for PlaceOfKey<K> {
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
    fn a_place_is_free_again_once_it_is_dropped() {
        let places = PlacesPerKey::new(2);
        let (first, second) = (places.take('a'), places.take('a'));
        assert!(first.is_some() && second.is_some());
        assert!(places.take('a').is_none());
        assert!(places.take('b').is_some(), "another key has places of its own");
        drop(first);
        assert!(places.take('a').is_some());
        drop(second);
        assert!(lock(&places.taken).is_empty(), "who has none is forgotten");
    }

    #[test]
    fn zero_is_no_limit() {
        let places = PlacesPerKey::new(0);
        let held: Vec<_> = (0..1_000).map(|_| places.take('a')).collect();
        assert!(held.iter().all(Option::is_some));
    }
}
