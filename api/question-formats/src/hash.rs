//! Hashes of the content of questions.

use sha2::{Digest, Sha256};

/// A SHA-256 of several texts. Hashes the length of each text before the text, so that the texts "ab", "c" and "a",
/// "bc" give different hashes.
#[derive(Default)]
pub(crate) struct ContentHash {
    sha256: Sha256,
}

impl ContentHash {
    pub(crate) fn add(&mut self, text: &str) {
        self.sha256.update((text.len() as u64).to_be_bytes());
        self.sha256.update(text.as_bytes());
    }

    pub(crate) fn hex(self) -> String {
        self.sha256.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
