//! Money: integer minor units inside, an exact decimal outside.

use iso_currency::Currency;
use rust_decimal::Decimal;

/// An amount in a currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Money {
    /// In minor units: paise, cents, yen.
    pub minor: i64,
    /// ISO 4217.
    pub currency: String,
}

impl Money {
    /// An amount in minor units.
    #[must_use]
    pub fn new(minor: i64, currency: impl Into<String>) -> Self {
        Self { minor, currency: currency.into() }
    }

    /// The amount in major units, with as many decimal places as ISO 4217 gives the currency.
    #[must_use]
    pub fn amount(&self) -> Decimal {
        Decimal::new(self.minor, decimal_places(&self.currency))
    }

    /// Whether it is exactly this amount in major units.
    #[must_use]
    pub fn is(&self, amount: Decimal) -> bool {
        self.amount() == amount
    }
}

/// Whether ISO 4217 has the currency.
#[must_use]
pub fn is_known(currency: &str) -> bool {
    Currency::from_code(currency).is_some()
}

/// ISO 4217's exponent; 2 for a currency that it does not list or gives none (such as XAU).
fn decimal_places(currency: &str) -> u32 {
    Currency::from_code(currency).and_then(Currency::exponent).map_or(2, u32::from)
}

/// A tax that prices include, in hundredths of a per cent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaxRate(u16);

impl TaxRate {
    /// A rate in per cent, from 0 to 100 with at most two decimal places.
    #[must_use]
    pub fn from_percent(percent: Decimal) -> Option<Self> {
        let basis_points = percent.checked_mul(Decimal::ONE_HUNDRED)?;
        if !basis_points.is_integer() || basis_points > Decimal::from(10_000) {
            return None;
        }
        u16::try_from(basis_points).ok().map(Self)
    }

    /// The part of a tax-inclusive amount that is tax, rounded half up to a minor unit:
    /// gross × rate / (100 % + rate).
    #[must_use]
    pub fn included_in(self, gross: i64) -> i64 {
        let (gross, rate) = (i128::from(gross), i128::from(self.0));
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
        // 118.00 holds 18.00; 1.00 holds 0.1525…, which is 15 paise.
        assert_eq!(eighteen.included_in(11_800), 1_800);
        assert_eq!(eighteen.included_in(100), 15);
        assert_eq!(TaxRate::default().included_in(11_800), 0);
        assert_eq!(TaxRate::from_percent(Decimal::new(101, 0)), None);
        assert_eq!(TaxRate::from_percent(Decimal::new(-1, 0)), None);
        assert_eq!(TaxRate::from_percent(Decimal::new(18_001, 3)), None);
    }
}
