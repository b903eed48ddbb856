//! The names of the providers.

use std::fmt;
use std::str::FromStr;

/// A payment provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProviderName {
    /// Razorpay, with its Orders API.
    Razorpay,
    /// Stripe, with PaymentIntents.
    Stripe,
}

impl ProviderName {
    /// All providers.
    pub const ALL: [Self; 2] = [Self::Razorpay, Self::Stripe];

    /// Returns the name in lower case, for databases, addresses and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Razorpay => "razorpay",
            Self::Stripe => "stripe",
        }
    }
}

impl fmt::Display for ProviderName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The error of a text that is not the name of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the payment provider is unknown; the known ones are razorpay and stripe")]
pub struct UnknownProviderName;

impl FromStr for ProviderName {
    type Err = UnknownProviderName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|provider| provider.as_str() == name).ok_or(UnknownProviderName)
    }
}
