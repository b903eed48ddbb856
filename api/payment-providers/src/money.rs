//! Amounts of money in minor units.

/// An amount in the minor unit of its currency by ISO 4217: 499_00 for 499 rupees, 500 for 500 yen, 1_500 for 1.5 dinars.
///
/// Stripe and Razorpay count some currencies in other units. The crate converts in both directions, so the application only
/// meets this unit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Money {
    /// The amount in minor units.
    pub amount_minor: i64,
    /// The code of ISO 4217, in capital letters.
    pub currency: String,
}

impl Money {
    /// Makes an amount, with its currency in capital letters.
    pub fn new(amount_minor: i64, currency: &str) -> Self {
        Self { amount_minor, currency: currency.to_ascii_uppercase() }
    }
}

impl std::fmt::Display for Money {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {} (minor units)", self.amount_minor, self.currency)
    }
}
