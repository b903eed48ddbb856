//! Remembers recently verified access tokens, so that many requests with one token need one check of its signature.

use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::Viewer;
use crate::bounded_map::BoundedMap;

/// A hash that identifies a token without storing it.
pub(super) type Fingerprint = [u8; 32];

pub(super) fn fingerprint(token: &str) -> Fingerprint {
    Sha256::digest(token.as_bytes()).into()
}

/// The token claims of an access token with a valid signature. The times are compared with the clock at each use.
#[derive(Clone, Copy, Debug)]
pub(super) struct VerifiedClaims {
    pub(super) viewer: Viewer,
    pub(super) not_before: i64,
    pub(super) expires: i64,
}

/// The token claims of recently verified access tokens.
#[derive(Debug)]
pub(super) struct VerifiedCache {
    entries: Mutex<BoundedMap<Fingerprint, VerifiedClaims>>,
}

impl VerifiedCache {
    pub(super) fn new(capacity: usize) -> Self {
        Self { entries: Mutex::new(BoundedMap::new(capacity)) }
    }

    pub(super) fn get(&self, fingerprint: &Fingerprint) -> Option<VerifiedClaims> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).get_mut(fingerprint).copied()
    }

    pub(super) fn insert(&self, fingerprint: Fingerprint, verified: VerifiedClaims) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).insert(fingerprint, verified);
    }
}
