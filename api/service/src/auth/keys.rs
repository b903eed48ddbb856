//! The Ed25519 keys that sign and verify access tokens.
//!
//! A key file is PEM with one or more PKCS#8 `PRIVATE KEY` blocks. The first key signs. All keys verify, and all are
//! published.
//!
//! To rotate the keys without refusing a valid token: append the new key and restart every server. Then move the new
//! key to the front and restart again. Delete the old key when its last token has expired, and no mail and no second
//! factor is encrypted with the old key. See "Signing keys" in `api/docs/operating.md`.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use aws_lc_rs::encoding::AsBigEndian;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use uuid::Uuid;

use super::secrets::Secrets;

const PEM_LABEL: &str = "PRIVATE KEY";

/// A reason why the signing keys cannot be used. Each message says what to change.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The key file whose path the operator configured does not exist.
    #[error(
        "There is no signing key at {path}. Make one with \
         `openssl genpkey -algorithm ed25519 -out {path}`, or correct the path.", path = .0.display()
    )]
    Missing(PathBuf),
    /// The file exists but cannot be read.
    #[error(
        "The signing key file {path} cannot be read ({source}). Let the server's user read it.",
        path = path.display()
    )]
    Read {
        /// The key file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file with the first key could not be created.
    #[error(
        "The signing key file {path} cannot be created ({source}). Let the server's user write to its \
         folder, or make a key with `openssl genpkey -algorithm ed25519` and configure its path.",
        path = path.display()
    )]
    Create {
        /// The key file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file has no complete PEM block.
    #[error(
        "The signing key file {path} has no complete PEM block. Replace the file with the output of \
         `openssl genpkey -algorithm ed25519`.", path = .0.display()
    )]
    NoKey(PathBuf),
    /// A block is something other than an unencrypted Ed25519 key.
    #[error(
        "PEM block {position} of the signing key file {path} is not an unencrypted Ed25519 `PRIVATE KEY` \
         (PKCS#8). Replace block {position} with the output of `openssl genpkey -algorithm ed25519`.",
        path = path.display()
    )]
    NotEd25519 {
        /// The key file.
        path: PathBuf,
        /// The number of the block, from 1.
        position: usize,
    },
    /// The key file has the same key twice.
    #[error(
        "PEM block {position} of the signing key file {path} has the same key as an earlier block. Delete block \
         {position}.",
        path = path.display()
    )]
    Repeated {
        /// The key file.
        path: PathBuf,
        /// The number of the block, from 1.
        position: usize,
    },
    /// The cryptography library could not make a key.
    #[error("The cryptography library could not make an Ed25519 key. Check the system's random source.")]
    Generate,
}

/// The live signing keys. The first one signs, and all of them verify.
#[derive(Clone, Debug)]
pub struct KeyRing {
    signing: EncodingKey,
    /// The public keys. The first one belongs to the signing key.
    public: Vec<PublicKey>,
    signing_kid: String,
    secrets: Secrets,
}

#[derive(Clone, Debug)]
struct PublicKey {
    kid: String,
    decoding: DecodingKey,
    jwk: Jwk,
}

impl KeyRing {
    /// Reads the key file of an embedded database. Makes the file with one new key if it does not exist.
    ///
    /// Processes that start at the same time get the same key.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        match Self::from_pem_file(path) {
            Err(KeyError::Missing(_)) => {}
            other => return other,
        }
        let pem = generate_pem()?;
        create_if_absent(path, &pem).map_err(|source| KeyError::Create { path: path.to_owned(), source })?;
        // Reads the file instead of using the new key: another process may have created the file first.
        Self::from_pem_file(path)
    }

    /// Reads the key file whose path the operator configured. The file must exist.
    pub fn from_pem_file(path: &Path) -> Result<Self, KeyError> {
        let pem = fs::read(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => KeyError::Missing(path.to_owned()),
            _ => KeyError::Read { path: path.to_owned(), source },
        })?;
        warn_if_exposed(path);
        Self::from_pem(&String::from_utf8_lossy(&pem), path)
    }

    /// Makes one new key in memory. Tokens that this key signs are not valid after the process ends.
    pub fn generate() -> Result<Self, KeyError> {
        Self::from_pem(&generate_pem()?, Path::new("(memory)"))
    }

    /// Returns the public keys of all live keys, which the server publishes at `/.well-known/jwks.json`.
    pub fn jwks(&self) -> JwkSet {
        JwkSet { keys: self.public.iter().map(|key| key.jwk.clone()).collect() }
    }

    /// Returns the secrets that are derived from the live keys. All nodes with the same keys have the same
    /// secrets.
    pub fn secrets(&self) -> Secrets {
        self.secrets.clone()
    }

    /// Returns the signing key and its key id.
    pub(super) fn signing(&self) -> (&str, &EncodingKey) {
        (&self.signing_kid, &self.signing)
    }

    /// Returns the public key with this key id. None if no live key has this id.
    pub(super) fn verifying(&self, kid: &str) -> Option<&DecodingKey> {
        self.public.iter().find(|key| key.kid == kid).map(|key| &key.decoding)
    }

    fn from_pem(pem: &str, path: &Path) -> Result<Self, KeyError> {
        let mut ring: Option<Self> = None;
        for (index, block) in pem_blocks(pem).enumerate() {
            let position = index + 1;
            let not_ed25519 = || KeyError::NotEd25519 { path: path.to_owned(), position };
            let (signing, public, secrets) = parse_block(block).ok_or_else(not_ed25519)?;
            match &mut ring {
                None => {
                    let signing_kid = public.kid.clone();
                    ring = Some(Self { signing, signing_kid, public: vec![public], secrets });
                }
                Some(ring) if ring.verifying(&public.kid).is_some() => {
                    return Err(KeyError::Repeated { path: path.to_owned(), position });
                }
                Some(ring) => {
                    ring.public.push(public);
                    ring.secrets.extend(secrets);
                }
            }
        }
        ring.ok_or_else(|| KeyError::NoKey(path.to_owned()))
    }
}

