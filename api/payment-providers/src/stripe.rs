//! Payments at Stripe, with PaymentIntents.

mod calls;
mod webhook;
mod wire;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::{
    ConfigError, HttpOptions,
    config::check_webhook_secrets,
    http::{Auth, HttpClient},
};

/// The address and the keys of an account at Stripe.
#[derive(Debug, Clone)]
pub struct StripeConfig {
    /// The public key: `pk_live_…` or `pk_test_…`.
    pub publishable_key: String,
    /// The secret key: `sk_live_…` or `sk_test_…`. A restricted key is better: `rk_live_…` or `rk_test_…`.
    pub secret_key: SecretString,
    /// The secrets with which Stripe signs webhooks, `whsec_…`: one secret, or two while the secret is rotated. Without
    /// any secret, all webhooks are refused.
    pub webhook_secrets: Vec<SecretString>,
    /// The id of the account, `acct_…`. A webhook that names another account is refused. Only webhooks of connected
    /// accounts name an account, so without an id all webhooks of connected accounts are refused.
    pub account_id: Option<String>,
    /// The address of the API. Its default is `https://api.stripe.com`.
    pub base: Url,
    /// The options for sending requests.
    pub http: HttpOptions,
}

impl StripeConfig {
    /// The default address of the API.
    pub const BASE: &'static str = "https://api.stripe.com";

    /// Makes a configuration with defaults and without secrets of webhooks.
    ///
    /// # Errors
    /// Returns an error only if the default address is not a URL, which does not happen.
    pub fn new(publishable_key: impl Into<String>, secret_key: SecretString) -> Result<Self, ConfigError> {
        let base = Url::parse(Self::BASE).map_err(|_| ConfigError::NotHttps(Self::BASE.to_owned()))?;
        Ok(Self {
            publishable_key: publishable_key.into(),
            secret_key,
            webhook_secrets: Vec::new(),
            account_id: None,
            base,
            http: HttpOptions::default(),
        })
    }
}

/// An account at Stripe.
pub struct Stripe {
    publishable_key: String,
    webhook_secrets: Vec<SecretString>,
    account_id: Option<String>,
    live_mode: bool,
    http: HttpClient,
}

/// The version of Stripe's API whose objects this crate reads. The npm package `stripe` 23.1.0 uses the same version. A
/// webhook has the version of its endpoint, so the crate reads only parts of a webhook that are the same in several
/// versions.
pub const STRIPE_VERSION: &str = "2026-10-28.endive";

impl Stripe {
    /// Checks a configuration, and sets up the HTTP client. Sends no request.
    ///
    /// # Errors
    /// If a part of the configuration is wrong.
    pub fn new(config: StripeConfig) -> Result<Self, ConfigError> {
        let secret_key = config.secret_key.expose_secret();
        let mode = |key: &str, kinds: &[&str]| {
            kinds.iter().find_map(|kind| {
                let rest = key.strip_prefix(kind)?;
                rest.starts_with("_live_").then_some(true).or(rest.starts_with("_test_").then_some(false))
            })
        };
        let live_mode = mode(secret_key, &["sk", "rk"]).ok_or(ConfigError::WrongKey {
            name: "the secret key of Stripe",
            expected: "sk_live_, sk_test_, rk_live_ or rk_test_",
        })?;
        let public_mode = mode(&config.publishable_key, &["pk"]).ok_or(ConfigError::WrongKey {
            name: "the public key of Stripe",
            expected: "pk_live_ or pk_test_",
        })?;
        if live_mode != public_mode {
            return Err(ConfigError::MixedModes);
        }
        check_webhook_secrets(&config.webhook_secrets)?;
        let headers = vec![("Stripe-Version", STRIPE_VERSION)];
        let http = HttpClient::new(
            config.base,
            Auth::Bearer(config.secret_key),
            headers,
            config.http,
            wire::explain,
        )?;
        Ok(Self {
            publishable_key: config.publishable_key,
            webhook_secrets: config.webhook_secrets,
            account_id: config.account_id,
            live_mode,
            http,
        })
    }
}
