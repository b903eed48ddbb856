use std::sync::Arc;

use chrono::DateTime;
use jishu_entity::{CourseId, SubjectId, course, subject};

use super::*;
use crate::money::Money;
use crate::pricing::{self, Tariff};

fn rate(percent: &str) -> TaxRate {
    percent.parse().ok().and_then(TaxRate::from_percent).unwrap_or_else(|| panic!("{percent} is a rate"))
}

fn policy(percent: &str, is_included: bool) -> TaxPolicy {
    TaxPolicy { rate: rate(percent), is_included, ..TaxPolicy::default() }
}

#[test]
fn a_rate_has_at_most_two_decimal_places() {
    assert_eq!(rate("12.5").basis_points(), 1_250);
    assert_eq!(rate("100").basis_points(), 10_000);
    for wrong in ["101", "-1", "18.001"] {
        assert_eq!(wrong.parse().ok().and_then(TaxRate::from_percent), None, "{wrong}");
    }
}

/// Each row of the table has the rate in per cent, the prices in minor units, and the expected taxes of the lines. The
/// expected sum was computed by hand from the sum of the prices.
#[test]
fn tax_in_prices_that_include_it() {
    for (percent, prices, taxes) in [
        // At 18 per cent, 118.00 contains 18.00 of tax. In the next row, 1.00 contains 0.1525…, which is 0.15.
        ("18", &[11_800][..], &[1_800][..]),
        ("18", &[100], &[15]),
        // 3.00 contains 0.4576… of tax, which is 0.46. Rounded separately, each line would have 0.15, and the sum would
        // be 0.45.
        ("18", &[100, 100, 100], &[15, 15, 16]),
        // 0.03 contains 0.00457… of tax, which is rounded down to 0.
        ("18", &[1, 1, 1], &[0, 0, 0]),
        // At 12.5 per cent, 0.09 contains exactly 0.01 of tax.
        ("12.5", &[3, 3, 3], &[0, 0, 1]),
        // At 12.5 per cent, 0.05 contains 0.00555… of tax, which is rounded up to 0.01.
        ("12.5", &[5], &[1]),
        // At 100 per cent, 3 minor units contain 3 × 100 / 200 = 1.5 minor units of tax, which is rounded up to 2.
        ("100", &[3], &[2]),
        ("0", &[19_900, 1], &[0, 0]),
        // Lines with the price 0 have no tax.
        ("18", &[0, 11_800, 0], &[0, 1_800, 0]),
        ("18", &[0, 0], &[0, 0]),
    ] {
        let charged = policy(percent, true).charge(prices);
        assert_eq!(
            charged.iter().map(|line| line.tax).collect::<Vec<_>>(),
            taxes,
            "{percent} % in {prices:?}"
        );
        assert_eq!(charged.iter().map(|line| line.price).collect::<Vec<_>>(), prices);
    }
}

/// Each row of the table has the rate in per cent, the prices in minor units, and the expected taxes of the lines. The
/// taxes are added to the prices.
#[test]
fn tax_on_prices_that_exclude_it() {
    for (percent, prices, taxes) in [
        ("18", &[10_000][..], &[1_800][..]),
        // 0.99 × 18 % = 0.1782, which is 0.18. In the next row, 0.03 × 18 % = 0.0054, which is 0.01.
        ("18", &[99], &[18]),
        ("18", &[1, 1, 1], &[0, 0, 1]),
        // 2.97 × 18 % = 0.5346, which is 0.53. Rounded separately, each line would have 0.18, and the sum would be
        // 0.54.
        ("18", &[99, 99, 99], &[17, 18, 18]),
        // 0.04 × 12.5 % = 0.005, which is rounded up to 0.01.
        ("12.5", &[4], &[1]),
        ("12.5", &[3], &[0]),
        ("12.5", &[1, 2, 1], &[0, 0, 1]),
        ("0", &[19_900, 1], &[0, 0]),
        ("18", &[0, 10_000, 0], &[0, 1_800, 0]),
    ] {
        let charged = policy(percent, false).charge(prices);
        assert_eq!(
            charged.iter().map(|line| line.tax).collect::<Vec<_>>(),
            taxes,
            "{percent} % on {prices:?}"
        );
        for (line, price) in charged.iter().zip(prices) {
            assert_eq!(line.price, price + line.tax);
        }
    }
}

