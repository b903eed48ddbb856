//! Edits of courses and subjects, and their application to rows.

use chrono::{DateTime, SubsecRound, Utc};
use jishu_entity::subject::{GradingMethod, ReviewPolicy};
use jishu_entity::{CourseId, SubjectId, course, subject};
use rust_decimal::Decimal;

use super::settings::setting_of;
use super::values::{self, CatalogueField, InvalidValue, ValueProblem};
use crate::test_settings::TestSettingsChange;

/// New values of a course. None leaves a value as it is. `Some(None)` removes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CourseEdit {
    /// The code of the course. If the course already has a code, the edit can only repeat that code.
    pub code: Option<String>,
    /// The name that buyers see.
    pub name: Option<String>,
    /// The description for buyers.
    pub description: Option<Option<String>>,
    /// The price of the whole course as a bundle, in major units. Without it, the course is not sold as a bundle.
    pub bundle_price: Option<Option<Decimal>>,
    /// The number of days for which a purchase gives access. Without it, access does not end.
    pub validity_days: Option<Option<i32>>,
    /// Whether the course is archived, which means that it is not sold.
    pub archived: Option<bool>,
}

/// A course to create.
#[derive(Clone, Debug)]
pub struct NewCourse {
    /// The ISO 4217 code of the currency of all prices of the course.
    pub currency: String,
    /// The other values of the course. The code and the name must be given.
    pub values: CourseEdit,
}

/// The terms of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfferTerms {
    /// The price during the offer, in major units.
    pub price: Decimal,
    /// The first moment of the offer. None if it has no start.
    pub starts_at: Option<DateTime<Utc>>,
    /// The first moment after the offer. None if it has no end.
    pub ends_at: Option<DateTime<Utc>>,
}

/// New values of a subject. None leaves a value as it is. `Some(None)` removes the offer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectEdit {
    /// The code of the subject. If the subject already has a code, the edit can only repeat that code.
    pub code: Option<String>,
    /// The name that buyers see.
    pub name: Option<String>,
    /// The price without an offer, in major units.
    pub list_price: Option<Decimal>,
    /// The offer: its price, start and end.
    pub offer: Option<Option<OfferTerms>>,
    /// The number of cards that a purchase gives.
    pub total_mock_tests: Option<i32>,
    /// The settings of the tests of the subject. They must not contain a blueprint.
    pub settings: TestSettingsChange,
    /// Whether the subject is archived, which means that it is not sold.
    pub archived: Option<bool>,
}

/// A subject to create.
#[derive(Clone, Debug)]
pub struct NewSubject {
    /// The course of the subject.
    pub course: CourseId,
    /// The values of the subject. The code, the name and the list price must be given.
    pub values: SubjectEdit,
}

impl NewCourse {
    /// Returns the row of the new course, with the id 0 and the version 0, or all values that are not allowed.
    pub(crate) fn row(&self, now: DateTime<Utc>) -> Result<course::Model, Vec<InvalidValue>> {
        let mut row = course::Model {
            id: CourseId(0),
            code: None,
            name: String::new(),
            description: None,
            currency: self.currency.trim().to_owned(),
            bundle_price: None,
            validity_days: None,
            version: 0,
            archived_at: None,
            created_at: now,
        };
        let mut invalid = values::currency(&row.currency)
            .err()
            .map_or_else(Vec::new, |problem| vec![InvalidValue { field: CatalogueField::Currency, problem }]);
        let edited = self.values.apply_to(&mut row, now);
        // If the currency is unknown, the problem with the bundle price is left out. The message of that problem names
        // the decimal places of the currency, and would be misleading.
        if invalid.is_empty() {
            edited?;
        } else {
            let others = edited.err().unwrap_or_default();
            invalid.extend(others.into_iter().filter(|other| other.field != CatalogueField::BundlePrice));
        }
        if invalid.is_empty() { Ok(row) } else { Err(invalid) }
    }
}

impl NewSubject {
    /// Returns the row of the new subject, with the id 0 and the version 0, or all values that are not allowed. Values
    /// that are not given are those of [`blank_subject`].
    pub(crate) fn row(
        &self,
        currency: &str,
        now: DateTime<Utc>,
    ) -> Result<subject::Model, Vec<InvalidValue>> {
        let mut row = blank_subject(self.course, now);
        self.values.apply_to(&mut row, currency, now)?;
        Ok(row)
    }
}

/// Returns a subject with the default settings of the database and the id 0, with an empty name and the price 0.
pub(crate) fn blank_subject(course: CourseId, now: DateTime<Utc>) -> subject::Model {
    subject::Model {
        id: SubjectId(0),
        course_id: course,
        code: None,
        name: String::new(),
        list_price: 0,
        offer_price: None,
        offer_starts_at: None,
        offer_ends_at: None,
        total_mock_tests: 50,
        max_attempts: 3,
        marks_correct: 4_00,
        marks_wrong: -1_00,
        marks_unanswered: 0,
        questions_per_test: 45,
        time_limit_seconds: 3_600,
        grading_method: GradingMethod::Highest,
        review_policy: ReviewPolicy::AfterSitting,
        version: 0,
        archived_at: None,
        created_at: now,
    }
}

/// The values of an edit that are not allowed.
#[derive(Default)]
struct Problems(Vec<InvalidValue>);

impl Problems {
    /// Returns the value if it is allowed. Otherwise records the problem and returns None.
    fn check<T>(&mut self, field: CatalogueField, value: Result<T, ValueProblem>) -> Option<T> {
        value.map_err(|problem| self.0.push(InvalidValue { field, problem })).ok()
    }

    fn into_result(self) -> Result<(), Vec<InvalidValue>> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }
}

