//! Merges cards that were made twice, and corrects cards.

pub(super) mod numbers;
mod run;

pub(super) use run::Batch;
pub use run::Merged;
