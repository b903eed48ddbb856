//! Random tokens: of links in mails, of challenges, and of sign-ins at an issuer. The database stores only their
//! hashes.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRng;
use rand::rngs::{SysError, SysRng};
use sha2::{Digest, Sha256};

/// Number of random bytes in a token.
const TOKEN_BYTES: usize = 32;

/// Makes a text from 256 random bits, which the operating system generates.
pub(crate) fn random_text() -> Result<String, SysError> {
    let mut bytes = [0; TOKEN_BYTES];
    SysRng.try_fill_bytes(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Declares kinds of random tokens. Each kind has a prefix by which people and scanners for leaked secrets recognise
/// it.
macro_rules! opaque_tokens {
    ($($(#[$doc:meta])* $name:ident: $prefix:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name {
            text: String,
        }

        impl $name {
            /// Makes a token from 256 random bits, which the operating system generates.
            pub fn generate() -> Result<Self, SysError> {
                Ok(Self { text: format!("{}{}", $prefix, random_text()?) })
            }

            /// Checks the form of a token that a client sent. Returns None if no token of this kind can have this
            /// text.
            #[must_use]
            pub fn parse(token: &str) -> Option<Self> {
                let mut bytes = [0; TOKEN_BYTES];
                match URL_SAFE_NO_PAD.decode_slice(token.strip_prefix($prefix)?, &mut bytes) {
                    Ok(TOKEN_BYTES) => Some(Self { text: token.to_owned() }),
                    _ => None,
                }
            }

            /// Returns the SHA-256 hash by which the database finds the token: 64 lower-case hexadecimal characters.
            ///
            /// A fast hash is enough, because nobody can guess 256 random bits.
            #[must_use]
            pub fn hash(&self) -> String {
                Sha256::digest(self.text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
            }

            /// Returns the token as text, for a mail, an address or a response.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.text
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "([redacted])"))
            }
        }
    )+};
}

opaque_tokens! {
    /// The token of a link in a mail. Whoever has it can use the link, so it must not be logged, and only its hash is
    /// stored.
    LinkToken: "jlt_";
    /// The token of a sign-in that waits for the second factor. It can be used only to complete this sign-in.
    ChallengeToken: "jct_";
    /// The state of a sign-in at an issuer. The browser returns with it in an address, so other people may see it.
    OidcState: "jos_";
    /// The key of the browser that began a sign-in at an issuer. It is never part of an address, so other people do
    /// not see it.
    BrowserKey: "jbk_";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_can_be_parsed_again_and_others_are_refused() {
        let (token, other) = (LinkToken::generate().unwrap(), LinkToken::generate().unwrap());
        assert_ne!(token, other);
        assert_ne!(token.hash(), other.hash());
        assert_eq!(LinkToken::parse(token.as_str()), Some(token.clone()));
        let body = "A".repeat(43);
        for wrong in
            ["", "jlt_", &body, &format!("jrt_{body}"), &format!("jlt_{body}A"), &format!("jlt_\0{body}")]
        {
            assert_eq!(LinkToken::parse(wrong), None, "{wrong}");
        }
        assert!(!format!("{token:?}").contains(token.as_str()));
    }
}
