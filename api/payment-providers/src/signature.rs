//! Signatures with HMAC-SHA-256, which both Razorpay and Stripe use, and idempotency keys.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// Returns whether `signature`, in hexadecimal digits, is the HMAC of the joined parts under the secret. The comparison
/// takes the same time for each wrong signature of the right length.
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

/// Makes an idempotency key from a purpose and a reference. The key is a hash in hexadecimal digits, because a
/// reference may have any characters.
pub(crate) fn key_of(purpose: &str, reference: &str) -> String {
    let digest = Sha256::new().chain_update(purpose).chain_update([0]).chain_update(reference).finalize();
    hex::encode(digest)
}

/// Makes a random idempotency key for one call. All repetitions of the call use the same key.
pub(crate) fn fresh_key() -> String {
    format!("{:032x}", rand::random::<u128>())
}
