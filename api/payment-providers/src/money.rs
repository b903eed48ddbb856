//! Amounts of money in minor units by ISO 4217, and their conversion into the unit in which each provider counts a
//! currency.

use iso_currency::Currency;

use crate::{AmountError, ProviderName};

/// An amount in the minor unit of its currency by ISO 4217: 499_00 for 499 rupees, 500 for 500 yen, 1_500 for 1.5
/// Kuwaiti dinars.
///
/// Stripe counts some currencies in another unit. The crate converts amounts in both directions, so the application
/// uses only the minor units of ISO 4217.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Amount {
    /// The amount in minor units.
    pub amount_minor: i64,
    /// The code of the currency by ISO 4217, in capital letters.
    pub currency: String,
}

impl Amount {
    /// Makes an amount, and writes the code of its currency in capital letters.
    pub fn new(amount_minor: i64, currency: &str) -> Self {
        Self { amount_minor, currency: currency.to_ascii_uppercase() }
    }
}

impl std::fmt::Display for Amount {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} minor units of {}", self.amount_minor, self.currency)
    }
}

/// The unit in which a provider counts a currency.
struct Counting {
    /// Number of decimal places of the currency by ISO 4217.
    iso_places: u32,
    /// Number of decimal places of the currency in the provider's amounts.
    provider_places: u32,
    /// The number of which the provider's amounts must be a multiple.
    provider_multiple: i64,
}

impl Counting {
    fn of(provider: ProviderName, currency: &str) -> Result<Self, AmountError> {
        let unknown = || AmountError::UnknownCurrency(currency.to_owned());
        let iso_places = Currency::from_code(currency).and_then(Currency::exponent).ok_or_else(unknown)?;
        let iso_places = u32::from(iso_places);
        let (provider_places, provider_multiple) = match (provider, currency) {
            // ISO 4217 has no decimal places for these currencies, but Stripe still takes two, which must be 00.
            (ProviderName::Stripe, "ISK" | "UGX") => (2, 100),
            // This currency has two decimal places by ISO 4217, but none at Stripe.
            (ProviderName::Stripe, "MGA") => (0, 1),
            // Banks settle three decimal places only if the last digit is 0. Both providers document this.
            _ if iso_places == 3 => (3, 10),
            _ => (iso_places, 1),
        };
        Ok(Self { iso_places, provider_places, provider_multiple })
    }
}

/// Checks whether a provider can charge an amount. The calls to a provider check the amount, too. With this function an
/// application can refuse a price earlier.
///
/// # Errors
/// If the amount is not positive or is too large, if the currency is unknown, or if the amount is not a multiple of the
/// number that the provider requires in this currency.
pub fn check_amount(provider: ProviderName, money: &Amount) -> Result<(), AmountError> {
    to_provider(provider, money).map(|_| ())
}

/// Converts an amount into the number that the provider uses for it. The errors are those of [`check_amount`].
pub(crate) fn to_provider(provider: ProviderName, money: &Amount) -> Result<i64, AmountError> {
    if money.amount_minor <= 0 {
        return Err(AmountError::NotPositive);
    }
    let counting = Counting::of(provider, &money.currency)?;
    let up = 10_i64.pow(counting.provider_places.saturating_sub(counting.iso_places));
    let down = 10_i64.pow(counting.iso_places.saturating_sub(counting.provider_places));
    let amount = money.amount_minor.checked_mul(up).ok_or(AmountError::TooLarge)?;
    if amount % down != 0 || (amount / down) % counting.provider_multiple != 0 {
        let multiple_minor = (down * counting.provider_multiple / up).max(1);
        return Err(AmountError::NotAMultiple { provider, currency: money.currency.clone(), multiple_minor });
    }
    Ok(amount / down)
}

/// Converts a provider's number into an amount. Returns `None` if the currency is unknown, if the provider's number is
/// not a whole number of minor units, or if the amount does not fit into 64 bits.
pub(crate) fn from_provider(provider: ProviderName, amount: i64, currency: &str) -> Option<Amount> {
    let currency = currency.to_ascii_uppercase();
    let counting = Counting::of(provider, &currency).ok()?;
    let up = 10_i64.pow(counting.iso_places.saturating_sub(counting.provider_places));
    let down = 10_i64.pow(counting.provider_places.saturating_sub(counting.iso_places));
    let amount = amount.checked_mul(up)?;
    (amount % down == 0).then_some(Amount { amount_minor: amount / down, currency })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ProviderName::{Razorpay, Stripe};

    #[test]
    fn amounts_are_converted_to_what_each_provider_counts_and_back() {
        // Each case: provider, currency, minor units by ISO 4217, the provider's number.
        let cases = [
            (Razorpay, "INR", 499_00, 499_00),
            (Stripe, "INR", 499_00, 499_00),
            (Stripe, "USD", 1, 1),
            // Currencies without decimal places.
            (Razorpay, "JPY", 295, 295),
            (Stripe, "JPY", 500, 500),
            (Stripe, "KRW", 5_000, 5_000),
            // Currencies with three decimal places: amounts must end in 0.
            (Razorpay, "KWD", 295_990, 295_990),
            (Razorpay, "BHD", 99_990, 99_990),
            (Stripe, "KWD", 5_120, 5_120),
            (Stripe, "TND", 10, 10),
            // Currencies that Stripe counts in another unit than ISO 4217. Razorpay counts in the unit of ISO 4217.
            (Stripe, "ISK", 5, 500),
            (Stripe, "UGX", 5, 500),
            (Stripe, "MGA", 500, 5),
            (Razorpay, "UGX", 5, 5),
            // In these currencies, Stripe restricts the amounts of payouts, but not of charges.
            (Stripe, "HUF", 10_45, 10_45),
            (Stripe, "TWD", 800_45, 800_45),
        ];
        for (provider, currency, minor, expected) in cases {
            let money = Amount::new(minor, currency);
            assert_eq!(to_provider(provider, &money), Ok(expected), "{provider} {money}");
            let lower = currency.to_ascii_lowercase();
            assert_eq!(
                from_provider(provider, expected, &lower),
                Some(money),
                "{provider} {expected} {currency}"
            );
        }
    }

    #[test]
    fn amounts_that_a_provider_cannot_charge_are_refused() {
        let refused =
            |provider, minor, currency| to_provider(provider, &Amount::new(minor, currency)).unwrap_err();
        let multiple = |provider, currency: &str, multiple_minor| AmountError::NotAMultiple {
            provider,
            currency: currency.to_owned(),
            multiple_minor,
        };
        assert_eq!(refused(Razorpay, 0, "INR"), AmountError::NotPositive);
        assert_eq!(refused(Stripe, -1, "INR"), AmountError::NotPositive);
        assert_eq!(refused(Razorpay, 99_991, "KWD"), multiple(Razorpay, "KWD", 10));
        assert_eq!(refused(Stripe, 5_124, "KWD"), multiple(Stripe, "KWD", 10));
        assert_eq!(refused(Stripe, 550, "MGA"), multiple(Stripe, "MGA", 100));
        assert_eq!(refused(Stripe, i64::MAX, "ISK"), AmountError::TooLarge);
        for unknown in ["", "RUPEES", "XYZ", "ÄÖÜ"] {
            assert!(matches!(refused(Stripe, 1, unknown), AmountError::UnknownCurrency(_)), "{unknown}");
        }
        // At Stripe 550 means 5.50 krónur, which is not a whole number of minor units by ISO 4217.
        assert_eq!(from_provider(Stripe, 550, "isk"), None);
    }
}
