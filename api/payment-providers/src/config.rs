//! Secrets, and what can be wrong with a configuration.

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

/// The reason why a provider cannot be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The address of the provider would send secrets in clear text.
    #[error("the address {0} must begin with https://, or be a loopback address")]
    NotHttps(String),
    /// The address of the provider has more than a host and a path.
    #[error("the address must not have a user, a password or a query")]
    BaseHasMore,
    /// A key is not of the expected kind.
    #[error("{name} must begin with {expected}")]
    WrongKey {
        /// The field.
        name: &'static str,
        /// The expected beginning.
        expected: &'static str,
    },
    /// The two keys belong to different modes.
    #[error("the public key and the secret key must both be of live mode, or both of test mode")]
    MixedModes,
    /// A secret is blank.
    #[error("{0} must not be blank")]
    Blank(&'static str),
    /// There are more than two secrets of webhooks.
    #[error(
        "give at most two secrets of webhooks: the new one, and the old one until its repetitions have ended"
    )]
    TooManyWebhookSecrets,
    /// A file with a secret cannot be read.
    #[error("the file {path} with a secret cannot be read: {reason}")]
    SecretFile {
        /// The path.
        path: String,
        /// The problem.
        reason: String,
    },
    /// The client of HTTP cannot be set up.
    #[error("the client of HTTP cannot be set up: {0}")]
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

/// Checks the secrets of webhooks.
pub(crate) fn check_webhook_secrets(secrets: &[SecretString]) -> Result<(), ConfigError> {
    if secrets.len() > 2 {
        return Err(ConfigError::TooManyWebhookSecrets);
    }
    if secrets.iter().any(|secret| secret.expose_secret().trim().is_empty()) {
        return Err(ConfigError::Blank("a secret of webhooks"));
    }
    Ok(())
}
