//! Computes the price of a selection. Quotes and purchases use the same function, [`quote`], whose result depends only
//! on its arguments.
//!
//! The price of a bundle is divided over its subjects in the same way as the tax over the lines. [`crate::tax`]
//! describes this way.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use jishu_entity::{CourseId, SubjectId, course, subject};

use super::apportion::apportion;
use super::tax::{TaxPolicy, TaxedPrice};

/// The price of one subject of a quote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuoteLine {
    /// The subject.
    pub subject_id: SubjectId,
    /// The list price of the subject in the catalogue, in minor units.
    pub list_price: i64,
    /// The amount to pay for the subject, in minor units. It includes the tax.
    pub price: i64,
    /// The part of `price` that is tax, in minor units.
    pub tax: i64,
    /// The number of test cards that the subject gives.
    pub test_cards: i32,
}

/// The price of a selection at one time. Amounts are in minor units of `currency`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The course of all subjects of the selection.
    pub course_id: CourseId,
    /// The ISO 4217 code of the currency.
    pub currency: String,
    /// The subjects that the buyer does not own yet, with their prices, by subject id.
    pub lines: Vec<QuoteLine>,
    /// The subjects of the selection that the buyer already owns, by subject id.
    pub already_owned: Vec<SubjectId>,
    /// The sum of the list prices of the lines.
    pub subtotal: i64,
    /// The reduction by offers and the bundle. See [`discount`].
    pub discount: i64,
    /// The part of the total that is tax.
    pub tax: i64,
    /// The tax policy by which the tax was computed.
    pub tax_policy: Arc<TaxPolicy>,
    /// The amount to pay. It includes the tax.
    pub total: i64,
}

impl Quote {
    /// Counts the test cards that the purchase would create.
    #[must_use]
    pub fn test_cards(&self) -> i64 {
        self.lines.iter().map(|line| i64::from(line.test_cards)).sum()
    }
}

/// Returns the reduction by offers and a bundle: the sum of the list prices minus the sum of the prices. Both sums are
/// as in the catalogue, so tax that is added to the prices is taken out of the total first.
#[must_use]
pub fn discount(subtotal: i64, total: i64, tax: i64, is_tax_included: bool) -> i64 {
    subtotal - if is_tax_included { total } else { total - tax }
}

/// Returns the price of a single subject at `now`, without added tax: the offer price during the offer, and otherwise
/// the list price. An offer price above the list price does not count.
#[must_use]
pub fn price_of(subject: &subject::Model, now: DateTime<Utc>) -> i64 {
    match subject.offer_price {
        Some(offer) if is_offered(subject, now) => offer.min(subject.list_price),
        _ => subject.list_price,
    }
}

/// Tells whether `now` is within the time of the subject's offer. The start belongs to this time, and the end does not.
fn is_offered(subject: &subject::Model, now: DateTime<Utc>) -> bool {
    subject.offer_starts_at.is_none_or(|start| now >= start)
        && subject.offer_ends_at.is_none_or(|end| now < end)
}

/// The way in which the price of each subject is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tariff {
    /// Each subject has the price at which it is sold alone.
    Separate,
    /// Each subject has a share of this bundle price, in minor units.
    Bundle(i64),
}

