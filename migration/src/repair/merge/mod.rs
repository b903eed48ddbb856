//! Merging cards that were made twice.

mod numbers;
mod run;
mod texts;

pub use run::Merged;
pub(super) use run::{Batch, scan};
pub(super) use texts::{Child, Texts};

/// How many cards one statement takes; a larger group is merged in pieces.
pub(super) const PIECE: usize = 8;
/// How many groups one transaction takes.
pub(super) const GROUPS_PER_TRANSACTION: usize = 50;
/// How many groups one pass over the table finds.
pub(super) const GROUPS_PER_SCAN: usize = 20_000;