/// Splits a text into its PEM blocks, with any label. A block ends with the line that has `-----END`.
fn pem_blocks(pem: &str) -> impl Iterator<Item = &str> {
    let mut rest = pem;
    std::iter::from_fn(move || {
        let block = &rest[rest.find("-----BEGIN ")?..];
        let footer = block.find("-----END ")?;
        let end = block[footer..].find('\n').map_or(block.len(), |length| footer + length + 1);
        let (block, after) = block.split_at(end);
        rest = after;
        Some(block)
    })
}

fn parse_block(block: &str) -> Option<(EncodingKey, PublicKey, Secrets)> {
    if !block.strip_prefix("-----BEGIN ")?.starts_with(&format!("{PEM_LABEL}-----")) {
        return None;
    }
    // `from_ed_pem` only decodes the PEM block. The key pair below checks the key, and accepts version 1 of PKCS#8
    // (openssl) and version 2 (aws-lc-rs).
    let signing = EncodingKey::from_ed_pem(block.as_bytes()).ok()?;
    let pair = Ed25519KeyPair::from_pkcs8(signing.as_bytes()).ok()?;
    let decoding = DecodingKey::from_ed_der(pair.public_key().as_ref());
    let mut jwk = Jwk::from_decoding_key(&decoding, Some(Algorithm::EdDSA)).ok()?;
    let kid = jwk.thumbprint(ThumbprintHash::SHA256).ok()?;
    jwk.common.public_key_use = Some(PublicKeyUse::Signature);
    jwk.common.key_id = Some(kid.clone());
    let secrets = Secrets::derive(pair.seed().ok()?.as_be_bytes().ok()?.as_ref());
    Some((signing, PublicKey { kid, decoding, jwk }, secrets))
}

fn generate_pem() -> Result<String, KeyError> {
    // Uses version 1 of PKCS#8, because openssl cannot read version 2. Its 48 bytes make one PEM line of 64 characters.
    let pkcs8 = Ed25519KeyPair::generate()
        .and_then(|pair| pair.to_pkcs8v1())
        .map_err(|_unspecified| KeyError::Generate)?;
    Ok(format!(
        "-----BEGIN {PEM_LABEL}-----\n{}\n-----END {PEM_LABEL}-----\n",
        STANDARD.encode(pkcs8.as_ref())
    ))
}

/// Creates a complete file at `path`, unless a file exists there.
///
/// Uses a hard link, because a rename would replace an existing file. A second process must not replace the key with
/// which the first process already signs.
fn create_if_absent(path: &Path, content: &str) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    let temporary = folder.join(format!(".signing-key-{}.tmp", Uuid::new_v4()));
    let linked = write_private(&temporary, content).and_then(|()| fs::hard_link(&temporary, path));
    let removed = fs::remove_file(&temporary);
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        other => other?,
    }
    removed?;
    // The name of the file must survive a power failure. Otherwise the next start would make another key.
    #[cfg(unix)]
    fs::File::open(folder)?.sync_all()?;
    tracing::info!(path = %path.display(), "made a new signing key");
    Ok(())
}

fn write_private(path: &Path, content: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()
}

/// Warns if other users can access the file. This is only a warning, because an orchestrator often mounts secrets
/// that a group can read on purpose.
fn warn_if_exposed(path: &Path) {
    #[cfg(unix)]
    if let Ok(metadata) = fs::metadata(path) {
        let mode = std::os::unix::fs::MetadataExt::mode(&metadata) & 0o777;
        if mode & 0o077 != 0 {
            tracing::warn!(
                path = %path.display(),
                mode = format_args!("{mode:o}"),
                "other users of this machine can access the signing key file: run chmod 600 on it"
            );
        }
    }
    #[cfg(not(unix))]
    let _ = path;
}

#[cfg(test)]
mod tests;
