//! HMAC with SHA-256, which both providers sign with.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// Whether a signature in hexadecimal digits is that of the parts, joined. Takes the same time for each wrong signature.
pub(crate) fn verifies(secret: &SecretString, parts: &[&[u8]], signature: &str) -> bool {
    let Ok(signature) = hex::decode(signature) else {
        return false;
    };
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()) else {
        return false;
    };
    for part in parts {
        mac.update(part);
    }
    mac.verify_slice(&signature).is_ok()
}

/// Makes an idempotency key of a reference, which may have any characters.
pub(crate) fn key_of(purpose: &str, reference: &str) -> String {
    let digest = Sha256::new().chain_update(purpose).chain_update([0]).chain_update(reference).finalize();
    hex::encode(digest)
}

/// Makes an idempotency key for one call only. Its repetitions share it.
pub(crate) fn fresh_key() -> String {
    format!("{:032x}", rand::random::<u128>())
}
