//! The digests by which a repeated request is recognised.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// Returns the SHA-256 digest of a text in hexadecimal digits.
pub(crate) fn sha256_hex(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
