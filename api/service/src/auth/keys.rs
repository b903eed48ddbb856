//! The Ed25519 keys that sign and verify access tokens.
//!
//! A key file is PEM: one or more PKCS#8 `PRIVATE KEY` blocks. The first signs, all verify and all are
//! published. To rotate without refusing anyone: append the new key and restart every server; move it
//! to the front and restart; when the last token of the old key has expired, delete the old key.

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

const LABEL: &str = "PRIVATE KEY";

/// Why there are no keys to sign with. Each message says what to change.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The operator named a file that does not exist.
    #[error(
        "There is no signing key at {path}. Make one with \
         `openssl genpkey -algorithm ed25519 -out {path}`, or correct the path.", path = .0.display()
    )]
    Missing(PathBuf),
    /// The file exists and cannot be read.
    #[error(
        "The signing key file {path} cannot be read ({source}). Let the server's user read it.",
        path = path.display()
    )]
    Read {
        /// The key file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The first key could not be written.
    #[error(
        "The signing key file {path} cannot be created ({source}). Let the server's user write to its \
         folder, or make a key with `openssl genpkey -algorithm ed25519` and configure its path.",
        path = path.display()
    )]
    Create {
        /// The key file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds no complete PEM block.
    #[error(
        "The signing key file {path} holds no complete PEM block. Replace it with the output of \
         `openssl genpkey -algorithm ed25519`.", path = .0.display()
    )]
    NoKey(PathBuf),
    /// A block is something other than an unencrypted Ed25519 key.
    #[error(
        "PEM block {position} of the signing key file {path} is not an unencrypted Ed25519 `PRIVATE KEY` \
         (PKCS#8). Replace it with the output of `openssl genpkey -algorithm ed25519`.", path = path.display()
    )]
    NotEd25519 {
        /// The key file.
        path: PathBuf,
        /// Which block, from 1.
        position: usize,
    },
    /// The same key stands in the file twice.
    #[error(
        "PEM block {position} of the signing key file {path} repeats an earlier one. Delete it.",
        path = path.display()
    )]
    Repeated {
        /// The key file.
        path: PathBuf,
        /// Which block, from 1.
        position: usize,
    },
    /// No new key could be made.
    #[error("The cryptography library could not make an Ed25519 key. Check the system's random source.")]
    Generate,
}

/// The live keys: one that signs, all that verify.
#[derive(Clone, Debug)]
pub struct KeyRing {
    signing: EncodingKey,
    /// The signing key's public half first.
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
    /// Reads the embedded default's key file, making it with one new key if it is absent.
    ///
    /// Processes that start at once all end with the same key.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        match Self::from_pem_file(path) {
            Err(KeyError::Missing(_)) => {}
            other => return other,
        }
        let pem = generate_pem()?;
        create_if_absent(path, &pem).map_err(|source| KeyError::Create { path: path.to_owned(), source })?;
        // Read back, and not kept from above: another process may have been first.
        Self::from_pem_file(path)
    }

    /// Reads a key file given by the operator, which must exist.
    pub fn from_pem_file(path: &Path) -> Result<Self, KeyError> {
        let pem = fs::read(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => KeyError::Missing(path.to_owned()),
            _ => KeyError::Read { path: path.to_owned(), source },
        })?;
        warn_if_exposed(path);
        Self::from_pem(&String::from_utf8_lossy(&pem), path)
    }

    /// One new key, in memory only: tokens do not outlive the process.
    pub fn generate() -> Result<Self, KeyError> {
        Self::from_pem(&generate_pem()?, Path::new("(memory)"))
    }

    /// The public halves of all live keys, to be served as `/.well-known/jwks.json`.
    pub fn jwks(&self) -> JwkSet {
        JwkSet { keys: self.public.iter().map(|key| key.jwk.clone()).collect() }
    }

    /// Returns the secrets that are derived from the live keys. All nodes with the same keys have the same
    /// secrets.
    pub fn secrets(&self) -> Secrets {
        self.secrets.clone()
    }

    pub(super) fn signing(&self) -> (&str, &EncodingKey) {
        (&self.signing_kid, &self.signing)
    }

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

/// Each block from `-----BEGIN` to the end of its `-----END` line, whatever its label.
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
    if !block.strip_prefix("-----BEGIN ")?.starts_with(&format!("{LABEL}-----")) {
        return None;
    }
    // Opens the envelope only. The key pair below is what checks the key, and takes PKCS#8 version 1
    // (openssl) as well as version 2 (aws-lc-rs).
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
    // Version 1, because openssl cannot read version 2. Its 48 bytes make one PEM line of 64 characters.
    let pkcs8 = Ed25519KeyPair::generate()
        .and_then(|pair| pair.to_pkcs8v1())
        .map_err(|_unspecified| KeyError::Generate)?;
    Ok(format!("-----BEGIN {LABEL}-----\n{}\n-----END {LABEL}-----\n", STANDARD.encode(pkcs8.as_ref())))
}

/// Puts a complete file at `path`, or leaves the one that is there.
///
/// A hard link, because it fails where a rename replaces: the process that comes second must not take
/// away the key with which the first already signs.
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
    // The name itself must survive a power cut, or the next start would make another key.
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

/// Only a warning: secrets mounted by an orchestrator are often readable by a group on purpose.
fn warn_if_exposed(path: &Path) {
    #[cfg(unix)]
    if let Ok(metadata) = fs::metadata(path) {
        let mode = std::os::unix::fs::MetadataExt::mode(&metadata) & 0o777;
        if mode & 0o077 != 0 {
            tracing::warn!(
                path = %path.display(),
                mode = format_args!("{mode:o}"),
                "others on this machine can reach the signing key file: run chmod 600 on it"
            );
        }
    }
    #[cfg(not(unix))]
    let _ = path;
}

#[cfg(test)]
mod tests;
