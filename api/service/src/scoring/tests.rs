//! Tests of the verdict on an answer, the scores of sittings, grading methods and percentiles. The expected results
//! were computed by hand, except those of percentiles.

use super::*;

const NEET: Marks = Marks { correct: 400, wrong: -100, unanswered: 0 };

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn number(value: &str, tolerance: &str) -> AnswerKey {
    AnswerKey::Number { value: decimal(value), tolerance: decimal(tolerance) }
}

fn chosen(options: i64) -> LearnerAnswer {
    LearnerAnswer { options, ..LearnerAnswer::default() }
}

fn given(number: &str) -> LearnerAnswer {
    LearnerAnswer { number: Some(decimal(number)), ..LearnerAnswer::default() }
}

fn typed(text: &str) -> LearnerAnswer {
    LearnerAnswer { text: Some(text.to_owned()), ..LearnerAnswer::default() }
}

#[test]
fn an_answer_of_each_kind_is_judged() {
    use Verdict::{Correct, Unanswered, Wrong};
    let single = AnswerKey::Options(0b0100);
    let multiple = AnswerKey::Options(0b0101);
    let exact = number("9.81", "0");
    let near = number("9.8", "0.05");
    let whole = number("-40", "0.5");
    let texts = AnswerKey::Texts(TextKey::new(vec!["New York".to_owned(), "*city*".to_owned()], false));
    let exactly = AnswerKey::Texts(TextKey::new(vec!["pH".to_owned()], true));
    for (key, answer, verdict) in [
        (&single, chosen(0b0100), Correct),
        (&single, chosen(0b0001), Wrong),
        (&single, chosen(0b0110), Wrong),
        (&single, LearnerAnswer::default(), Unanswered),
        (&single, given("4"), Wrong),
        (&multiple, chosen(0b0101), Correct),
        (&multiple, chosen(0b0001), Wrong),
        (&multiple, chosen(0b0111), Wrong),
        (&multiple, chosen(0), Unanswered),
        (&exact, given("9.81"), Correct),
        (&exact, given("9.810"), Correct),
        (&exact, given("9.8100001"), Wrong),
        (&exact, LearnerAnswer::default(), Unanswered),
        (&exact, chosen(1), Wrong),
        (&near, given("9.75"), Correct),
        (&near, given("9.85"), Correct),
        (&near, given("9.7499"), Wrong),
        (&near, given("9.8501"), Wrong),
        (&near, given("0"), Wrong),
        (&texts, typed(" new  YORK"), Correct),
        (&texts, typed("A big City!"), Correct),
        (&texts, typed("York"), Wrong),
        (&texts, given("1"), Wrong),
        (&texts, chosen(1), Wrong),
        (&texts, LearnerAnswer::default(), Unanswered),
        (&exactly, typed("pH"), Correct),
        (&exactly, typed("PH"), Wrong),
        (&exact, typed("9.81"), Wrong),
        (&whole, given("-40.5"), Correct),
        (&whole, given("40"), Wrong),
        (&number("-79228162514264337593543950335", "1"), given("79228162514264337593543950335"), Wrong),
    ] {
        assert_eq!(judge(key, &answer), verdict, "{key:?} {answer:?}");
    }
}

