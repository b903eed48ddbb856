//! Refresh tokens: opaque random values. The database holds their hash and all that is known of them.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRng;
use rand::rngs::{SysError, SysRng};
use sha2::{Digest, Sha256};

use super::secrets::Secrets;

/// Lets people, and scanners for leaked secrets, see what they are looking at.
pub(super) const PREFIX: &str = "jrt_";

const BYTES: usize = 32;

/// Number of the random bytes. The other bytes are a mark, by which the nodes recognise their own tokens without
/// reading the database.
const RANDOM_BYTES: usize = 24;

const MARK: &str = "refresh token";

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
    /// The cryptography library failed.
    #[error("The cryptography library failed, so no refresh token could be stored.")]
    Seal(#[from] Unspecified),
}

/// A refresh token as the client holds it. It proves who bears it: never log or store it, only its hash.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken(String);

impl RefreshToken {
    /// Makes a new token from 192 random bits of the operating system and a mark.
    pub fn generate(secrets: &Secrets) -> Result<Self, RefreshTokenError> {
        let mut bytes = [0; BYTES];
        let (random, mark) = bytes.split_at_mut(RANDOM_BYTES);
        SysRng.try_fill_bytes(random)?;
        mark.copy_from_slice(&secrets.code(MARK, random)[..BYTES - RANDOM_BYTES]);
        Ok(Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// Checks the form of what a client sent, so that nonsense does not reach the database.
    pub fn parse(token: &str) -> Result<Self, RefreshTokenError> {
        let encoded = token.strip_prefix(PREFIX).ok_or(RefreshTokenError::Malformed)?;
        let mut bytes = [0; BYTES];
        match URL_SAFE_NO_PAD.decode_slice(encoded, &mut bytes) {
            Ok(BYTES) => Ok(Self(token.to_owned())),
            _ => Err(RefreshTokenError::Malformed),
        }
    }

    /// Whether a node of this deployment made the token. Tokens of a deleted key or an older version work without
    /// this mark.
    pub fn is_marked(&self, secrets: &Secrets) -> bool {
        let bytes = URL_SAFE_NO_PAD.decode(&self.0[PREFIX.len()..]).unwrap_or_default();
        let Some((random, mark)) = bytes.split_at_checked(RANDOM_BYTES) else { return false };
        secrets.codes(MARK, random).any(|code| verify_slices_are_equal(&code[..mark.len()], mark).is_ok())
    }

    /// Encrypts the token that replaces this one, so that only a holder of this one can read it.
    ///
    /// The family is authenticated, so that the text cannot be moved to another family.
    pub fn seal(&self, successor: &Self, family: &str) -> Result<String, RefreshTokenError> {
        let mut text = successor.0.clone().into_bytes();
        let nonce = self.key_of_successor()?.seal_in_place_append_tag(Aad::from(family), &mut text)?;
        Ok(URL_SAFE_NO_PAD.encode([&nonce.as_ref()[..], &text].concat()))
    }

    /// Decrypts the token that replaces this one from the text that [`RefreshToken::seal`] made.
    pub fn open(&self, sealed: &str, family: &str) -> Option<Self> {
        let mut bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, text) = bytes.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let text = self.key_of_successor().ok()?.open_in_place(nonce, Aad::from(family), text).ok()?;
        Self::parse(std::str::from_utf8(text).ok()?).ok()
    }

    /// Derives the key of the successor from the token itself. The database has only a hash of the token.
    fn key_of_successor(&self) -> Result<RandomizedNonceKey, Unspecified> {
        let mut key = [0; 32];
        let prk = Salt::new(HKDF_SHA256, b"jishu refresh token").extract(self.0.as_bytes());
        prk.expand(&[b"successor"], HKDF_SHA256)?.fill(&mut key)?;
        RandomizedNonceKey::new(&AES_256_GCM, &key)
    }

    /// SHA-256 in lower-case hexadecimal: 64 characters, the key by which the database knows it.
    ///
    /// Hashes the token. The hash is fast, because nobody can guess 192 bits.
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

    fn secrets() -> Secrets {
        Secrets::derive(&[7; 32])
    }

    fn generate() -> RefreshToken {
        RefreshToken::generate(&secrets()).unwrap()
    }

    #[test]
    fn only_its_predecessor_opens_a_successor() {
        let (token, other, successor) = (generate(), generate(), generate());
        let sealed = token.seal(&successor, "family").unwrap();
        assert!(sealed.len() <= 128, "{}", sealed.len());
        assert!(!sealed.contains(successor.as_str()));
        assert_eq!(token.open(&sealed, "family"), Some(successor.clone()));
        assert_eq!(token.open(&sealed, "another"), None);
        assert_eq!(other.open(&sealed, "family"), None);
        assert_ne!(token.seal(&successor, "family").unwrap(), sealed, "each nonce is new");
        for wrong in ["", "AAAA", &sealed[1..], &sealed[..sealed.len() - 2]] {
            assert_eq!(token.open(wrong, "family"), None, "{wrong}");
        }
    }

    #[test]
    fn a_mark_tells_tokens_of_these_keys_from_others() {
        assert!(generate().is_marked(&secrets()));
        assert!(!RefreshToken::generate(&Secrets::derive(&[8; 32])).unwrap().is_marked(&secrets()));
        let made_up = RefreshToken::parse(&format!("{PREFIX}{}", "A".repeat(43))).unwrap();
        assert!(!made_up.is_marked(&secrets()));
        let mut rotated = Secrets::derive(&[8; 32]);
        rotated.extend(secrets());
        assert!(generate().is_marked(&rotated));
    }

    #[test]
    fn survives_the_wire() {
        let token = generate();
        assert_eq!(token.as_str().len(), PREFIX.len() + 43);
        assert_eq!(RefreshToken::parse(token.as_str()), Ok(token));
    }

    #[test]
    fn no_two_are_alike() {
        let (one, other) = (generate(), generate());
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
        let token = generate();
        assert!(!format!("{token:?}").contains(token.as_str()));
    }
}
