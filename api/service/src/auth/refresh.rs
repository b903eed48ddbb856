//! Refresh tokens. They are opaque random values. The database stores their hashes and all facts about them.

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

/// The prefix by which people and scanners for leaked secrets recognise a refresh token.
pub(super) const PREFIX: &str = "jrt_";

/// Number of bytes in a token.
const TOKEN_BYTES: usize = 32;

/// Number of random bytes in a token. The other bytes are a mark. By the mark a node recognises the tokens of its
/// deployment without reading the database.
const RANDOM_BYTES: usize = 24;

/// The purpose of the codes of [`Secrets`] that mark refresh tokens.
const MARK_PURPOSE: &str = "refresh token";

/// An error with a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefreshTokenError {
    /// The text does not have the form of a refresh token.
    #[error(
        "This is not a refresh token. Send the refresh token exactly as it was issued, or sign in again."
    )]
    Malformed,
    /// The random source of the operating system failed.
    #[error("The system's random source failed, so no refresh token could be made.")]
    Random(#[from] SysError),
    /// The cryptography library failed.
    #[error("The cryptography library failed, so no refresh token could be stored.")]
    Seal(#[from] Unspecified),
}

/// A refresh token as the client gets it. Whoever has it can use it, so it must not be logged, and only its hash is
/// stored.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken {
    text: String,
}

