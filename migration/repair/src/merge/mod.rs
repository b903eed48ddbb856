//! Merges duplicate cards and corrects single cards.

mod moves;
mod transaction;

pub(crate) use moves::moves;
pub(crate) use transaction::MergeTransaction;
pub use transaction::MergedGroup;
