//! The order in which a sitting shows the options of a question.
//!
//! The author's order can give the key away, so learners see another, which the sitting's seed decides, and options are
//! named by their place in it.

use sha2::{Digest, Sha256};

/// The author's positions of the options of a slot, in the order they are shown. The same on every machine and in every
/// version.
#[must_use]
pub(crate) fn shown(seed: i64, slot: i32, options: usize) -> Vec<usize> {
    let mut positions: Vec<usize> = (0..options).collect();
    positions.sort_by_cached_key(|position| lot(seed, slot, *position));
    positions
}

fn lot(seed: i64, slot: i32, position: usize) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(seed.to_le_bytes());
    digest.update(slot.to_le_bytes());
    digest.update(u64::try_from(position).unwrap_or(u64::MAX).to_le_bytes());
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_comes_and_each_as_often() {
        let mut times = std::collections::BTreeMap::new();
        for seed in 0..2_400 {
            *times.entry(shown(seed, 3, 4)).or_insert(0) += 1;
        }
        assert_eq!(times.len(), 24);
        // 100 each; 50 is five standard deviations away.
        assert!(times.values().all(|times| (50..150).contains(times)), "{times:?}");
    }

    /// Against `sorted(range(5), key=lambda p: sha256(struct.pack("<qiQ", seed, slot, p)).digest())` in Python.
    #[test]
    fn the_order_is_the_same_for_ever() {
        for (seed, slot, order) in
            [(1, 1, [1, 4, 3, 2, 0]), (1, 2, [1, 4, 0, 2, 3]), (-9, 1, [3, 1, 4, 2, 0])]
        {
            assert_eq!(shown(seed, slot, 5), order);
        }
    }
}
