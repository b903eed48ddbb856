//! Sets `payment-providers` up for a fake, with short times.

use std::time::Duration;

use payment_providers::{
    CircuitOptions, HttpOptions, Razorpay, RazorpayConfig, SecretString, Stripe, StripeConfig,
};

use super::{FakeRazorpay, FakeStripe};

/// Options that wait for a few seconds at most, and never open the circuit.
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

/// Returns the configuration for a fake of Razorpay.
///
/// # Panics
/// Panics if the crate refuses it.
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

/// Returns the configuration for a fake of Stripe.
///
/// # Panics
/// Panics if the crate refuses it.
#[must_use]
pub fn stripe_config(fake: &FakeStripe) -> StripeConfig {
    let mut config = StripeConfig::new(FakeStripe::PUBLISHABLE_KEY, FakeStripe::SECRET_KEY.into())
        .expect("a configuration");
    config.webhook_secrets = vec![SecretString::from(FakeStripe::WEBHOOK_SECRET)];
    config.base = fake.address().parse().expect("an address");
    config.http = quick_http();
    config
}

/// Returns the provider for a fake of Razorpay.
///
/// # Panics
/// Panics if the crate refuses the configuration.
#[must_use]
pub fn razorpay(fake: &FakeRazorpay) -> Razorpay {
    Razorpay::new(razorpay_config(fake)).expect("a provider")
}

/// Returns the provider for a fake of Stripe.
///
/// # Panics
/// Panics if the crate refuses the configuration.
#[must_use]
pub fn stripe(fake: &FakeStripe) -> Stripe {
    Stripe::new(stripe_config(fake)).expect("a provider")
}
