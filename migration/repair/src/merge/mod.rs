//! Merges duplicate cards, and corrects cards without duplicates.

mod moves;
mod transaction;

pub(crate) use moves::moves;
pub(crate) use transaction::MergeTransaction;
pub use transaction::MergedGroup;
