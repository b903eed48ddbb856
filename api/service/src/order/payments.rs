//! The configuration of payments: the provider of a server, or payments by hand.

use std::fmt;
use std::sync::Arc;

use chrono::TimeDelta;
use jishu_entity::order::OrderProvider;
use payment_providers::{PaymentProvider, ProviderName};

/// The way in which the buyers of a server pay.
#[derive(Clone)]
pub struct Payments {
    /// The provider of new orders.
    pub(super) provider: OrderProvider,
    /// The connection to the provider. None if support confirms payments by hand.
    pub(super) gateway: Option<Arc<dyn PaymentProvider>>,
    /// The time for which an order can be paid at its price.
    pub(super) order_lifetime: TimeDelta,
    /// The e-mail address that gets a mail whenever an order needs attention, and whenever a bank opens a dispute about
    /// an order. None if nobody gets a mail.
    pub(super) support_address: Option<String>,
}

impl Payments {
    /// Makes the configuration for payments through a provider.
    #[must_use]
    pub fn at(gateway: Arc<dyn PaymentProvider>, order_lifetime: TimeDelta) -> Self {
        let provider = match gateway.name() {
            ProviderName::Razorpay => OrderProvider::Razorpay,
            ProviderName::Stripe => OrderProvider::Stripe,
        };
        Self { provider, gateway: Some(gateway), order_lifetime, support_address: None }
    }

    /// Makes the configuration for payments in cash or by transfer, which support confirms.
    #[must_use]
    pub fn manual(order_lifetime: TimeDelta) -> Self {
        Self { provider: OrderProvider::Manual, gateway: None, order_lifetime, support_address: None }
    }

    /// Sets the e-mail address that gets a mail whenever an order needs attention, and whenever a bank opens a dispute
    /// about an order.
    #[must_use]
    pub fn telling(self, support_address: Option<String>) -> Self {
        Self { support_address, ..self }
    }

    /// Returns the connection to the provider of an order. None if this server uses another provider, or if support
    /// confirms payments by hand.
    pub(super) fn gateway_of(&self, provider: OrderProvider) -> Option<&Arc<dyn PaymentProvider>> {
        self.gateway.as_ref().filter(|_| self.provider == provider)
    }
}

impl fmt::Debug for Payments {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Payments").field("provider", &self.provider).finish_non_exhaustive()
    }
}