/// Quotes a bundle of subjects with these list prices. Returns in major units: the subtotal, the discount, the tax and
/// the total, then the price and the tax of each line.
fn bundle(
    currency: &str,
    list_prices: &[i64],
    bundle: i64,
    policy: TaxPolicy,
) -> ([String; 4], Vec<[String; 2]>) {
    let course = course::Model {
        id: CourseId(1),
        code: None,
        name: "Course".to_owned(),
        description: None,
        currency: currency.to_owned(),
        bundle_price: Some(bundle),
        validity_days: None,
        version: 1,
        archived_at: None,
        created_at: DateTime::UNIX_EPOCH,
    };
    let subject = |(list_price, id): (&i64, i64)| subject::Model {
        id: SubjectId(id),
        course_id: CourseId(1),
        code: None,
        name: format!("Subject {id}"),
        list_price: *list_price,
        offer_price: None,
        offer_starts_at: None,
        offer_ends_at: None,
        total_mock_tests: 50,
        max_attempts: 3,
        marks_correct: 400,
        marks_wrong: -100,
        marks_unanswered: 0,
        questions_per_test: 45,
        time_limit_seconds: 3_600,
        grading_method: subject::GradingMethod::Highest,
        review_policy: subject::ReviewPolicy::AfterSitting,
        version: 1,
        archived_at: None,
        created_at: DateTime::UNIX_EPOCH,
    };
    let wanted: Vec<_> = list_prices.iter().zip(1..).map(subject).collect();
    let tariff = Tariff::Bundle(bundle);
    let quote = pricing::quote(&course, &wanted, &[], tariff, &Arc::new(policy), DateTime::UNIX_EPOCH);
    assert_eq!(quote.lines.iter().map(|line| line.price).sum::<i64>(), quote.total);
    assert_eq!(quote.lines.iter().map(|line| line.tax).sum::<i64>(), quote.tax);
    let shown = |minor| Money::new(minor, currency).amount().to_string();
    let lines = quote.lines.iter().map(|line| [line.price, line.tax].map(shown)).collect();
    ([quote.subtotal, quote.discount, quote.tax, quote.total].map(shown), lines)
}

fn texts<const N: usize>(texts: [&str; N]) -> [String; N] {
    texts.map(str::to_owned)
}

/// Tests bundles whose price cannot be divided evenly, in currencies with 2, 0 and 3 decimal places.
#[test]
fn bundles_add_up_in_every_currency() {
    let three = [10_000, 10_000, 10_000];
    for (currency, percent, is_included, sums, lines) in [
        // The price 250.00 is split into thirds. It contains 250 × 18 / 118 = 38.1355… of tax, which is 38.14.
        (
            "INR",
            "18",
            true,
            ["300.00", "50.00", "38.14", "250.00"],
            [["83.33", "12.71"], ["83.33", "12.71"], ["83.34", "12.72"]],
        ),
        // 250.00 × 18 % = 45.00.
        (
            "INR",
            "18",
            false,
            ["300.00", "50.00", "45.00", "295.00"],
            [["98.32", "14.99"], ["98.33", "15.00"], ["98.35", "15.01"]],
        ),
        // 25000 yen contain 25000 × 12.5 / 112.5 = 2777.7… of tax, which is 2778.
        (
            "JPY",
            "12.5",
            true,
            ["30000", "5000", "2778", "25000"],
            [["8333", "925"], ["8333", "926"], ["8334", "927"]],
        ),
        (
            "JPY",
            "12.5",
            false,
            ["30000", "5000", "3125", "28125"],
            [["9374", "1041"], ["9375", "1042"], ["9376", "1042"]],
        ),
        (
            "KWD",
            "12.5",
            true,
            ["30.000", "5.000", "2.778", "25.000"],
            [["8.333", "0.925"], ["8.333", "0.926"], ["8.334", "0.927"]],
        ),
        (
            "KWD",
            "0",
            false,
            ["30.000", "5.000", "0.000", "25.000"],
            [["8.333", "0.000"], ["8.333", "0.000"], ["8.334", "0.000"]],
        ),
    ] {
        let got = bundle(currency, &three, 25_000, policy(percent, is_included));
        let due = (texts(sums), lines.map(texts).to_vec());
        assert_eq!(got, due, "{currency}, {percent} %, included: {is_included}");
    }
}

#[test]
fn lines_always_add_up_and_carry_no_more_tax_than_their_price() {
    for percent in ["0", "0.01", "5", "12.5", "18", "28", "99.99", "100"] {
        for is_included in [true, false] {
            for prices in [&[1, 1, 1, 1, 1, 1, 1][..], &[0, 1, 999, 0, 7], &[1_000_000_000_000; 500]] {
                let sum: i64 = prices.iter().sum();
                let policy = policy(percent, is_included);
                let charged = policy.charge(prices);
                let tax: i64 = charged.iter().map(|line| line.tax).sum();
                let total: i64 = charged.iter().map(|line| line.price).sum();
                assert_eq!(total, if is_included { sum } else { sum + tax });
                assert_eq!(
                    tax,
                    if is_included { policy.rate.included_in(sum) } else { policy.rate.added_to(sum) }
                );
                assert!(
                    charged.iter().all(|line| (0..=line.price).contains(&line.tax)),
                    "{percent} {prices:?}"
                );
            }
        }
    }
}
