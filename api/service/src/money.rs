//! Money. The service computes in whole minor units; clients see exact decimals.

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
    /// Returns an amount from its minor units.
    #[must_use]
    pub fn new(minor: i64, currency: impl Into<String>) -> Self {
        Self { minor, currency: currency.into() }
    }

    /// Returns the amount in major units, with the number of decimal places that ISO 4217 gives the currency.
    #[must_use]
    pub fn amount(&self) -> Decimal {
        Decimal::new(self.minor, decimal_places(&self.currency))
    }

    /// Tells whether this is exactly an amount in major units.
    #[must_use]
    pub fn is(&self, amount: Decimal) -> bool {
        self.amount() == amount
    }
}

/// Converts an amount in major units to minor units. Returns None if it has more decimal places than the currency, or if
/// it is too large.
#[must_use]
pub(crate) fn minor_units(amount: Decimal, currency: &str) -> Option<i64> {
    let scaled = amount.checked_mul(Decimal::from(10_i64.pow(decimal_places(currency))))?;
    if scaled.is_integer() { i64::try_from(scaled).ok() } else { None }
}

/// Tells whether ISO 4217 lists the currency.
#[must_use]
pub fn is_known(currency: &str) -> bool {
    Currency::from_code(currency).is_some()
}

/// Returns the exponent of a currency in ISO 4217, or 2 if it has none, such as XAU or a currency that is not listed.
pub(crate) fn decimal_places(currency: &str) -> u32 {
    Currency::from_code(currency).and_then(Currency::exponent).map_or(2, u32::from)
}

/// The rate of a tax that prices include.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaxRate {
    /// Hundredths of a per cent.
    basis_points: u16,
}

impl TaxRate {
    /// Returns a rate from per cent: 0 to 100 with at most two decimal places. Returns None for other numbers.
    #[must_use]
    pub fn from_percent(percent: Decimal) -> Option<Self> {
        let basis_points = percent.checked_mul(Decimal::ONE_HUNDRED)?;
        if !basis_points.is_integer() || basis_points > Decimal::from(10_000) {
            return None;
        }
        u16::try_from(basis_points).ok().map(|basis_points| Self { basis_points })
    }

    /// Returns the tax that a tax-inclusive amount contains, rounded half up to a minor unit:
    /// gross × rate / (100 % + rate).
    #[must_use]
    pub fn included_in(self, gross: i64) -> i64 {
        let (gross, rate) = (i128::from(gross), i128::from(self.basis_points));
        let base = 10_000 + rate;
        i64::try_from((2 * gross * rate + base) / (2 * base)).unwrap_or(i64::MAX)
    }
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

    #[test]
    fn tax_is_the_part_of_the_price_that_it_makes_up() {
        let eighteen = TaxRate::from_percent(Decimal::new(18, 0)).unwrap_or_default();
        // 118.00 contains 18.00 tax. 1.00 contains 0.1525…, which is 15 paise.
        assert_eq!(eighteen.included_in(11_800), 1_800);
        assert_eq!(eighteen.included_in(100), 15);
        assert_eq!(TaxRate::default().included_in(11_800), 0);
        assert_eq!(TaxRate::from_percent(Decimal::new(101, 0)), None);
        assert_eq!(TaxRate::from_percent(Decimal::new(-1, 0)), None);
        assert_eq!(TaxRate::from_percent(Decimal::new(18_001, 3)), None);
    }
}
