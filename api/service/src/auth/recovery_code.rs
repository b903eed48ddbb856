//! Recovery codes, with which people sign in after they have lost their authenticator app.

use std::fmt;

use rand::TryRng;
use rand::rngs::{SysError, SysRng};
use sha2::{Digest, Sha256};

/// Number of recovery codes that an account gets.
pub const RECOVERY_CODES: usize = 10;

/// Number of characters in a code, without the hyphens. Each character has 5 random bits.
const CODE_CHARS: usize = 16;
/// Number of characters between two hyphens.
const GROUP_CHARS: usize = 4;
/// The alphabet of Crockford's base32: the digits and the lower-case letters without `i`, `l`, `o` and `u`.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A recovery code. Whoever has it can use it once in place of a code of the authenticator app, so only its hash is
/// stored.
///
/// The code has 80 random bits. So a fast hash is enough, and the hash does not depend on any key of the server.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryCode {
    /// The characters without hyphens, in lower case.
    text: String,
}

impl RecoveryCode {
    /// Makes a recovery code from random bits, which the operating system generates.
    ///
    /// # Errors
    /// Fails if the random source of the operating system fails.
    pub fn generate() -> Result<Self, SysError> {
        let mut bytes = [0; CODE_CHARS];
        SysRng.try_fill_bytes(&mut bytes)?;
        let text = bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect();
        Ok(Self { text })
    }

    /// Reads a recovery code that somebody typed, in upper or lower case, with or without hyphens and spaces. Returns
    /// None if no recovery code can have this text.
    #[must_use]
    pub fn parse(typed: &str) -> Option<Self> {
        let mut text = String::with_capacity(CODE_CHARS);
        for character in typed.chars().filter(|character| !character.is_whitespace() && *character != '-') {
            let character = match character.to_ascii_lowercase() {
                'o' => '0',
                'i' | 'l' => '1',
                other => other,
            };
            let is_known = u8::try_from(character).is_ok_and(|byte| ALPHABET.contains(&byte));
            if !is_known || text.len() == CODE_CHARS {
                return None;
            }
            text.push(character);
        }
        (text.len() == CODE_CHARS).then_some(Self { text })
    }

    /// Returns the SHA-256 hash by which the database finds the code: 64 lower-case hexadecimal characters.
    #[must_use]
    pub fn hash(&self) -> String {
        let hash = Sha256::digest(format!("recovery code {}", self.text).as_bytes());
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Returns the code as text for its owner, in groups of four characters with hyphens between them.
    #[must_use]
    pub fn written(&self) -> String {
        let groups: Vec<&str> =
            (0..CODE_CHARS).step_by(GROUP_CHARS).map(|at| &self.text[at..at + GROUP_CHARS]).collect();
        groups.join("-")
    }
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCode([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_can_be_typed_in_many_ways() {
        let code = RecoveryCode::generate().unwrap();
        let written = code.written();
        assert_eq!(written.len(), 19);
        for typed in [written.clone(), written.replace('-', ""), format!(" {} ", written.to_uppercase())] {
            assert_eq!(RecoveryCode::parse(&typed), Some(code.clone()), "{typed}");
        }
        let zeros = RecoveryCode::parse("0000-1111-0000-1111").unwrap();
        assert_eq!(RecoveryCode::parse("OOOO-IlIl-oooo-1111"), Some(zeros));
        for wrong in
            ["", "0000-1111-0000-111", "0000-1111-0000-11111", "u000-1111-0000-1111", "ä000-1111-0000-1111"]
        {
            assert_eq!(RecoveryCode::parse(wrong), None, "{wrong}");
        }
        assert_ne!(RecoveryCode::generate().unwrap().hash(), code.hash());
        assert!(!format!("{code:?}").contains(&code.text));
    }
}
