//! Checks the values of courses and subjects.

use chrono::{DateTime, Datelike, Utc};
use rust_decimal::Decimal;

use crate::integrity::{MAX_PRICE_MINOR_UNITS, MAX_VALIDITY_DAYS};
use crate::money::{self, Money};
use crate::name::is_readable;
use crate::test_settings::{Setting, SettingsRefusal};

const MAX_CODE_CHARS: usize = 64;
const MAX_NAME_CHARS: usize = 200;
/// Maximum number of characters in a description. At four bytes each, they fit in the smallest text column, which is
/// that of MariaDB.
const MAX_DESCRIPTION_CHARS: usize = 10_000;
/// Maximum number of cards that a subject gives. The statement that makes the cards on MariaDB cannot make more than
/// 1000.
const MAX_MOCK_TESTS: i32 = 1_000;
/// The years in which an offer can start and end. All databases can store times in these years.
const OFFER_YEARS: std::ops::RangeInclusive<i32> = 2000..=9999;

/// A field of a course or a subject in the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatalogueField {
    /// The code.
    Code,
    /// The name.
    Name,
    /// The description of a course.
    Description,
    /// The currency of a course.
    Currency,
    /// The price of a whole course as a bundle.
    BundlePrice,
    /// The number of days for which a purchase gives access.
    ValidityDays,
    /// The price of a subject without an offer.
    ListPrice,
    /// The price of a subject during an offer.
    OfferPrice,
    /// The start of an offer.
    OfferStart,
    /// The end of an offer.
    OfferEnd,
    /// The number of cards of a subject.
    TotalMockTests,
    /// A setting of the tests of a subject. None if the problem does not concern one setting.
    Settings(Option<Setting>),
}

/// A value that is not allowed.
#[derive(Debug)]
pub struct InvalidValue {
    /// The field with the value.
    pub field: CatalogueField,
    /// The reason why the value is not allowed.
    pub problem: ValueProblem,
}

/// A reason why a value is not allowed. The message is for the person who gave the value.
#[derive(Debug, thiserror::Error)]
pub enum ValueProblem {
    /// The code is not well-formed.
    #[error(
        "Give a code of 1 to {MAX_CODE_CHARS} characters: the letters A to Z and a to z, digits, hyphens, underscores \
         and dots. Begin and end it with a letter or a digit."
    )]
    Code,
    /// The course or the subject has another code.
    #[error("A code never changes, because files and links use it. Leave the code out.")]
    CodeFixed,
    /// The name is too long or has no visible character, or it has characters that change the text around it.
    #[error(
        "Give a name of 1 to {MAX_NAME_CHARS} characters, without control characters or invisible characters."
    )]
    Name,
    /// The description is too long, or has control characters.
    #[error(
        "Give a description of at most {MAX_DESCRIPTION_CHARS} characters, without control characters except line breaks."
    )]
    Description,
    /// ISO 4217 does not list the currency.
    #[error("There is no such currency. Give a code of ISO 4217 in capital letters, such as INR.")]
    Currency,
    /// The course has another currency.
    #[error("The currency of a course never changes. Make a new course for another currency.")]
    CurrencyFixed,
    /// The price has more decimal places than its currency.
    #[error("A price in {currency} has at most {places} decimal places.")]
    PricePlaces {
        /// The currency.
        currency: String,
        /// The maximum number of decimal places in this currency.
        places: u32,
    },
    /// The price is out of range.
    #[error("A price must be 0 to {most} {currency}.")]
    PriceRange {
        /// The currency.
        currency: String,
        /// The maximum price, in major units.
        most: Decimal,
    },
    /// The offer costs more than the list price.
    #[error("An offer must not cost more than the list price. Lower the offer, or remove it.")]
    OfferAboveListPrice,
    /// The offer ends before it starts, or at the same moment.
    #[error("An offer must end after it starts.")]
    OfferEndsTooEarly,
    /// The start or the end of the offer is too early or too late.
    #[error("An offer can start and end in the years {} to {}.", OFFER_YEARS.start(), OFFER_YEARS.end())]
    OfferTime,
    /// The number of days for which a purchase gives access is out of range.
    #[error("A purchase can be valid for 1 to {MAX_VALIDITY_DAYS} days, or without an end.")]
    ValidityDays,
    /// The number of cards is out of range.
    #[error("A subject has 1 to {MAX_MOCK_TESTS} mock tests.")]
    TotalMockTests,
    /// A setting of the tests is not allowed.
    #[error(transparent)]
    Settings(SettingsRefusal),
}

/// Checks a code. Returns it as it is stored, without the space around it.
pub(super) fn code(given: &str) -> Result<String, ValueProblem> {
    let code = given.trim();
    let is_plain = |char: char| char.is_ascii_alphanumeric();
    let is_well_formed = (1..=MAX_CODE_CHARS).contains(&code.len())
        && code.chars().all(|char| is_plain(char) || matches!(char, '-' | '_' | '.'))
        && code.starts_with(is_plain)
        && code.ends_with(is_plain);
    if is_well_formed { Ok(code.to_owned()) } else { Err(ValueProblem::Code) }
}

/// Checks the name of a course or a subject. Returns it as it is stored, without the space around it.
pub(crate) fn name(given: &str) -> Result<String, ValueProblem> {
    let name = given.trim();
    let is_well_formed = name.chars().count() <= MAX_NAME_CHARS && is_readable(name);
    if is_well_formed { Ok(name.to_owned()) } else { Err(ValueProblem::Name) }
}

