//! Stored password hashes of jishu and of the old system.
//!
//! The old system used Werkzeug, which writes `METHOD$SALT$HEX`. The method is `pbkdf2:DIGEST:ITERATIONS` or
//! `scrypt:N:R:P`. A method that was written by hand may lack its numbers. Then it has the defaults of Werkzeug 3.1.

use std::num::NonZeroU32;
use std::time::Duration;

use argon2::password_hash::Error as HashError;
use argon2::{ARGON2ID_IDENT, Params, PasswordHash, PasswordVerifier};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use aws_lc_rs::pbkdf2::{
    self, Algorithm, PBKDF2_HMAC_SHA1, PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA384, PBKDF2_HMAC_SHA512,
};

use super::measured::thread_time;
use super::{ARGON2_PARAMS, PasswordError, argon2id};

/// Maximum memory of a stored Argon2id hash, in KiB. A comparison with a more expensive hash would stall the server.
/// Such a hash is an attack or a mistake.
const MAX_MEMORY_KIB: u32 = 256 * 1_024;
/// Maximum number of passes of a stored Argon2id hash.
const MAX_PASSES: u32 = 16;
/// Maximum number of lanes of a stored Argon2id hash.
const MAX_LANES: u32 = 16;
/// Maximum number of iterations of PBKDF2: twice the default of Werkzeug 3.1.
const MAX_ITERATIONS: u32 = 2_000_000;
/// Maximum of N times R times P of scrypt: four times the default of Werkzeug 3.1.
const MAX_SCRYPT_WORK: u64 = 4 * 32_768 * 8;
/// Maximum of the binary logarithm of N of scrypt. A limit on the product alone is not enough: a comparison with a
/// huge R or P and a small N takes half a minute.
const MAX_SCRYPT_LOG_N: u8 = 17;
/// Maximum of R of scrypt.
const MAX_SCRYPT_R: u32 = 32;
/// Maximum of P of scrypt.
const MAX_SCRYPT_P: u32 = 16;
/// Maximum processor time of a comparison. A slower method is not used, because every failed sign-in would take as long as a
/// comparison with a hash of that method.
pub(super) const MAX_COMPARISON_TIME: Duration = Duration::from_secs(2);

/// The default number of iterations in Werkzeug 3.1.
const WERKZEUG_ITERATIONS: u32 = 1_000_000;
/// The default N, R and P in Werkzeug 3.1.
const WERKZEUG_SCRYPT: (u32, u32, u32) = (32_768, 8, 1);
/// Number of bytes that Werkzeug derives with scrypt.
const SCRYPT_HASH_BYTES: usize = 64;

/// A stored hash that can be compared with a password.
pub(super) struct Stored {
    method: Method,
    salt: Vec<u8>,
    hash: Vec<u8>,
    /// The whole text of an Argon2id hash, with its salt. None for another method.
    phc: Option<PasswordHash>,
}

/// The method of a stored hash. All hashes of one method take the same time to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Argon2id { memory_kib: u32, passes: u32, lanes: u32 },
    Pbkdf2 { digest: Digest, iterations: u32 },
    Scrypt { log_n: u8, r: u32, p: u32 },
}

/// The digest of PBKDF2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Digest {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Digest {
    fn read(name: &str) -> Option<Self> {
        Some(match name {
            "sha1" => Self::Sha1,
            "sha256" => Self::Sha256,
            "sha384" => Self::Sha384,
            "sha512" => Self::Sha512,
            _ => return None,
        })
    }

    fn algorithm(self) -> Algorithm {
        match self {
            Self::Sha1 => PBKDF2_HMAC_SHA1,
            Self::Sha256 => PBKDF2_HMAC_SHA256,
            Self::Sha384 => PBKDF2_HMAC_SHA384,
            Self::Sha512 => PBKDF2_HMAC_SHA512,
        }
    }

    /// Returns the number of bytes that Werkzeug derives, which is the length of the digest.
    fn bytes(self) -> usize {
        match self {
            Self::Sha1 => digest::SHA1_OUTPUT_LEN,
            Self::Sha256 => digest::SHA256_OUTPUT_LEN,
            Self::Sha384 => digest::SHA384_OUTPUT_LEN,
            Self::Sha512 => digest::SHA512_OUTPUT_LEN,
        }
    }
}

