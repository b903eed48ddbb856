//! Payments at Razorpay, through its Orders API.

mod calls;
mod webhook;
mod wire;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use crate::{
    ClientReturn, ConfigError, HttpOptions, ReturnError,
    config::check_webhook_secrets,
    http::{Auth, HttpClient},
    signature,
};

/// The address and the keys of an account at Razorpay.
#[derive(Debug, Clone)]
pub struct RazorpayConfig {
    /// The public key: `rzp_live_…` or `rzp_test_…`.
    pub key_id: String,
    /// The secret that belongs to the public key.
    pub key_secret: SecretString,
    /// The secrets with which Razorpay signs webhooks: one secret, or two while the secret is rotated. Without any
    /// secret, all webhooks are refused.
    pub webhook_secrets: Vec<SecretString>,
    /// The id of the account, `acc_…`. If it is given, a webhook that names another account is refused.
    pub account_id: Option<String>,
    /// The address of the API. Its default is `https://api.razorpay.com`.
    pub base: Url,
    /// The options for sending requests.
    pub http: HttpOptions,
}

impl RazorpayConfig {
    /// The default address of the API.
    pub const BASE: &'static str = "https://api.razorpay.com";

    /// Makes a configuration with defaults and without secrets of webhooks.
    ///
    /// # Errors
    /// Returns an error only if the default address is not a URL, which does not happen.
    pub fn new(key_id: impl Into<String>, key_secret: SecretString) -> Result<Self, ConfigError> {
        let base = Url::parse(Self::BASE).map_err(|_| ConfigError::NotHttps(Self::BASE.to_owned()))?;
        Ok(Self {
            key_id: key_id.into(),
            key_secret,
            webhook_secrets: Vec::new(),
            account_id: None,
            base,
            http: HttpOptions::default(),
        })
    }
}

/// An account at Razorpay.
pub struct Razorpay {
    key_id: String,
    key_secret: SecretString,
    webhook_secrets: Vec<SecretString>,
    account_id: Option<String>,
    http: HttpClient,
}

impl Razorpay {
    /// Checks a configuration, and sets up the HTTP client. Sends no request.
    ///
    /// # Errors
    /// If a part of the configuration is wrong.
    pub fn new(config: RazorpayConfig) -> Result<Self, ConfigError> {
        if !config.key_id.starts_with("rzp_live_") && !config.key_id.starts_with("rzp_test_") {
            return Err(ConfigError::WrongKey {
                name: "the public key of Razorpay",
                expected: "rzp_live_ or rzp_test_",
            });
        }
        if config.key_secret.expose_secret().trim().is_empty() {
            return Err(ConfigError::Blank("the key secret of Razorpay"));
        }
        check_webhook_secrets(&config.webhook_secrets)?;
        let auth = Auth::Basic { user: config.key_id.clone(), password: config.key_secret.clone() };
        let http = HttpClient::new(config.base, auth, Vec::new(), config.http, wire::explain)?;
        Ok(Self {
            key_id: config.key_id,
            key_secret: config.key_secret,
            webhook_secrets: config.webhook_secrets,
            account_id: config.account_id,
            http,
        })
    }

    fn check_return(&self, returned: &ClientReturn) -> Result<(), ReturnError> {
        let parts = [returned.provider_order.as_bytes(), b"|", returned.payment.as_bytes()];
        if signature::verifies(&self.key_secret, &parts, &returned.signature) {
            Ok(())
        } else {
            Err(ReturnError::BadSignature)
        }
    }
}
