//! Stripe, with PaymentIntents.

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
    /// The secret key: `sk_…`, or better a restricted one: `rk_…`.
    pub secret_key: SecretString,
    /// The secrets of webhooks, `whsec_…`: the present one, and while it is rotated the former or next one. Without any, all
    /// webhooks are refused.
    pub webhook_secrets: Vec<SecretString>,
    /// The id of the account, `acct_…`. Webhooks of other accounts are refused. Without it, webhooks of connected accounts are
    /// refused, too.
    pub account_id: Option<String>,
    /// The address of the API. Its default is `https://api.stripe.com`.
    pub base: Url,
    /// The options for sending requests.
    pub http: HttpOptions,
}

impl StripeConfig {
    /// The address of the API.
    pub const BASE: &'static str = "https://api.stripe.com";

    /// Makes a configuration with defaults and without secrets of webhooks.
    ///
    /// # Errors
    /// Never: the default address is a right one.
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

/// The version of the API that the objects in this crate are of. The npm package `stripe` 23.1.0 has the same. Webhooks come in
/// the version of their endpoint, so reading them depends on nothing that has changed between versions.
pub const STRIPE_VERSION: &str = "2026-10-28.endive";

impl Stripe {
    /// Checks a configuration. Sends nothing.
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
        let live_mode = mode(secret_key, &["sk", "rk"])
            .ok_or(ConfigError::WrongKey { name: "the secret key of Stripe", expected: "sk_ or rk_" })?;
        let public_mode = mode(&config.publishable_key, &["pk"])
            .ok_or(ConfigError::WrongKey { name: "the public key of Stripe", expected: "pk_" })?;
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