/// Checks a description. Returns it as it is stored: without the space around it, and with `\n` as line break. Returns
/// None for a blank description.
pub(crate) fn description(given: Option<&str>) -> Result<Option<String>, ValueProblem> {
    let Some(given) = given else { return Ok(None) };
    let text = given.trim().replace("\r\n", "\n").replace('\r', "\n");
    let is_refused = |char: char| char.is_control() && !matches!(char, '\n' | '\t');
    if text.chars().count() > MAX_DESCRIPTION_CHARS || text.chars().any(is_refused) {
        return Err(ValueProblem::Description);
    }
    Ok((!text.is_empty()).then_some(text))
}

/// Checks that a currency exists.
pub(super) fn currency(code: &str) -> Result<(), ValueProblem> {
    if money::is_known(code) { Ok(()) } else { Err(ValueProblem::Currency) }
}

/// Converts a price from major to minor units, and checks it. A price that equals the stored price is not checked.
pub(super) fn price(given: Decimal, stored: Option<i64>, currency: &str) -> Result<i64, ValueProblem> {
    if let Some(stored) = stored
        && Money::new(stored, currency).is(given)
    {
        return Ok(stored);
    }
    let most = Money::new(MAX_PRICE_MINOR_UNITS, currency).amount();
    if given.is_sign_negative() && !given.is_zero() || given > most {
        return Err(ValueProblem::PriceRange { currency: currency.to_owned(), most });
    }
    money::minor_units(given, currency).ok_or_else(|| ValueProblem::PricePlaces {
        currency: currency.to_owned(),
        places: money::decimal_places(currency),
    })
}

/// Checks that an offer does not cost more than the list price.
pub(super) fn offer_below(offer: Option<i64>, list_price: i64) -> Result<(), ValueProblem> {
    if offer.is_some_and(|offer| offer > list_price) {
        Err(ValueProblem::OfferAboveListPrice)
    } else {
        Ok(())
    }
}

/// Checks that the start or the end of an offer is in a year of [`OFFER_YEARS`].
pub(super) fn offer_time(at: Option<DateTime<Utc>>) -> Result<(), ValueProblem> {
    if at.is_some_and(|at| !OFFER_YEARS.contains(&at.year())) { Err(ValueProblem::OfferTime) } else { Ok(()) }
}

/// Checks that an offer ends after it starts.
pub(super) fn offer_period(
    starts_at: Option<DateTime<Utc>>,
    ends_at: Option<DateTime<Utc>>,
) -> Result<(), ValueProblem> {
    match (starts_at, ends_at) {
        (Some(starts_at), Some(ends_at)) if ends_at <= starts_at => Err(ValueProblem::OfferEndsTooEarly),
        _ => Ok(()),
    }
}

/// Checks the number of days for which a purchase gives access.
pub(super) fn validity_days(days: i32) -> Result<i32, ValueProblem> {
    if (1..=MAX_VALIDITY_DAYS).contains(&days) { Ok(days) } else { Err(ValueProblem::ValidityDays) }
}

/// Checks the number of cards of a subject.
pub(super) fn total_mock_tests(tests: i32) -> Result<i32, ValueProblem> {
    if (1..=MAX_MOCK_TESTS).contains(&tests) { Ok(tests) } else { Err(ValueProblem::TotalMockTests) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_plain_words() {
        for given in ["neet-ug", "NEET_2026", "a", "7", " jee.main ", &"x".repeat(64)] {
            assert_eq!(code(given).unwrap_or_default(), given.trim());
        }
        for given in ["", " ", "-a", "a-", "a b", "à", "a/b", "a\0", "a\n b", &"x".repeat(65)] {
            assert!(code(given).is_err(), "{given:?}");
        }
    }

    #[test]
    fn prices_are_exact_in_the_places_of_their_currency() {
        let price = |text: &str, currency| price(text.parse().unwrap_or_default(), None, currency).ok();
        assert_eq!(price("599", "INR"), Some(599_00));
        assert_eq!(price("599.90", "INR"), Some(599_90));
        assert_eq!(price("599.900", "INR"), Some(599_90));
        assert_eq!(price("599.901", "INR"), None);
        assert_eq!(price("599", "JPY"), Some(599));
        assert_eq!(price("599.5", "JPY"), None);
        assert_eq!(price("1.234", "KWD"), Some(1_234));
        assert_eq!(price("0", "INR"), Some(0));
        assert_eq!(price("-0.01", "INR"), None);
        assert_eq!(price("10000000000.00", "INR"), Some(MAX_PRICE_MINOR_UNITS));
        assert_eq!(price("10000000000.01", "INR"), None);
        assert_eq!(price("79228162514264337593543950335", "INR"), None);
    }

    #[test]
    fn a_description_keeps_its_lines_and_loses_the_space_around_it() {
        assert!(matches!(description(Some(" a\r\n\tb ")), Ok(Some(text)) if text == "a\n\tb"));
        assert!(matches!(description(Some("  ")), Ok(None)));
        assert!(description(Some("a\u{0}")).is_err());
        assert!(description(Some(&"x".repeat(MAX_DESCRIPTION_CHARS + 1))).is_err());
    }
}
