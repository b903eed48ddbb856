//! The digests by which repeated requests are recognised.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// Returns the SHA-256 digest of a text as 64 hexadecimal digits in lower case.
pub(crate) fn sha256_hex(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