#[test]
fn a_sitting_is_scored_by_its_marking_scheme() {
    let key = AnswerKey::Options(1);
    let sitting = |marks, correct, wrong, unanswered| {
        let answers = [(correct, chosen(1)), (wrong, chosen(2)), (unanswered, LearnerAnswer::default())];
        let questions =
            answers.iter().flat_map(|(times, answer)| vec![(TopicId(1), &key, answer.clone()); *times]);
        let total = score(marks, questions).total;
        (total.score, total.max_score, total.percentage())
    };
    let half = Marks { correct: 200, wrong: -66, unanswered: 0 };
    let kind = Marks { correct: 100, wrong: 0, unanswered: 0 };
    let coaxing = Marks { correct: 300, wrong: -100, unanswered: 50 };
    let odd = Marks { correct: -100, wrong: -200, unanswered: 0 };
    for (marks, correct, wrong, unanswered, expected) in [
        (NEET, 45, 0, 0, (180_00, 180_00, 100_00)),
        (NEET, 30, 10, 5, (110_00, 180_00, 61_11)),
        (NEET, 0, 45, 0, (-45_00, 180_00, -25_00)),
        (NEET, 0, 0, 45, (0, 180_00, 0)),
        (NEET, 9, 36, 0, (0, 180_00, 0)),
        (NEET, 1, 0, 0, (4_00, 4_00, 100_00)),
        (NEET, 0, 1, 0, (-1_00, 4_00, -25_00)),
        (NEET, 1, 1, 1, (3_00, 12_00, 25_00)),
        (NEET, 1, 2, 0, (2_00, 12_00, 16_67)),
        (NEET, 2, 1, 4, (7_00, 28_00, 25_00)),
        (half, 1, 1, 1, (1_34, 6_00, 22_33)),
        (half, 0, 1, 2, (-66, 6_00, -11_00)),
        (kind, 1, 2, 0, (1_00, 3_00, 33_33)),
        (kind, 2, 1, 0, (2_00, 3_00, 66_67)),
        (kind, 1, 7, 0, (1_00, 8_00, 12_50)),
        (kind, 1, 799, 0, (1_00, 800_00, 13)),
        (coaxing, 1, 1, 1, (2_50, 9_00, 27_78)),
        (coaxing, 0, 0, 3, (1_50, 9_00, 16_67)),
        (odd, 1, 0, 0, (-1_00, 0, 0)),
        (NEET, 0, 0, 0, (0, 0, 0)),
    ] {
        assert_eq!(
            sitting(marks, correct, wrong, unanswered),
            expected,
            "{marks:?} {correct} {wrong} {unanswered}"
        );
    }
}

#[test]
fn topics_add_up_to_the_whole() {
    let key = AnswerKey::Options(1);
    let questions = [(7, 1), (3, 2), (7, 2), (3, 0), (5, 1)]
        .map(|(topic, options)| (TopicId(topic), &key, chosen(options)));
    let score = score(NEET, questions);
    let topics: Vec<_> = score
        .topics
        .iter()
        .map(|(topic, tally)| (topic.0, tally.score, tally.correct, tally.wrong, tally.unanswered))
        .collect();
    assert_eq!(topics, [(3, -1_00, 0, 1, 1), (5, 4_00, 1, 0, 0), (7, 3_00, 1, 1, 0)]);
    assert_eq!((score.total.score, score.total.max_score), (6_00, 20_00));
}

#[test]
fn each_grading_method_picks_its_score() {
    use GradingMethod::{Average, First, Highest, Latest};
    for (scores, latest, highest, first, average) in [
        (&[][..], None, None, None, None),
        (&[50], Some(50), Some(50), Some(50), Some(50)),
        (&[10, 30, 20], Some(20), Some(30), Some(10), Some(20)),
        (&[-400, -100], Some(-100), Some(-100), Some(-400), Some(-250)),
        (&[100, 101], Some(101), Some(101), Some(100), Some(101)),
        (&[-100, -101], Some(-101), Some(-100), Some(-100), Some(-101)),
        (&[1, 1, 2], Some(2), Some(2), Some(1), Some(1)),
        (&[1, 2, 2], Some(2), Some(2), Some(1), Some(2)),
    ] {
        let grades = [Latest, Highest, First, Average].map(|method| grade(method, scores));
        assert_eq!(grades, [latest, highest, first, average], "{scores:?}");
    }
}

/// Computes percentiles. The expected numbers were computed in Python with whole numbers only, in units of the seventh
/// decimal place: `(2 * 10**9 * k + n) // (2 * n)`, where k is `at_or_below` and n is `all`. This rounds half up.
#[test]
fn a_percentile_has_seven_decimal_places() {
    for (at_or_below, all, expected) in [
        (1, 1, "100.0000000"),
        (1, 2, "50.0000000"),
        (1, 3, "33.3333333"),
        (2, 3, "66.6666667"),
        (1, 7, "14.2857143"),
        (999_999, 1_000_000, "99.9999000"),
        (8_689_999, 8_690_000, "99.9999885"),
        (1, 8_690_000, "0.0000115"),
        (1, 1_600_000_000, "0.0000001"),
        (123_457, 987_654, "12.5000253"),
        (0, 5, "0.0000000"),
    ] {
        assert_eq!(percentile(at_or_below, all).unwrap().to_string(), expected, "{at_or_below} of {all}");
    }
    assert_eq!(percentile(0, 0), None);
}