impl Method {
    /// The method of the hashes that this server makes.
    pub(super) const CURRENT: Self = Self::Argon2id {
        memory_kib: ARGON2_PARAMS.m_cost(),
        passes: ARGON2_PARAMS.t_cost(),
        lanes: ARGON2_PARAMS.p_cost(),
    };

    /// Reads the name of a method of Werkzeug. Returns None if the method is unknown or too expensive.
    pub(super) fn of_werkzeug(name: &str) -> Option<Self> {
        let mut parts = name.split(':');
        let method = match (parts.next()?, parts.next(), parts.next(), parts.next()) {
            ("pbkdf2", digest, iterations, None) => {
                let iterations = iterations.map_or(Some(WERKZEUG_ITERATIONS), number)?;
                Self::Pbkdf2 { digest: digest.map_or(Some(Digest::Sha256), Digest::read)?, iterations }
            }
            ("scrypt", None, None, None) => Self::scrypt(WERKZEUG_SCRYPT)?,
            ("scrypt", Some(n), Some(r), Some(p)) if parts.next().is_none() => {
                Self::scrypt((number(n)?, number(r)?, number(p)?))?
            }
            _ => return None,
        };
        method.is_within_limits().then_some(method)
    }

    fn scrypt((n, r, p): (u32, u32, u32)) -> Option<Self> {
        let log_n = u8::try_from(n.checked_ilog2()?).ok()?;
        (n.is_power_of_two() && n > 1).then_some(Self::Scrypt { log_n, r, p })
    }

    /// Returns whether the cost parameters of the hash method are valid, and cheap enough for a comparison.
    fn is_within_limits(self) -> bool {
        match self {
            Self::Argon2id { memory_kib, passes, lanes } => {
                memory_kib <= MAX_MEMORY_KIB && passes <= MAX_PASSES && lanes <= MAX_LANES
            }
            Self::Pbkdf2 { iterations, .. } => (1..=MAX_ITERATIONS).contains(&iterations),
            Self::Scrypt { log_n, r, p } => {
                let work = (1_u64 << log_n).saturating_mul(u64::from(r)).saturating_mul(u64::from(p));
                // RFC 7914, OpenSSL and Python require N < 2^(16 R).
                log_n <= MAX_SCRYPT_LOG_N
                    && (1..=MAX_SCRYPT_R).contains(&r)
                    && (1..=MAX_SCRYPT_P).contains(&p)
                    && u32::from(log_n) < 16 * r
                    && work <= MAX_SCRYPT_WORK
            }
        }
    }

    /// Returns the memory that a comparison with a hash of this method takes.
    pub(super) fn memory_kib(self) -> u32 {
        match self {
            Self::Argon2id { memory_kib, .. } => memory_kib,
            Self::Pbkdf2 { .. } => 0,
            // The memory is 128 bytes times N times R. `is_within_limits` keeps the product from overflowing.
            Self::Scrypt { log_n, r, .. } => r.saturating_mul(1 << log_n) / 8,
        }
    }

    /// Measures how much processor time a comparison with a hash of this method takes on this machine. If PBKDF2 has
    /// many iterations, measures fewer iterations and multiplies the time.
    pub(super) fn measure(self) -> Duration {
        const SAMPLE_ITERATIONS: u32 = 50_000;
        let (method, factor) = match self {
            Self::Pbkdf2 { digest, iterations } if iterations > SAMPLE_ITERATIONS => (
                Self::Pbkdf2 { digest, iterations: SAMPLE_ITERATIONS },
                iterations.div_ceil(SAMPLE_ITERATIONS),
            ),
            method => (method, 1),
        };
        let started = thread_time();
        let _ = method.derive(b"password", b"some salt of it", &mut [0; SCRYPT_HASH_BYTES]);
        thread_time().saturating_sub(started) * factor
    }

