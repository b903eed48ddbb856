//! Orders moves of sittings so that a card never has two sittings with the same attempt number.

use std::collections::BTreeSet;

use crate::plan::AttemptNumber;

/// Orders the moves of sittings to new cards and attempt numbers. Each row belongs to one sitting: its present and its
/// new card and attempt number. The rows must have all sittings of their cards.
///
/// Returns the moves: pairs of the index of a row, and the card and attempt number to set. In this order, each move
/// goes to a number that is free at that time. A sitting may move twice.
pub(crate) fn moves(rows: &[(AttemptNumber, AttemptNumber)]) -> Vec<(usize, AttemptNumber)> {
    let targets: BTreeSet<AttemptNumber> = rows.iter().map(|(_, target)| *target).collect();
    if targets.len() < rows.len() {
        // If several rows will have the same number, no unique key covers the numbers, so any order works.
        let moved = rows.iter().enumerate().filter(|(_, (from, target))| from != target);
        return moved.map(|(position, (_, target))| (position, *target)).collect();
    }
    let mut now: Vec<AttemptNumber> = rows.iter().map(|(from, _)| *from).collect();
    let mut taken: BTreeSet<AttemptNumber> =
        now.iter().copied().filter(|attempt| attempt.number.is_some()).collect();
    let mut moves = Vec::new();
    loop {
        let mut waiting = Vec::new();
        let mut moved = false;
        for (position, (_, target)) in rows.iter().enumerate() {
            if now[position] == *target {
                continue;
            }
            if target.number.is_some() && taken.contains(target) {
                waiting.push(position);
                continue;
            }
            taken.remove(&now[position]);
            if target.number.is_some() {
                taken.insert(*target);
            }
            now[position] = *target;
            moves.push((position, *target));
            moved = true;
        }
        if moved {
            continue;
        }
        // No row can move. Either all rows have their new numbers, or some rows need each other's numbers. Then one of
        // these rows first moves to an unused number.
        let wanted: BTreeSet<AttemptNumber> = waiting.iter().map(|&position| rows[position].1).collect();
        let Some(position) = waiting.into_iter().find(|&position| wanted.contains(&now[position])) else {
            return moves;
        };
        let card = now[position].card;
        let on_card =
            taken.iter().filter(|attempt| attempt.card == card).filter_map(|attempt| attempt.number);
        let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        let aside = AttemptNumber { card, number: Some(on_card.max().unwrap_or(0).max(count) + 1) };
        taken.remove(&now[position]);
        taken.insert(aside);
        now[position] = aside;
        moves.push((position, aside));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt((card, number): (i64, i64)) -> AttemptNumber {
        AttemptNumber { card, number: Some(number) }
    }

    /// Moves rows to the numbers from 1 on card 1, and back again. Asserts that each move goes to a free number.
    fn check(rows: &[(i64, i64)]) {
        let there: Vec<_> =
            (1..).zip(rows).map(|(number, row)| (attempt(*row), attempt((1, number)))).collect();
        let back: Vec<_> = there.iter().map(|(from, to)| (*to, *from)).collect();
        for way in [there, back] {
            let mut state: Vec<_> = way.iter().map(|(from, _)| *from).collect();
            for (position, target) in moves(&way) {
                assert!(!state.contains(&target), "{target:?} is taken: {rows:?}");
                state[position] = target;
            }
            let wanted: Vec<_> = way.iter().map(|(_, to)| *to).collect();
            assert_eq!(state, wanted, "{rows:?}");
        }
    }

    #[test]
    fn each_move_goes_to_a_free_number() {
        check(&[]);
        check(&[(1, 1), (1, 2)]);
        check(&[(1, 1), (2, 1)]);
        check(&[(2, 1), (1, 1)]);
        check(&[(2, 1), (1, 1), (2, 2), (1, 2), (3, 1)]);
        check(&[(1, 1), (1, 3), (2, 1)]);
        // Here rows need the present numbers of other rows, mostly in a circle.
        check(&[(1, 2), (1, 1)]);
        check(&[(1, 2), (1, 3), (1, 1), (2, 1)]);
        check(&[(2, 5), (1, 9), (1, 2), (2, 1)]);
        check(&[(1, 2), (1, 1), (2, 2), (2, 1)]);
    }

    #[test]
    fn rows_that_share_a_number_get_different_numbers() {
        let twice = [attempt((1, 1)), attempt((1, 1)), attempt((1, 2)), attempt((1, 2))];
        let rows: Vec<_> = (1..).zip(twice).map(|(number, from)| (from, attempt((1, number)))).collect();
        let mut state = twice.to_vec();
        for (position, target) in moves(&rows) {
            state[position] = target;
        }
        assert_eq!(state, [1, 2, 3, 4].map(|number| attempt((1, number))));
        let back: Vec<_> = rows.iter().map(|(from, to)| (*to, *from)).collect();
        for (position, target) in moves(&back) {
            state[position] = target;
        }
        assert_eq!(state, twice);
    }
}
