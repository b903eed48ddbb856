//! The weights of options. Moodle gives each option a part of the marks in per cent, but a draft has only whether an
//! option is correct.

/// The key of a question that has weights: whether each option is correct. `loss` says which part of the weights is
/// lost.
#[derive(Debug, PartialEq)]
pub(crate) struct WeightedKey {
    pub(crate) correct: Vec<bool>,
    pub(crate) loss: Option<String>,
}

const PARTIAL_LOSS: &str = "The marks for each option are left out: an answer is either right or wrong.";

/// Reads the weights of a single choice: options with full marks are correct.
pub(crate) fn single(weights: &[f64]) -> WeightedKey {
    let is_full = |weight: &f64| *weight > 99.9;
    let is_partial = |weight: &f64| !is_full(weight) && weight.abs() > f64::EPSILON;
    WeightedKey {
        correct: weights.iter().map(is_full).collect(),
        loss: weights.iter().any(is_partial).then(|| PARTIAL_LOSS.to_owned()),
    }
}

/// Reads the weights of a multiple choice. The options with positive weights are correct. If there are positive
/// weights, they must add up to about 100 per cent.
///
/// There is no loss if all correct options have the same weight, and each wrong option takes away all marks.
pub(crate) fn multiple(weights: &[f64]) -> Result<WeightedKey, String> {
    let sum: f64 = weights.iter().filter(|weight| **weight > 0.0).sum();
    // Authors round weights: six options with 16 per cent each are meant to add up to 100.
    if sum > 0.0 && (sum - 100.0).abs() > 4.5 {
        return Err(format!(
            "The marks of its correct options add up to {sum:.0} per cent instead of 100. Give each \
             correct option an equal part of 100, or make the question a single choice if one of these options is \
             enough."
        ));
    }
    let correct: Vec<bool> = weights.iter().map(|weight| *weight > 0.0).collect();
    let count = correct.iter().filter(|correct| **correct).count();
    let all_or_nothing = |(weight, correct): (&f64, &bool)| {
        #[expect(clippy::cast_precision_loss, reason = "a count of options")]
        let share = if *correct { 100.0 / count as f64 } else { -100.0 };
        (weight - share).abs() < 0.01
    };
    let is_kept = weights.iter().zip(&correct).all(all_or_nothing);
    Ok(WeightedKey { correct, loss: (!is_kept).then(|| PARTIAL_LOSS.to_owned()) })
}

/// Returns the weight of each option if `correct` options are correct. The weight has at most five decimal places, as
/// in Moodle.
pub(crate) fn share(correct: usize) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a count of options")]
    let share = format!("{:.5}", 100.0 / correct.max(1) as f64);
    share.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_tell_which_options_are_correct() {
        let key = |key: WeightedKey| (key.correct, key.loss.is_some());
        assert_eq!(key(single(&[0.0, 100.0, 0.0])), (vec![false, true, false], false));
        assert_eq!(key(single(&[50.0, 100.0])), (vec![false, true], true));
        assert_eq!(key(single(&[-25.0, 100.0])), (vec![false, true], true));
        let multiple = |weights: &[f64]| multiple(weights).expect("a key");
        assert_eq!(key(multiple(&[50.0, 50.0, -100.0])), (vec![true, true, false], false));
        assert_eq!(key(multiple(&[50.0, 50.0, 0.0])), (vec![true, true, false], true));
        assert_eq!(key(multiple(&[60.0, 40.0, -100.0])), (vec![true, true, false], true));
        assert_eq!(key(multiple(&[0.0, -100.0])).0, [false, false]);
        assert_eq!(key(multiple(&[33.0, 33.0, 33.0])).0, [true; 3]);
        assert_eq!(key(multiple(&[16.0; 6])).0, [true; 6]);
        for (correct, written) in
            [(1, "100"), (2, "50"), (3, "33.33333"), (7, "14.28571"), (8, "12.5"), (0, "100")]
        {
            assert_eq!(share(correct), written);
        }
        for correct in 1..=26_usize {
            let weights = vec![share(correct).parse().expect("a number"); correct];
            assert_eq!(multiple(&weights).loss, None, "{correct}");
        }
        for weights in [&[100.0, 50.0, -100.0][..], &[100.0, 100.0], &[50.0, 0.0]] {
            assert!(super::multiple(weights).is_err_and(|reason| reason.contains("add up")), "{weights:?}");
        }
    }
}