/// Computes the quote for the wanted subjects at the time `now`. Subjects that the buyer owns are not charged.
///
/// Each subject of a bundle gets a share of the bundle's price, in proportion to the price at which the subject is sold
/// alone. So a buyer who owns some of the subjects pays only the shares of the other subjects. A bundle never costs
/// more than its subjects cost separately.
#[must_use]
pub fn quote(
    course: &course::Model,
    wanted: &[subject::Model],
    owned: &[SubjectId],
    tariff: Tariff,
    tax_policy: &Arc<TaxPolicy>,
    now: DateTime<Utc>,
) -> Quote {
    let separate: Vec<i64> = wanted.iter().map(|subject| price_of(subject, now)).collect();
    let prices = match tariff {
        Tariff::Separate => separate,
        Tariff::Bundle(price) => apportion(price.min(separate.iter().sum()), &separate),
    };
    let (to_buy, already_owned): (Vec<_>, Vec<_>) =
        wanted.iter().zip(prices).partition(|(subject, _)| !owned.contains(&subject.id));
    let charged = tax_policy.charge(&to_buy.iter().map(|(_, price)| *price).collect::<Vec<_>>());
    let lines: Vec<QuoteLine> = to_buy
        .into_iter()
        .zip(charged)
        .map(|((subject, _), TaxedPrice { price, tax })| QuoteLine {
            subject_id: subject.id,
            list_price: subject.list_price,
            price,
            tax,
            test_cards: subject.total_mock_tests,
        })
        .collect();
    let sum = |amount: fn(&QuoteLine) -> i64| lines.iter().map(amount).sum();
    let (subtotal, total, tax) = (sum(|line| line.list_price), sum(|line| line.price), sum(|line| line.tax));
    Quote {
        course_id: course.id,
        currency: course.currency.clone(),
        lines,
        already_owned: already_owned.into_iter().map(|(subject, _)| subject.id).collect(),
        subtotal,
        discount: discount(subtotal, total, tax, tax_policy.is_included),
        tax,
        tax_policy: Arc::clone(tax_policy),
        total,
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn course() -> course::Model {
        course::Model {
            id: CourseId(1),
            code: None,
            name: "NEET".to_owned(),
            description: None,
            currency: "INR".to_owned(),
            bundle_price: Some(100_000),
            validity_days: None,
            version: 1,
            archived_at: None,
            created_at: DateTime::UNIX_EPOCH,
        }
    }

    fn subject(id: i64, list_price: i64, offer_price: Option<i64>) -> subject::Model {
        subject::Model {
            id: SubjectId(id),
            course_id: CourseId(1),
            code: None,
            name: format!("Subject {id}"),
            list_price,
            offer_price,
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
        }
    }

    fn quoted(wanted: &[subject::Model], owned: &[i64], tariff: Tariff) -> Quote {
        let owned: Vec<_> = owned.iter().copied().map(SubjectId).collect();
        quote(&course(), wanted, &owned, tariff, &Arc::default(), DateTime::UNIX_EPOCH)
    }

    #[test]
    fn an_offer_counts_from_start_to_end_and_never_raises_the_price() {
        let end = DateTime::UNIX_EPOCH + TimeDelta::hours(1);
        let mut physics = subject(1, 50_000, Some(40_000));
        physics.offer_ends_at = Some(end);
        assert_eq!(price_of(&physics, end - TimeDelta::microseconds(1)), 40_000);
        assert_eq!(price_of(&physics, end), 50_000);
        let start = end - TimeDelta::minutes(1);
        physics.offer_starts_at = Some(start);
        assert_eq!(price_of(&physics, start - TimeDelta::microseconds(1)), 50_000);
        assert_eq!(price_of(&physics, start), 40_000);
        assert_eq!(price_of(&subject(1, 50_000, Some(60_000)), end), 50_000);
    }

    #[test]
    fn owned_subjects_are_set_aside_and_not_charged() {
        let quote =
            quoted(&[subject(1, 50_000, None), subject(2, 30_000, Some(20_000))], &[1], Tariff::Separate);
        assert_eq!((quote.subtotal, quote.discount, quote.total), (30_000, 10_000, 20_000));
        assert_eq!(quote.already_owned, [SubjectId(1)]);
        assert_eq!(quote.test_cards(), 50);
    }

    #[test]
    fn a_bundle_costs_its_price_and_the_rest_of_it_the_remaining_shares() {
        let subjects = [subject(1, 50_000, None), subject(2, 50_000, None), subject(3, 20_000, None)];
        let whole = quoted(&subjects, &[], Tariff::Bundle(100_001));
        assert_eq!(whole.total, 100_001);
        let rest = quoted(&subjects, &[2], Tariff::Bundle(100_001));
        assert_eq!(rest.total, 100_001 - whole.lines[1].price);
    }

    #[test]
    fn a_bundle_never_costs_more_than_its_parts() {
        let quote = quoted(&[subject(1, 100, None), subject(2, 200, None)], &[], Tariff::Bundle(1_000));
        assert_eq!(quote.total, 300);
    }
}
