//! Configures the crate `payment-providers` for the fakes, with short timeouts.

use std::time::Duration;

use payment_providers::{
    CircuitOptions, HttpOptions, Razorpay, RazorpayConfig, SecretString, Stripe, StripeConfig,
};

use super::{FakeRazorpay, FakeStripe};

/// Returns HTTP options with timeouts of 5 seconds for an attempt and 15 seconds for all attempts. The circuit breaker
/// never opens.
#[must_use]
pub fn quick_http() -> HttpOptions {
    HttpOptions {
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(5),
        total_timeout: Duration::from_secs(15),
        max_attempts: 3,
        backoff: Duration::from_millis(1),
        max_response_bytes: 1 << 20,
        circuit: CircuitOptions { failures: u32::MAX, open_for: Duration::ZERO },
        ..HttpOptions::default()
    }
}

/// Returns the configuration of a Razorpay client that uses this fake.
///
/// # Panics
/// Panics if `payment-providers` refuses the configuration.
#[must_use]
pub fn razorpay_config(fake: &FakeRazorpay) -> RazorpayConfig {
    let mut config =
        RazorpayConfig::new(FakeRazorpay::KEY_ID, FakeRazorpay::KEY_SECRET.into()).expect("a configuration");
    config.webhook_secrets = vec![SecretString::from(FakeRazorpay::WEBHOOK_SECRET)];
    config.account_id = Some(FakeRazorpay::ACCOUNT.to_owned());
    config.base = fake.address().parse().expect("an address");
    config.http = quick_http();
    config
}

/// Returns the configuration of a Stripe client that uses this fake.
///
/// # Panics
/// Panics if `payment-providers` refuses the configuration.
#[must_use]
pub fn stripe_config(fake: &FakeStripe) -> StripeConfig {
    let mut config = StripeConfig::new(FakeStripe::PUBLISHABLE_KEY, FakeStripe::SECRET_KEY.into())
        .expect("a configuration");
    config.webhook_secrets = vec![SecretString::from(FakeStripe::WEBHOOK_SECRET)];
    config.base = fake.address().parse().expect("an address");
    config.http = quick_http();
    config
}

/// Returns a Razorpay client that uses this fake.
///
/// # Panics
/// Panics if `payment-providers` refuses the configuration.
#[must_use]
pub fn razorpay(fake: &FakeRazorpay) -> Razorpay {
    Razorpay::new(razorpay_config(fake)).expect("a provider")
}

/// Returns a Stripe client that uses this fake.
///
/// # Panics
/// Panics if `payment-providers` refuses the configuration.
#[must_use]
pub fn stripe(fake: &FakeStripe) -> Stripe {
    Stripe::new(stripe_config(fake)).expect("a provider")
}
