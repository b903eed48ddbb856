//! Moves numbered rows, without ever having two rows of one number on a card.

use std::collections::BTreeSet;

use crate::plan::settle::Place;

/// Orders the moves of rows from their present positions to their new ones. Returns each move (index of the row,
/// its new position) in an order in which each new position is free.
///
/// The rows must be all that their cards have.
pub(crate) fn moves(rows: &[(Place, Place)]) -> Vec<(usize, Place)> {
    let targets: BTreeSet<Place> = rows.iter().map(|(_, target)| *target).collect();
    if targets.len() < rows.len() {
        // No unique key covers rows that share a position in the end.
        let moved = rows.iter().enumerate().filter(|(_, (from, target))| from != target);
        return moved.map(|(position, (_, target))| (position, *target)).collect();
    }
    let mut now: Vec<Place> = rows.iter().map(|(from, _)| *from).collect();
    let mut taken: BTreeSet<Place> = now.iter().copied().filter(|place| place.number.is_some()).collect();
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
        // No row could move: all are done, or rows wait for one another. One of those is moved out of the way.
        let wanted: BTreeSet<Place> = waiting.iter().map(|&position| rows[position].1).collect();
        let Some(position) = waiting.into_iter().find(|&position| wanted.contains(&now[position])) else {
            return moves;
        };
        let card = now[position].card;
        let on_card = taken.iter().filter(|place| place.card == card).filter_map(|place| place.number);
        let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        let aside = Place { card, number: Some(on_card.max().unwrap_or(0).max(count) + 1) };
        taken.remove(&now[position]);
        taken.insert(aside);
        now[position] = aside;
        moves.push((position, aside));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place((card, number): (i64, i64)) -> Place {
        Place { card, number: Some(number) }
    }

    /// Moves rows to their new positions and back again.
    fn check(rows: &[(i64, i64)]) {
        let there: Vec<_> = (1..).zip(rows).map(|(number, row)| (place(*row), place((1, number)))).collect();
        let back: Vec<_> = there.iter().map(|(from, to)| (*to, *from)).collect();
        for way in [there, back] {
            let mut state: Vec<_> = way.iter().map(|(from, _)| *from).collect();
            for (position, place) in moves(&way) {
                assert!(!state.contains(&place), "{place:?} is taken: {rows:?}");
                state[position] = place;
            }
            let wanted: Vec<_> = way.iter().map(|(_, to)| *to).collect();
            assert_eq!(state, wanted, "{rows:?}");
        }
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
        check(&[(1, 2), (1, 1), (2, 2), (2, 1)]);
    }

    #[test]
    fn rows_that_share_a_number_already_are_told_apart() {
        let twice = [place((1, 1)), place((1, 1)), place((1, 2)), place((1, 2))];
        let rows: Vec<_> = (1..).zip(twice).map(|(number, from)| (from, place((1, number)))).collect();
        let mut state = twice.to_vec();
        for (position, place) in moves(&rows) {
            state[position] = place;
        }
        assert_eq!(state, [1, 2, 3, 4].map(|number| place((1, number))));
        let back: Vec<_> = rows.iter().map(|(from, to)| (*to, *from)).collect();
        for (position, place) in moves(&back) {
            state[position] = place;
        }
        assert_eq!(state, twice);
    }
}
