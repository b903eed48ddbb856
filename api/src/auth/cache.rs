//! What recently verified access tokens said, so that a page's many requests pay for one signature.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::Viewer;

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

/// Two generations: when the young one is full it becomes the old one, and the old one is forgotten.
/// What is used meanwhile moves to the young one. Bounded, and constant work for each call.
#[derive(Debug)]
pub(super) struct VerifiedCache {
    generation_size: usize,
    generations: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Fingerprint, Verified>,
    old: HashMap<Fingerprint, Verified>,
}

impl VerifiedCache {
    pub(super) fn new(capacity: usize) -> Self {
        Self { generation_size: (capacity / 2).max(1), generations: Mutex::default() }
    }

    pub(super) fn get(&self, fingerprint: &Fingerprint) -> Option<Verified> {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(verified) = generations.young.get(fingerprint) {
            return Some(*verified);
        }
        let verified = generations.old.remove(fingerprint)?;
        generations.insert(*fingerprint, verified, self.generation_size);
        Some(verified)
    }

    pub(super) fn insert(&self, fingerprint: Fingerprint, verified: Verified) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.insert(fingerprint, verified, self.generation_size);
    }
}

impl Generations {
    fn insert(&mut self, fingerprint: Fingerprint, verified: Verified, generation_size: usize) {
        if self.young.len() >= generation_size {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(fingerprint, verified);
    }
}

#[cfg(test)]
mod tests {
    use jishu_entity::UserId;
    use jishu_entity::user::Role;

    use super::*;

    fn verified(id: i64) -> Verified {
        let viewer = Viewer { user_id: UserId(id), role: Role::Learner, session_id: uuid::Uuid::nil() };
        Verified { viewer, not_before: 0, expires: 900 }
    }

    #[test]
    fn stays_within_its_capacity_and_keeps_what_is_used() {
        let cache = VerifiedCache::new(10);
        let kept = fingerprint("kept");
        cache.insert(kept, verified(-1));
        for id in 0..1_000 {
            cache.insert(fingerprint(&id.to_string()), verified(id));
            assert_eq!(cache.get(&kept).map(|it| it.viewer.user_id), Some(UserId(-1)));
            let generations = cache.generations.lock().unwrap_or_else(PoisonError::into_inner);
            assert!(generations.young.len() + generations.old.len() <= 10);
        }
        assert!(cache.get(&fingerprint("0")).is_none());
        assert_eq!(cache.get(&fingerprint("999")).map(|it| it.viewer.user_id), Some(UserId(999)));
    }
}
