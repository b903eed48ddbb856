//! Secrets that all nodes derive from the signing keys, so that operators need not set them.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The salt that separates these secrets from other uses of the signing keys.
const DERIVATION_SALT: &[u8] = b"jishu secrets 1";

/// Keys for codes (HMACs) that only the nodes of this deployment can compute. There is one key for each live signing
/// key.
#[derive(Clone)]
pub struct Secrets {
    /// The key that is derived from the current signing key.
    current: Key,
    /// The keys that are derived from the other live signing keys. With these keys, a node recognises codes that were
    /// made before a rotation.
    others: Vec<Key>,
}

impl Secrets {
    /// Derives the secrets of one signing key from its seed.
    pub(super) fn derive(seed: &[u8]) -> Self {
        let prk = Salt::new(HKDF_SHA256, DERIVATION_SALT).extract(seed);
        let current = prk.expand(&[b"codes"], HMAC_SHA256).map_or_else(
            // Unreachable: HKDF can return far more than 32 bytes.
            |_unspecified| Key::new(HMAC_SHA256, seed),
            Key::from,
        );
        Self { current, others: Vec::new() }
    }

    /// Adds the secrets of another signing key, to recognise codes that were made with it.
    pub(super) fn extend(&mut self, other: Self) {
        self.others.push(other.current);
        self.others.extend(other.others);
    }

    /// Computes the code (the HMAC) of `data` under the current key. Different purposes give different codes for the
    /// same data.
    #[must_use]
    pub fn code(&self, purpose: &str, data: &[u8]) -> [u8; 32] {
        code(&self.current, purpose, data)
    }

    /// Computes the codes of `data` under all live keys. The code under the current key comes first.
    pub fn codes(&self, purpose: &str, data: &[u8]) -> impl Iterator<Item = [u8; 32]> {
        std::iter::once(&self.current).chain(&self.others).map(move |key| code(key, purpose, data))
    }

    /// Returns the name of the current key, which reveals nothing of the key. A text that is stored for long is
    /// stored with this name, so that it can be encrypted anew after a rotation.
    #[must_use]
    pub fn key_name(&self) -> String {
        self.code("key name", &[])[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Encrypts a text under a key that belongs to one purpose and one context, such as the id of a row. Only the
    /// nodes of this deployment can decrypt the result. So the text cannot be read in the database or its backups.
    ///
    /// # Errors
    /// Fails if the cryptography library fails.
    pub fn seal(&self, purpose: &str, context: &str, text: &str) -> Result<String, Unspecified> {
        let mut bytes = text.as_bytes().to_vec();
        let key = RandomizedNonceKey::new(&AES_256_GCM, &self.code(purpose, context.as_bytes()))?;
        let nonce = key.seal_in_place_append_tag(Aad::from(context), &mut bytes)?;
        Ok(URL_SAFE_NO_PAD.encode([&nonce.as_ref()[..], &bytes].concat()))
    }

    /// Decrypts a text that [`Secrets::seal`] made with the same purpose and context. Returns None if no live key can
    /// decrypt it.
    #[must_use]
    pub fn open(&self, purpose: &str, context: &str, sealed: &str) -> Option<String> {
        let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        self.codes(purpose, context.as_bytes()).find_map(|code| {
            let mut bytes = sealed.clone();
            let (nonce, text) = bytes.split_at_mut_checked(NONCE_LEN)?;
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let key = RandomizedNonceKey::new(&AES_256_GCM, &code).ok()?;
            let text = key.open_in_place(nonce, Aad::from(context), text).ok()?;
            String::from_utf8(text.to_vec()).ok()
        })
    }
}

fn code(key: &Key, purpose: &str, data: &[u8]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(key);
    context.update(purpose.as_bytes());
    context.update(&[0]);
    context.update(data);
    let mut code = [0; 32];
    code.copy_from_slice(context.sign().as_ref());
    code
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_and_purpose_has_its_own_codes() {
        let (old, new) = (Secrets::derive(&[1; 32]), Secrets::derive(&[2; 32]));
        assert_eq!(old.code("a", b"x"), Secrets::derive(&[1; 32]).code("a", b"x"));
        assert_ne!(old.code("a", b"x"), new.code("a", b"x"));
        assert_ne!(old.code("a", b"x"), old.code("b", b"x"));
        assert_ne!(old.code("a", b"bx"), old.code("ab", b"x"));
        let mut rotated = new.clone();
        rotated.extend(old.clone());
        let codes: Vec<_> = rotated.codes("a", b"x").collect();
        assert_eq!(codes, [new.code("a", b"x"), old.code("a", b"x")]);
    }

    #[test]
    fn a_sealed_text_opens_only_with_its_purpose_and_context() {
        let old = Secrets::derive(&[1; 32]);
        let sealed = old.seal("mail", "7", "to: asha").unwrap();
        assert!(!sealed.contains("asha"));
        assert_eq!(old.open("mail", "7", &sealed).as_deref(), Some("to: asha"));
        assert_eq!(old.open("mail", "8", &sealed), None);
        assert_eq!(old.open("other", "7", &sealed), None);
        let mut rotated = Secrets::derive(&[2; 32]);
        assert_eq!(rotated.open("mail", "7", &sealed), None);
        rotated.extend(old);
        assert_eq!(rotated.open("mail", "7", &sealed).as_deref(), Some("to: asha"));
        for wrong in ["", "AAAA", "*", &sealed[1..]] {
            assert_eq!(rotated.open("mail", "7", wrong), None, "{wrong}");
        }
    }

    #[test]
    fn debug_output_hides_the_secret() {
        assert_eq!(format!("{:?}", Secrets::derive(&[1; 32])), "Secrets([redacted])");
    }
}
