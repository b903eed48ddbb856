//! Reads secrets from files, checks the secrets of webhooks, and defines the errors of a configuration.

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

/// The reason why a provider cannot be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The address of the API of the provider does not begin with `https://`, and is not a loopback address that begins
    /// with `http://`. Secrets could be sent to it in clear text.
    #[error(
        "the address {0} of the API of the provider must begin with https://, or with http:// for a loopback address"
    )]
    NotHttps(String),
    /// The address of the API of the provider has a user, a password or a query.
    #[error("the address of the API of the provider must not have a user, a password or a query")]
    BaseHasMore,
    /// A key does not begin as keys of its kind do.
    #[error("{name} must begin with {expected}")]
    WrongKey {
        /// The name of the key, such as `the secret key of Stripe`.
        name: &'static str,
        /// The allowed beginnings as the message lists them, such as `rzp_live_ or rzp_test_`.
        expected: &'static str,
    },
    /// The public key and the secret key belong to different modes: one to live mode, the other to test mode.
    #[error("the public key and the secret key must both be of live mode, or both of test mode")]
    MixedModes,
    /// A key or a secret of the configuration is blank.
    #[error("{0} must not be blank")]
    Blank(&'static str),
    /// There are more than two secrets of webhooks.
    #[error(
        "give at most two secrets of webhooks: the new one, and the old one while webhooks that it signed still arrive"
    )]
    TooManyWebhookSecrets,
    /// A file with a secret cannot be read, or is blank.
    #[error("the file {path} gives no secret: {reason}")]
    SecretFile {
        /// The path of the file.
        path: String,
        /// The reason why the file gives no secret.
        reason: String,
    },
    /// The HTTP client cannot be set up.
    #[error("the HTTP client for the provider cannot be set up: {0}")]
    Client(String),
}

/// Reads a secret from a file. White space at both ends is dropped.
///
/// # Errors
/// If the file cannot be read, or is blank.
pub fn read_secret_file(path: &Path) -> Result<SecretString, ConfigError> {
    let problem = |reason: String| ConfigError::SecretFile { path: path.display().to_string(), reason };
    let text = std::fs::read_to_string(path).map_err(|error| problem(error.to_string()))?;
    match text.trim() {
        "" => Err(problem("it is blank".to_owned())),
        secret => Ok(SecretString::from(secret)),
    }
}

/// Refuses more than two secrets of webhooks, and blank secrets. Accepts an empty list: then all webhooks are refused.
pub(crate) fn check_webhook_secrets(secrets: &[SecretString]) -> Result<(), ConfigError> {
    if secrets.len() > 2 {
        return Err(ConfigError::TooManyWebhookSecrets);
    }
    if secrets.iter().any(|secret| secret.expose_secret().trim().is_empty()) {
        return Err(ConfigError::Blank("a secret of webhooks"));
    }
    Ok(())
}
