//! One-time passwords by time (RFC 6238): the codes of authenticator apps.

use std::fmt;

use chrono::{DateTime, Utc};
use rand::TryRng;
use rand::rngs::{SysError, SysRng};
use totp_rs::{Algorithm, Builder, Secret, Totp, TotpError};

/// Number of bytes in a secret. RFC 4226, section 4 recommends 20.
const SECRET_BYTES: usize = 20;
/// Number of digits in a code.
const DIGITS: u8 = 6;
/// Number of seconds in a step, which is the time for which an app shows one code.
const STEP_SECONDS: u64 = 30;
/// Number of steps before and after the current step whose codes are accepted too, because the clocks of phones
/// differ.
const SKEW_STEPS: u16 = 1;

/// An error with the secret of one-time passwords.
#[derive(Debug, thiserror::Error)]
pub enum OneTimePasswordError {
    /// The random source of the operating system failed.
    #[error("the system's random source failed: {0}")]
    Random(#[from] SysError),
    /// The library does not accept the secret or the names.
    #[error("the secret of one-time passwords cannot be used: {0}")]
    Unusable(#[from] TotpError),
    /// The stored text is not base32.
    #[error("the stored secret of one-time passwords is not base32")]
    Unreadable,
}

/// The secret that an authenticator app shares with the server. The secret must not be logged, and is stored encrypted.
///
/// The codes use SHA-1. Many apps compute codes only with SHA-1, and would show wrong codes for another algorithm.
pub struct OneTimePasswordSecret {
    codes: Totp,
}

impl OneTimePasswordSecret {
    /// Makes a secret from random bytes, which the operating system generates.
    ///
    /// # Errors
    /// Fails if the random source of the operating system fails.
    pub fn generate() -> Result<Self, OneTimePasswordError> {
        let mut bytes = [0; SECRET_BYTES];
        SysRng.try_fill_bytes(&mut bytes)?;
        Self::of(bytes.to_vec(), "jishu", "account")
    }

    /// Reads a secret from the text that [`OneTimePasswordSecret::text`] made.
    ///
    /// # Errors
    /// Fails if the text is not base32, or if the library does not accept the secret.
    pub fn read(text: &str) -> Result<Self, OneTimePasswordError> {
        let secret = Secret::try_from_base32(text).map_err(|_unreadable| OneTimePasswordError::Unreadable)?;
        Self::of(secret.as_ref().to_vec(), "jishu", "account")
    }

    fn of(bytes: Vec<u8>, issuer: &str, account: &str) -> Result<Self, OneTimePasswordError> {
        let codes = Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_digits(DIGITS)
            .with_skew(SKEW_STEPS)
            .with_step_duration(STEP_SECONDS)
            .with_secret(bytes)
            .with_issuer(Some(issuer))
            .with_account_name(account)
            .build()?;
        Ok(Self { codes })
    }

    /// Returns the secret as base32, for people who type it into their app, and for the database.
    #[must_use]
    pub fn text(&self) -> String {
        self.codes.secret().to_base32()
    }

    /// Returns the `otpauth` address that an app reads from a QR code. The app shows the names of the issuer and of
    /// the account. A colon separates the two names in the address, so a colon in a name becomes a space.
    ///
    /// # Errors
    /// Fails if the library does not accept the names.
    pub fn address(&self, issuer: &str, account: &str) -> Result<String, OneTimePasswordError> {
        let named = Self::of(
            self.codes.secret().as_ref().to_vec(),
            &issuer.replace(':', " "),
            &account.replace(':', " "),
        )?;
        Ok(named.codes.to_url()?)
    }

    /// Returns the step to which a code belongs. Returns None if the code is not that of the current step, of the
    /// step before or of the step after. The caller must accept each step only once.
    #[must_use]
    pub fn step_of(&self, code: &str, now: DateTime<Utc>) -> Option<i64> {
        let code: String = code.chars().filter(|character| !character.is_whitespace()).collect();
        let is_code = code.len() == usize::from(DIGITS) && code.bytes().all(|byte| byte.is_ascii_digit());
        let time = u64::try_from(now.timestamp()).ok()?;
        let step = is_code.then(|| self.codes.check(&code, time)).flatten()?;
        i64::try_from(step).ok()
    }
}

impl fmt::Debug for OneTimePasswordSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneTimePasswordSecret([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    /// The secret of RFC 6238, appendix B, in base32. The RFC has codes of eight digits. The codes in these tests are
    /// their last six digits.
    const OF_RFC: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    #[test]
    fn the_codes_are_those_of_the_rfc() {
        let secret = OneTimePasswordSecret::read(OF_RFC).unwrap();
        for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (2_000_000_000, "279037")] {
            assert_eq!(secret.step_of(code, at(seconds)), Some(seconds / 30), "{code}");
        }
        assert_eq!(secret.text(), OF_RFC);
    }

    #[test]
    fn a_code_counts_one_step_before_and_after_its_own() {
        let secret = OneTimePasswordSecret::read(OF_RFC).unwrap();
        let step = 1_111_111_109 / 30;
        for (seconds, is_valid) in [(-60, false), (-30, true), (30, true), (60, false)] {
            let found = secret.step_of("081804", at(1_111_111_109 + seconds));
            assert_eq!(found, is_valid.then_some(step), "{seconds}");
        }
        assert_eq!(secret.step_of(" 081 804 ", at(1_111_111_109)), Some(step));
        for wrong in ["", "81804", "0081804", "08180a", "٠٨١٨٠٤", "081805"] {
            assert_eq!(secret.step_of(wrong, at(1_111_111_109)), None, "{wrong}");
        }
    }

    #[test]
    fn a_secret_is_long_and_has_an_address() {
        let secret = OneTimePasswordSecret::generate().unwrap();
        assert_eq!(secret.text().len(), 32);
        assert_ne!(secret.text(), OneTimePasswordSecret::generate().unwrap().text());
        let address = secret.address("Academy: NEET", "asha@example.com").unwrap();
        assert!(address.starts_with("otpauth://totp/Academy"), "{address}");
        assert!(address.contains(&format!("secret={}", secret.text())), "{address}");
        assert!(!format!("{secret:?}").contains(&secret.text()));
    }
}