impl RefreshToken {
    /// Makes a new token from 192 random bits, which the operating system generates, and a mark, by which a node
    /// recognises the tokens of its deployment.
    pub fn generate(secrets: &Secrets) -> Result<Self, RefreshTokenError> {
        let mut bytes = [0; TOKEN_BYTES];
        let (random, mark) = bytes.split_at_mut(RANDOM_BYTES);
        SysRng.try_fill_bytes(random)?;
        mark.copy_from_slice(&secrets.code(MARK_PURPOSE, random)[..TOKEN_BYTES - RANDOM_BYTES]);
        Ok(Self { text: format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)) })
    }

    /// Checks the form of a token that a client sent, so that the database is asked only for possible tokens.
    pub fn parse(token: &str) -> Result<Self, RefreshTokenError> {
        let encoded = token.strip_prefix(PREFIX).ok_or(RefreshTokenError::Malformed)?;
        let mut bytes = [0; TOKEN_BYTES];
        match URL_SAFE_NO_PAD.decode_slice(encoded, &mut bytes) {
            Ok(TOKEN_BYTES) => Ok(Self { text: token.to_owned() }),
            _ => Err(RefreshTokenError::Malformed),
        }
    }

    /// Returns whether the token has the mark of this deployment. Tokens that an older version or a deleted signing
    /// key made are valid without this mark.
    pub fn is_marked(&self, secrets: &Secrets) -> bool {
        let bytes = URL_SAFE_NO_PAD.decode(&self.text[PREFIX.len()..]).unwrap_or_default();
        let Some((random, mark)) = bytes.split_at_checked(RANDOM_BYTES) else { return false };
        secrets
            .codes(MARK_PURPOSE, random)
            .any(|code| verify_slices_are_equal(&code[..mark.len()], mark).is_ok())
    }

    /// Encrypts the token that replaces this token, so that only somebody who has this token can read it.
    ///
    /// The encryption authenticates the family, so that the result cannot be used in another family.
    pub fn seal(&self, successor: &Self, family: &str) -> Result<String, RefreshTokenError> {
        let mut text = successor.text.clone().into_bytes();
        let nonce = self.key_of_successor()?.seal_in_place_append_tag(Aad::from(family), &mut text)?;
        Ok(URL_SAFE_NO_PAD.encode([&nonce.as_ref()[..], &text].concat()))
    }

    /// Decrypts the token that replaces this token, from the text that [`RefreshToken::seal`] made. Returns None if the
    /// text was made for another token or another family, or was changed.
    pub fn open(&self, sealed: &str, family: &str) -> Option<Self> {
        let mut bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, text) = bytes.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let text = self.key_of_successor().ok()?.open_in_place(nonce, Aad::from(family), text).ok()?;
        Self::parse(std::str::from_utf8(text).ok()?).ok()
    }

    /// Derives the key that encrypts the successor from this token itself. The database has only a hash of the token,
    /// so the database cannot reveal the successor.
    fn key_of_successor(&self) -> Result<RandomizedNonceKey, Unspecified> {
        let mut key = [0; 32];
        let prk = Salt::new(HKDF_SHA256, b"jishu refresh token").extract(self.text.as_bytes());
        prk.expand(&[b"successor"], HKDF_SHA256)?.fill(&mut key)?;
        RandomizedNonceKey::new(&AES_256_GCM, &key)
    }

    /// Returns the SHA-256 hash by which the database finds the token: 64 lower-case hexadecimal characters.
    ///
    /// A fast hash is enough, because nobody can guess 192 random bits.
    pub fn hash(&self) -> String {
        Sha256::digest(self.text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Returns the text to send to the client.
    pub fn as_str(&self) -> &str {
        &self.text
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
    fn only_the_predecessor_can_open_a_successor() {
        let (token, other, successor) = (generate(), generate(), generate());
        let sealed = token.seal(&successor, "family").unwrap();
        assert!(sealed.len() <= 128, "{}", sealed.len());
        assert!(!sealed.contains(successor.as_str()));
        assert_eq!(token.open(&sealed, "family"), Some(successor.clone()));
        assert_eq!(token.open(&sealed, "another"), None);
        assert_eq!(other.open(&sealed, "family"), None);
        assert_ne!(token.seal(&successor, "family").unwrap(), sealed, "a nonce was used twice");
        for wrong in ["", "AAAA", &sealed[1..], &sealed[..sealed.len() - 2]] {
            assert_eq!(token.open(wrong, "family"), None, "{wrong}");
        }
    }

    #[test]
    fn the_mark_recognises_tokens_of_these_keys() {
        assert!(generate().is_marked(&secrets()));
        assert!(!RefreshToken::generate(&Secrets::derive(&[8; 32])).unwrap().is_marked(&secrets()));
        let made_up = RefreshToken::parse(&format!("{PREFIX}{}", "A".repeat(43))).unwrap();
        assert!(!made_up.is_marked(&secrets()));
        let mut rotated = Secrets::derive(&[8; 32]);
        rotated.extend(secrets());
        assert!(generate().is_marked(&rotated));
    }

    #[test]
    fn a_token_can_be_parsed_again() {
        let token = generate();
        assert_eq!(token.as_str().len(), PREFIX.len() + 43);
        assert_eq!(RefreshToken::parse(token.as_str()), Ok(token));
    }

    #[test]
    fn two_tokens_differ() {
        let (one, other) = (generate(), generate());
        assert_ne!(one.as_str(), other.as_str());
        assert_ne!(one.hash(), other.hash());
    }

    #[test]
    fn the_hash_is_sha256_of_the_text() {
        let token = RefreshToken::parse(&format!("{PREFIX}{}", "A".repeat(43))).unwrap();
        assert_eq!(token.hash(), "10da57cc9d95bf12602402a462d83fc175e8279e17bf6335a7b73c0671a7a5a1");
    }

    #[test]
    fn other_texts_are_refused() {
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
            // The last character has two unused bits, which must be zero, so that each token has one text.
            format!("{PREFIX}{}B", "A".repeat(42)),
            format!("{PREFIX}{}", "A".repeat(100_000)),
        ] {
            assert_eq!(RefreshToken::parse(&wrong), Err(RefreshTokenError::Malformed), "{wrong:.60}");
        }
    }

    #[test]
    fn debug_output_hides_the_secret() {
        let token = generate();
        assert!(!format!("{token:?}").contains(token.as_str()));
    }
}
