//! Money. The service computes in whole minor units, and clients see exact decimals in major units. The rule for taxes
//! and their rounding is in [`crate::tax`].

use iso_currency::Currency;
use rust_decimal::Decimal;

/// An amount in a currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Money {
    /// The amount in minor units, such as paise, cents or yen.
    pub minor: i64,
    /// The ISO 4217 code of the currency.
    pub currency: String,
}

impl Money {
    /// Makes an amount from its minor units.
    #[must_use]
    pub fn new(minor: i64, currency: impl Into<String>) -> Self {
        Self { minor, currency: currency.into() }
    }

    /// Returns the amount in major units, with the number of decimal places that ISO 4217 gives the currency.
    #[must_use]
    pub fn amount(&self) -> Decimal {
        Decimal::new(self.minor, decimal_places(&self.currency))
    }

    /// Tells whether this amount equals `amount`, which is in major units. Trailing zeros do not matter.
    #[must_use]
    pub fn is(&self, amount: Decimal) -> bool {
        self.amount() == amount
    }
}

/// Converts an amount in major units to minor units. Returns None if the amount has more decimal places than the
/// currency, or if it is too large.
#[must_use]
pub(crate) fn minor_units(amount: Decimal, currency: &str) -> Option<i64> {
    let scaled = amount.checked_mul(Decimal::from(10_i64.pow(decimal_places(currency))))?;
    if scaled.is_integer() { i64::try_from(scaled).ok() } else { None }
}

/// Tells whether ISO 4217 lists a currency with this code.
#[must_use]
pub fn is_known(currency: &str) -> bool {
    Currency::from_code(currency).is_some()
}

/// Returns the number of decimal places of a currency in ISO 4217. Returns 2 if ISO 4217 gives no number, as for XAU,
/// or does not list the currency.
pub(crate) fn decimal_places(currency: &str) -> u32 {
    Currency::from_code(currency).and_then(Currency::exponent).map_or(2, u32::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_the_decimal_places_of_their_currency() {
        assert_eq!(Money::new(19_900, "INR").amount().to_string(), "199.00");
        assert_eq!(Money::new(500, "JPY").amount().to_string(), "500");
        assert_eq!(Money::new(1_234, "KWD").amount().to_string(), "1.234");
    }

    #[test]
    fn an_amount_is_compared_by_value_and_not_by_digits() {
        let price = Money::new(19_900, "INR");
        assert!(price.is(Decimal::new(199, 0)));
        assert!(price.is(Decimal::new(199_000, 3)));
        assert!(!price.is(Decimal::new(199_001, 3)));
    }
}
