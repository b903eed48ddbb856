//! The order in which a sitting shows the options of a question.
//!
//! The author's order can reveal the key. So each sitting has its own order, which depends on the seed of the sitting.
//! Clients name an option by its position in the order of the sitting.

use question_formats::OptionOrder;
use sha2::{Digest, Sha256};

use crate::paper::PaperQuestion;

/// Returns the options of a slot in the order in which a sitting with this seed shows them. Each option is given by its
/// position in the author's order, from 0. An option that keeps its position stays there, and the other options are
/// shuffled among the remaining positions. The result is the same on every machine and in every release.
#[must_use]
pub(crate) fn option_order(seed: i64, slot: i32, options: usize, order: &OptionOrder) -> Vec<usize> {
    let mut movable: Vec<usize> = (0..options).filter(|position| !order.keeps(*position)).collect();
    movable.sort_by_cached_key(|position| random_rank(seed, slot, *position));
    let mut movable = movable.into_iter();
    let shown_at = |place: usize| if order.keeps(place) { Some(place) } else { movable.next() };
    (0..options).filter_map(shown_at).collect()
}

/// Returns the chosen options of a stored answer by the positions in which the sitting shows them, from 1. Bit n of
/// `chosen` is the option at the author's position n.
#[must_use]
pub(crate) fn shown_options(seed: i64, slot: i32, question: &PaperQuestion, chosen: i64) -> Vec<usize> {
    let order = option_order(seed, slot, question.options.len(), &question.option_order);
    let is_chosen = |position: usize| u32::try_from(position).is_ok_and(|bit| chosen >> bit.min(63) & 1 == 1);
    order.into_iter().zip(1..).filter(|(position, _)| is_chosen(*position)).map(|(_, place)| place).collect()
}

/// Returns a pseudo-random rank of an option, which depends only on the seed, the slot and the author's position.
fn random_rank(seed: i64, slot: i32, position: usize) -> [u8; 32] {
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
    fn all_orders_are_equally_likely() {
        let mut times = std::collections::BTreeMap::new();
        for seed in 0..2_400 {
            *times.entry(option_order(seed, 3, 4, &OptionOrder::default())).or_insert(0) += 1;
        }
        assert_eq!(times.len(), 24);
        // Each order is expected 100 times. The limits of 50 and 150 are five standard deviations away.
        assert!(times.values().all(|times| (50..150).contains(times)), "{times:?}");
    }

    /// The expected orders come from Python:
    /// `sorted(range(5), key=lambda p: sha256(struct.pack("<qiQ", seed, slot, p)).digest())`.
    #[test]
    fn the_order_never_changes() {
        for (seed, slot, order) in
            [(1, 1, [1, 4, 3, 2, 0]), (1, 2, [1, 4, 0, 2, 3]), (-9, 1, [3, 1, 4, 2, 0])]
        {
            assert_eq!(option_order(seed, slot, 5, &OptionOrder::default()), order);
        }
    }

    #[test]
    fn options_that_keep_their_positions_stay_there() {
        let fixed = OptionOrder { shuffled: true, fixed: vec![0, 3] };
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..100 {
            assert_eq!(option_order(seed, 2, 4, &OptionOrder::kept()), [0, 1, 2, 3]);
            let shown = option_order(seed, 2, 5, &fixed);
            assert_eq!((shown[0], shown[3]), (0, 3));
            seen.insert(shown);
        }
        assert_eq!(seen.len(), 6, "the three shuffled options did not take all six orders");
        assert_eq!(option_order(1, 1, 0, &fixed), [0; 0]);
    }
}
