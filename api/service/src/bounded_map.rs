//! A map with a limited number of entries, so that requests of strangers cannot fill the memory.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// A map that drops entries that were not used lately.
///
/// The map has two generations. When the young generation is full, it becomes the old one, and the previous old
/// generation is dropped. An old entry that is used moves to the young generation. Each call takes constant time on
/// average.
#[derive(Debug)]
pub(crate) struct BoundedMap<K, V> {
    generation_size: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Clone + Eq + Hash, V> BoundedMap<K, V> {
    /// Makes a map of at most `capacity` entries, and at least two. The `capacity / 2` entries that were used last are
    /// never dropped.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { generation_size: (capacity / 2).max(1), young: HashMap::new(), old: HashMap::new() }
    }

    /// Returns the value of a key, and marks its entry as used. Returns None if the map does not have the key.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        if let Some(value) = self.old.remove(key) {
            self.insert(key.clone(), value);
        }
        self.young.get_mut(key)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.generation_size && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }

    pub(crate) fn remove<Q: ?Sized + Eq + Hash>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        self.young.remove(key);
        self.old.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_within_its_capacity_and_keeps_used_entries() {
        let mut map = BoundedMap::new(10);
        map.insert(-1, -1);
        for number in 0..1_000 {
            map.insert(number, number);
            assert_eq!(map.get_mut(&-1).copied(), Some(-1));
            assert!(map.young.len() + map.old.len() <= 10);
        }
        assert_eq!(map.get_mut(&0), None);
        assert_eq!(map.get_mut(&999).copied(), Some(999));
        map.remove(&999);
        assert_eq!(map.get_mut(&999), None);
    }

    #[test]
    fn stays_within_the_smallest_capacities() {
        for capacity in 0..=3 {
            let mut map = BoundedMap::new(capacity);
            for number in 0..10 {
                map.insert(number, number);
                assert_eq!(map.get_mut(&number).copied(), Some(number));
                assert!(map.young.len() + map.old.len() <= capacity.max(2), "{capacity}");
            }
        }
    }

    #[test]
    fn has_one_value_for_a_key() {
        let mut map = BoundedMap::new(4);
        for value in 0..10 {
            map.insert("key", value);
            map.insert("other", value);
        }
        assert_eq!(map.get_mut(&"key").copied(), Some(9));
        assert_eq!(map.young.len() + map.old.len(), 2);
    }
}