/// Returns the code of a row after an edit. Fails if the row has another code, because a code never changes. Also fails
/// if a new code is not well-formed.
fn code(given: Option<&String>, stored: Option<&String>) -> Result<Option<String>, ValueProblem> {
    match (given, stored) {
        (None, stored) => Ok(stored.cloned()),
        (Some(given), None) => values::code(given).map(Some),
        (Some(given), Some(stored)) if given.trim() == stored => Ok(Some(stored.clone())),
        (Some(_), Some(_)) => Err(ValueProblem::CodeFixed),
    }
}

/// Returns the time since which a row is archived after an edit. None if it is not archived.
fn archived_at(
    given: Option<bool>,
    stored: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    match given {
        None => stored,
        Some(true) => stored.or(Some(now)),
        Some(false) => None,
    }
}

impl CourseEdit {
    /// Applies the edit to a row, or returns all values that are not allowed. Checks only values that differ from the
    /// row, because older rows may have values that are no longer allowed. A row with the id 0 is new, so all given
    /// values are checked.
    pub(crate) fn apply_to(
        &self,
        row: &mut course::Model,
        now: DateTime<Utc>,
    ) -> Result<(), Vec<InvalidValue>> {
        let mut problems = Problems::default();
        let is_new = row.id.0 == 0;
        if let Some(code) = problems.check(CatalogueField::Code, code(self.code.as_ref(), row.code.as_ref()))
        {
            row.code = code;
        }
        if let Some(name) = &self.name
            && (is_new || *name != row.name)
            && let Some(name) = problems.check(CatalogueField::Name, values::name(name))
        {
            row.name = name;
        }
        if let Some(description) = &self.description
            && *description != row.description
            && let Some(description) =
                problems.check(CatalogueField::Description, values::description(description.as_deref()))
        {
            row.description = description;
        }
        if let Some(price) = self.bundle_price
            && let Some(minor) = problems.check(
                CatalogueField::BundlePrice,
                price.map(|price| values::price(price, row.bundle_price, &row.currency)).transpose(),
            )
        {
            row.bundle_price = minor;
        }
        if let Some(days) = self.validity_days
            && days != row.validity_days
            && let Some(days) =
                problems.check(CatalogueField::ValidityDays, days.map(values::validity_days).transpose())
        {
            row.validity_days = days;
        }
        row.archived_at = archived_at(self.archived, row.archived_at, now);
        problems.into_result()
    }
}

impl SubjectEdit {
    /// Applies the edit to a row whose prices are in this currency, or returns all values that are not allowed. Checks
    /// only values that differ from the row, as [`CourseEdit::apply_to`] does.
    pub(crate) fn apply_to(
        &self,
        row: &mut subject::Model,
        currency: &str,
        now: DateTime<Utc>,
    ) -> Result<(), Vec<InvalidValue>> {
        let mut problems = Problems::default();
        let is_new = row.id.0 == 0;
        if let Some(code) = problems.check(CatalogueField::Code, code(self.code.as_ref(), row.code.as_ref()))
        {
            row.code = code;
        }
        if let Some(name) = &self.name
            && (is_new || *name != row.name)
            && let Some(name) = problems.check(CatalogueField::Name, values::name(name))
        {
            row.name = name;
        }
        if let Err(invalid) = self.set_prices(row, currency) {
            problems.0.extend(invalid);
        }
        if let Some(tests) = self.total_mock_tests
            && tests != row.total_mock_tests
            && let Some(tests) =
                problems.check(CatalogueField::TotalMockTests, values::total_mock_tests(tests))
        {
            row.total_mock_tests = tests;
        }
        let settings = self.settings.without_values_of(row);
        if let Err(refusal) = settings.apply_to(row) {
            let field = CatalogueField::Settings(setting_of(&refusal));
            problems.0.push(InvalidValue { field, problem: ValueProblem::Settings(refusal) });
        }
        row.archived_at = archived_at(self.archived, row.archived_at, now);
        problems.into_result()
    }

    /// Sets the list price and the offer of a row, or returns the values that are not allowed.
    fn set_prices(&self, row: &mut subject::Model, currency: &str) -> Result<(), Vec<InvalidValue>> {
        let before = (row.list_price, row.offer_price);
        let mut problems = Problems::default();
        if let Some(price) = self.list_price {
            let stored = (row.id.0 != 0).then_some(row.list_price);
            let minor = values::price(price, stored, currency);
            if let Some(minor) = problems.check(CatalogueField::ListPrice, minor) {
                row.list_price = minor;
            }
        }
        if let Some(offer) = self.offer {
            let minor = offer.map(|offer| values::price(offer.price, row.offer_price, currency)).transpose();
            if let Some(minor) = problems.check(CatalogueField::OfferPrice, minor) {
                row.offer_price = minor;
            }
            // The databases store times with microseconds, so finer parts are cut off before the comparison.
            let starts_at = offer.and_then(|offer| offer.starts_at).map(|at| at.trunc_subsecs(6));
            let ends_at = offer.and_then(|offer| offer.ends_at).map(|at| at.trunc_subsecs(6));
            if (starts_at, ends_at) != (row.offer_starts_at, row.offer_ends_at) {
                problems.check(CatalogueField::OfferStart, values::offer_time(starts_at));
                problems.check(CatalogueField::OfferEnd, values::offer_time(ends_at));
                problems.check(CatalogueField::OfferEnd, values::offer_period(starts_at, ends_at));
                (row.offer_starts_at, row.offer_ends_at) = (starts_at, ends_at);
            }
        }
        if problems.0.is_empty() && before != (row.list_price, row.offer_price) {
            let offer = values::offer_below(row.offer_price, row.list_price);
            problems.check(CatalogueField::OfferPrice, offer);
        }
        problems.into_result()
    }
}
