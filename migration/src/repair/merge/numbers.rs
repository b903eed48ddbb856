//! Numbering anew, without ever having two rows of one number.

use std::collections::BTreeSet;

/// A numbered row of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbered {
    /// The card it belongs to.
    pub(super) card: i64,
    /// Its number.
    pub(super) number: i64,
}

/// Gives the rows, which are in order of time, the numbers from 1, all of them on card `survivor`. Answers
/// with the moves (position of the row, its new number) in an order in which each finds its number free.
pub(super) fn moves(rows: &[Numbered], survivor: i64) -> Vec<(usize, i64)> {
    let mut rows: Vec<_> = rows.iter().copied().zip(1_i64..).collect();
    let mut taken: BTreeSet<i64> =
        rows.iter().filter(|(row, _)| row.card == survivor).map(|(row, _)| row.number).collect();
    let mut moves = Vec::new();
    loop {
        let mut waiting = None;
        let mut moved = false;
        for (position, (row, target)) in rows.iter_mut().enumerate() {
            let target = *target;
            if row.card == survivor && row.number == target {
                continue;
            }
            if taken.contains(&target) {
                // What holds the number is a row of the survivor that is yet to move.
                if row.card == survivor {
                    waiting = waiting.or(Some(position));
                }
                continue;
            }
            if row.card == survivor {
                taken.remove(&row.number);
            }
            taken.insert(target);
            *row = Numbered { card: survivor, number: target };
            moves.push((position, target));
            moved = true;
        }
        if moved {
            continue;
        }
        // Nothing could move: done, or rows that wait for one another. One steps aside.
        let Some(position) = waiting else { return moves };
        let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        let aside = taken.last().copied().unwrap_or(0).max(count) + 1;
        taken.remove(&rows[position].0.number);
        taken.insert(aside);
        rows[position].0.number = aside;
        moves.push((position, aside));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rows: &[(i64, i64)]) {
        let mut state: Vec<_> = rows.iter().map(|&(card, number)| Numbered { card, number }).collect();
        for (position, number) in moves(&state, 1) {
            let free = state.iter().all(|row| row.card != 1 || row.number != number);
            assert!(free, "{number} is taken: {rows:?}");
            state[position] = Numbered { card: 1, number };
        }
        let wanted: Vec<_> = (1..).take(rows.len()).map(|number| Numbered { card: 1, number }).collect();
        assert_eq!(state, wanted, "{rows:?}");
    }

    #[test]
    fn every_move_finds_its_number_free_and_the_end_is_by_time() {
        check(&[]);
        check(&[(1, 1), (1, 2)]);
        check(&[(1, 1), (2, 1)]);
        check(&[(2, 1), (1, 1)]);
        check(&[(2, 1), (1, 1), (2, 2), (1, 2), (3, 1)]);
        check(&[(1, 1), (1, 3), (2, 1)]);
        // Numbers that contradict the time wait for one another.
        check(&[(1, 2), (1, 1)]);
        check(&[(1, 2), (1, 3), (1, 1), (2, 1)]);
        check(&[(2, 5), (1, 9), (1, 2), (2, 1)]);
    }
}
