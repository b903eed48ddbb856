//! Computes the tax of a purchase.
//!
//! All amounts are whole minor units. The tax is computed once, from the sum of the lines, and rounded half up to a
//! minor unit. Then it is divided over the lines in proportion to their prices, by running totals. So the taxes of the
//! lines add up to the tax of the purchase, and their prices add up to its total.
//!
//! If the prices include the tax, the total is the sum of the prices, and the tax is total × rate / (100 % + rate). If
//! the prices exclude the tax, the tax is sum × rate, and the total is the sum of the prices plus the tax.

use rust_decimal::Decimal;

use crate::apportion::apportion;

/// Maximum number of characters in the name of a tax.
pub const MAX_TAX_LABEL_CHARS: usize = 32;

/// The rate of a tax.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaxRate {
    /// The rate in hundredths of a per cent.
    basis_points: u16,
}

impl TaxRate {
    /// Makes a rate from a number of per cent, which must be 0 to 100 with at most two decimal places. Returns None for
    /// other numbers.
    #[must_use]
    pub fn from_percent(percent: Decimal) -> Option<Self> {
        let basis_points = percent.checked_mul(Decimal::ONE_HUNDRED)?;
        if !basis_points.is_integer() || basis_points > Decimal::from(10_000) {
            return None;
        }
        u16::try_from(basis_points).ok().map(|basis_points| Self { basis_points })
    }

    /// Makes a rate from hundredths of a per cent.
    #[must_use]
    pub(crate) fn from_basis_points(basis_points: u16) -> Self {
        Self { basis_points }
    }

    /// Returns the rate in hundredths of a per cent.
    #[must_use]
    pub fn basis_points(self) -> i32 {
        self.basis_points.into()
    }

    /// Returns the tax that is contained in `gross`, an amount with tax.
    fn included_in(self, gross: i64) -> i64 {
        rounded(gross, self.basis_points, 10_000 + i128::from(self.basis_points))
    }

    /// Returns the tax that is added to `net`, an amount without tax.
    fn added_to(self, net: i64) -> i64 {
        rounded(net, self.basis_points, 10_000)
    }
}

/// Returns amount × rate / base, rounded half up. The amount must not be negative.
fn rounded(amount: i64, rate: u16, base: i128) -> i64 {
    let exact = i128::from(amount) * i128::from(rate);
    i64::try_from((2 * exact + base) / (2 * base)).unwrap_or(i64::MAX)
}

/// The tax of a platform: its name, its rate, and whether the prices of the catalogue include it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaxPolicy {
    /// The name of the tax, such as GST.
    pub label: String,
    /// The rate of the tax.
    pub rate: TaxRate,
    /// Whether the prices of the catalogue include the tax.
    pub is_included: bool,
}

impl Default for TaxPolicy {
    /// Returns the policy of a platform without a tax: the rate 0.
    fn default() -> Self {
        Self { label: "Tax".to_owned(), rate: TaxRate::default(), is_included: true }
    }
}

/// A price that includes its tax, and the tax, in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TaxedPrice {
    /// The price with the tax.
    pub(crate) price: i64,
    /// The part of the price that is tax.
    pub(crate) tax: i64,
}

impl TaxPolicy {
    /// Returns the amounts to charge for these prices of the catalogue, in the order of the prices.
    pub(crate) fn charge(&self, prices: &[i64]) -> Vec<TaxedPrice> {
        let sum = prices.iter().sum();
        let tax = if self.is_included { self.rate.included_in(sum) } else { self.rate.added_to(sum) };
        let shares = apportion(tax, prices).into_iter().zip(prices);
        shares
            .map(|(tax, price)| TaxedPrice {
                price: if self.is_included { *price } else { price + tax },
                tax,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
