//! Merging cards that were made twice, and putting cards right.

pub(super) mod numbers;
mod run;

pub(super) use run::Batch;
pub use run::Merged;
