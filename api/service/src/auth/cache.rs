//! What recently verified access tokens said, so that a page's many requests pay for one signature.

use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::Viewer;
use crate::bounded::BoundedMap;

/// Stands for a token without keeping it.
pub(super) type Fingerprint = [u8; 32];

pub(super) fn fingerprint(token: &str) -> Fingerprint {
    Sha256::digest(token.as_bytes()).into()
}

/// What a token with a good signature said. Its times are compared at each use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verified {
    pub(super) viewer: Viewer,
    pub(super) not_before: i64,
    pub(super) expires: i64,
}

#[derive(Debug)]
pub(super) struct VerifiedCache(Mutex<BoundedMap<Fingerprint, Verified>>);

impl VerifiedCache {
    pub(super) fn new(capacity: usize) -> Self {
        Self(Mutex::new(BoundedMap::new(capacity)))
    }

    pub(super) fn get(&self, fingerprint: &Fingerprint) -> Option<Verified> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(fingerprint).copied()
    }

    pub(super) fn insert(&self, fingerprint: Fingerprint, verified: Verified) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(fingerprint, verified);
    }
}