    /// Derives the bytes of the hash of a password into `out`.
    fn derive(self, password: &[u8], salt: &[u8], out: &mut [u8]) -> Result<(), PasswordError> {
        match self {
            Self::Argon2id { memory_kib, passes, lanes } => {
                let params = Params::new(memory_kib, passes, lanes, None);
                let params = params.map_err(|_wrong| PasswordError::BadHash)?;
                let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
                argon2.hash_password_into(password, salt, out).map_err(|_wrong| PasswordError::BadHash)
            }
            Self::Pbkdf2 { digest, iterations } => {
                let iterations = NonZeroU32::new(iterations).ok_or(PasswordError::BadHash)?;
                pbkdf2::derive(digest.algorithm(), iterations, salt, password, out);
                Ok(())
            }
            Self::Scrypt { log_n, r, p } => {
                let params = scrypt::Params::new(log_n, r, p).map_err(|_wrong| PasswordError::BadHash)?;
                scrypt::scrypt(password, salt, &params, out).map_err(|_wrong| PasswordError::BadHash)
            }
        }
    }
}

impl Stored {
    /// Reads a stored hash.
    ///
    /// # Errors
    /// Fails if the hash has an unknown method, is damaged, or is too expensive.
    pub(super) fn read(text: &str) -> Result<Self, PasswordError> {
        let read = if text.starts_with('$') { Self::argon2id(text) } else { Self::werkzeug(text) };
        read.ok_or(PasswordError::BadHash)
    }

    fn argon2id(text: &str) -> Option<Self> {
        let hash = PasswordHash::new(text).ok()?;
        let params = Params::try_from(&hash).ok()?;
        let method =
            Method::Argon2id { memory_kib: params.m_cost(), passes: params.t_cost(), lanes: params.p_cost() };
        let is_whole = hash.algorithm == ARGON2ID_IDENT && hash.salt.is_some() && hash.hash.is_some();
        (is_whole && method.is_within_limits()).then_some(Self {
            method,
            salt: Vec::new(),
            hash: Vec::new(),
            phc: Some(hash),
        })
    }

    fn werkzeug(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '$');
        let method = Method::of_werkzeug(parts.next()?)?;
        let (salt, hash) = (parts.next()?, parts.next().and_then(hex)?);
        let bytes = match method {
            Method::Pbkdf2 { digest, .. } => digest.bytes(),
            _ => SCRYPT_HASH_BYTES,
        };
        (hash.len() == bytes).then_some(Self { method, salt: salt.as_bytes().to_vec(), hash, phc: None })
    }

    pub(super) fn method(&self) -> Method {
        self.method
    }

    /// Returns whether this is the hash of the password.
    ///
    /// # Errors
    /// Fails if the hash cannot be computed, such as for an unsupported version or a salt that is too short.
    pub(super) fn matches(&self, password: &str) -> Result<bool, PasswordError> {
        let Some(phc) = &self.phc else {
            let mut derived = vec![0; self.hash.len()];
            self.method.derive(password.as_bytes(), &self.salt, &mut derived)?;
            return Ok(verify_slices_are_equal(&derived, &self.hash).is_ok());
        };
        // The library uses the parameters of the stored hash, which may differ from the current ones.
        match argon2id().verify_password(password.as_bytes(), phc) {
            Ok(()) => Ok(true),
            Err(HashError::PasswordInvalid) => Ok(false),
            Err(error) => Err(PasswordError::Hash(error)),
        }
    }
}

/// Reads a whole number as Python writes it, without a sign.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Reads lower-case hexadecimal, as Python writes and compares it.
fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    if rest.is_empty() { bytes } else { None }
}
