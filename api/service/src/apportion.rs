//! Divides an amount over parts, such as the price of a bundle over its subjects, or a tax over the lines of a
//! purchase.

/// Divides `total` in proportion to `weights`, which must not be negative. Each share is the difference of two
/// rounded-down running totals. So the shares add up to exactly `total` and are never negative. If all weights are 0,
/// all shares are 0.
pub(crate) fn apportion(total: i64, weights: &[i64]) -> Vec<i64> {
    let sum: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }
    let (mut running, mut given) = (0_i128, 0_i128);
    weights
        .iter()
        .map(|weight| {
            running += i128::from(*weight);
            let upto = i128::from(total) * running / sum;
            let share = upto - given;
            given = upto;
            i64::try_from(share).unwrap_or(i64::MAX)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_sum_to_the_total_and_none_is_negative() {
        for total in [0, 1, 2, 999, 1_000_003] {
            for weights in [&[1, 1, 1][..], &[0, 5, 0, 7], &[0, 0], &[i64::MAX / 4, 3, i64::MAX / 4]] {
                let shares = apportion(total, weights);
                let expected = if weights.iter().all(|weight| *weight == 0) { 0 } else { total };
                assert_eq!(shares.iter().sum::<i64>(), expected);
                assert!(shares.iter().all(|share| *share >= 0));
            }
        }
    }
}
