//! Secrets that all nodes derive from the signing keys, so that they need no setting of their own.

use std::fmt;

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};

/// The salt that separates these secrets from other uses of the signing keys.
const DERIVATION_SALT: &[u8] = b"jishu secrets 1";

/// Keys for codes that only the nodes of this deployment can compute. There is one for each live signing key.
#[derive(Clone)]
pub struct Secrets {
    /// The key for the current signing key.
    current: Key,
    /// The keys for the other live signing keys. They recognise codes from before a rotation.
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

    /// Adds the secrets of another signing key, to recognise its codes.
    pub(super) fn extend(&mut self, other: Self) {
        self.others.push(other.current);
        self.others.extend(other.others);
    }

    /// Computes the code of `data` under the current key. The purpose separates codes of different kinds.
    #[must_use]
    pub fn code(&self, purpose: &str, data: &[u8]) -> [u8; 32] {
        code(&self.current, purpose, data)
    }

    /// Computes the codes of `data` under all live keys, the current one first.
    pub fn codes(&self, purpose: &str, data: &[u8]) -> impl Iterator<Item = [u8; 32]> {
        std::iter::once(&self.current).chain(&self.others).map(move |key| code(key, purpose, data))
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
    fn debug_output_hides_the_secret() {
        assert_eq!(format!("{:?}", Secrets::derive(&[1; 32])), "Secrets([redacted])");
    }
}
