//! Signatures of webhooks and of returned parameters.

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};

/// Returns the HMAC-SHA256 of the joined parts, in hexadecimal digits.
#[must_use]
pub fn hmac_hex(secret: &str, parts: &[&[u8]]) -> String {
    let tag = sign(&Key::new(HMAC_SHA256, secret.as_bytes()), &parts.concat());
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
