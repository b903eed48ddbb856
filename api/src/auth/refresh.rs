//! Refresh tokens: opaque random values. The database holds their hash and all that is known of them.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRng;
use rand::rngs::{SysError, SysRng};
use sha2::{Digest, Sha256};

/// Lets people, and scanners for leaked secrets, see what they are looking at.
pub(super) const PREFIX: &str = "jrt_";

const RANDOM_BYTES: usize = 32;

/// Why there is no refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefreshTokenError {
    /// What was sent cannot be one.
    #[error(
        "This is not a refresh token. Send the refresh token exactly as it was issued, or sign in again."
    )]
    Malformed,
    /// The system gave no random bytes.
    #[error("The system's random source failed, so no refresh token could be made.")]
    Random(#[from] SysError),
}

/// A refresh token as the client holds it. It proves who bears it: never log or store it, only its hash.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken(String);

impl RefreshToken {
    /// A new one, from 256 random bits of the operating system.
    pub fn generate() -> Result<Self, RefreshTokenError> {
        let mut bytes = [0; RANDOM_BYTES];
        SysRng.try_fill_bytes(&mut bytes)?;
        Ok(Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// Checks the form of what a client sent, so that nonsense does not reach the database.
    pub fn parse(token: &str) -> Result<Self, RefreshTokenError> {
        let encoded = token.strip_prefix(PREFIX).ok_or(RefreshTokenError::Malformed)?;
        let mut bytes = [0; RANDOM_BYTES];
        match URL_SAFE_NO_PAD.decode_slice(encoded, &mut bytes) {
            Ok(RANDOM_BYTES) => Ok(Self(token.to_owned())),
            _ => Err(RefreshTokenError::Malformed),
        }
    }

    /// SHA-256 in lower-case hexadecimal: 64 characters, the key by which the database knows it.
    ///
    /// Fast on purpose: nobody guesses 256 bits, however fast the hash.
    pub fn hash(&self) -> String {
        Sha256::digest(self.0.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The text to hand to the client.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_the_wire() {
        let token = RefreshToken::generate().unwrap();
        assert_eq!(token.as_str().len(), PREFIX.len() + 43);
        assert_eq!(RefreshToken::parse(token.as_str()), Ok(token));
    }

    #[test]
    fn no_two_are_alike() {
        let (one, other) = (RefreshToken::generate().unwrap(), RefreshToken::generate().unwrap());
        assert_ne!(one.as_str(), other.as_str());
        assert_ne!(one.hash(), other.hash());
    }

    #[test]
    fn the_hash_is_plain_sha256_of_the_text() {
        let token = RefreshToken::parse(&format!("{PREFIX}{}", "A".repeat(43))).unwrap();
        assert_eq!(token.hash(), "10da57cc9d95bf12602402a462d83fc175e8279e17bf6335a7b73c0671a7a5a1");
    }

    #[test]
    fn anything_else_is_refused() {
        let body = "A".repeat(43);
        for wrong in [
            String::new(),
            PREFIX.to_owned(),
            body.clone(),
            format!("jat_{body}"),
            format!("{PREFIX}{body}A"),
            format!("{PREFIX}{body}="),
            format!("{PREFIX} {body}"),
            format!("{PREFIX}{}", "A".repeat(42)),
            format!("{PREFIX}{}+", "A".repeat(42)),
            // The last character carries two unused bits, which must be zero: one text for each token.
            format!("{PREFIX}{}B", "A".repeat(42)),
            format!("{PREFIX}{}", "A".repeat(100_000)),
        ] {
            assert_eq!(RefreshToken::parse(&wrong), Err(RefreshTokenError::Malformed), "{wrong:.60}");
        }
    }

    #[test]
    fn debug_output_keeps_the_secret() {
        let token = RefreshToken::generate().unwrap();
        assert!(!format!("{token:?}").contains(token.as_str()));
    }
}
