//! Checking and repairing a database of the old system.
//!
//! Its table `mock_test_attempts` had the unique key (purchase_id, test_number), which refuses the cards of a
//! purchase's second subject. The right one is (purchase_id, subject_id, test_number). Keys are recognised by
//! their columns, whatever they are called.
//!
//! [`Session::inspect`] reads the catalogue and the rows, [`Inspection::report`] says what is wrong with
//! them, [`plan`] says what would be done about it, and [`Session::apply`] does it. Whatever is interrupted,
//! the next run inspects anew and goes on from what it finds; nothing is remembered outside the database.
//!
//! Cards that were made twice, which is possible where neither key stands, are merged:
//! - The survivor is the card with the most attempts used, then the one with the lowest id.
//! - It gets the sum of the attempts used, but no more than its `max_attempts`, which becomes the highest of
//!   the merged. So no attempt that was used is given back, and none that is left exceeds what the cards had
//!   together.
//! - If one of the cards was `in_progress`, so is the survivor, for the open sitting moves to it. All else of
//!   the survivor stays.
//! - Rows that refer to a merged card refer to the survivor. Where `attempt_number` numbers them under a
//!   unique key, they are numbered anew from 1, by time.
//! - The merged cards stay, whole, in `mock_test_attempts_merged`, with `survivor_id` and `merged_at`.

mod apply;
mod error;
mod inspect;
mod merge;
mod plan;
mod report;
mod session;
mod sql;

pub use apply::{Outcome, Progress};
pub use error::RepairError;
pub use inspect::{
    Column, Figures, Finding, ForeignKey, Inspection, Key, Reference, Source, TableState, inspect,
};
pub use merge::Merged;
pub use plan::{Plan, Step, StepKind, plan};
pub use report::{KeyState, Problem, Report};
pub use session::Session;
pub use sql::TableName;

/// The table of cards.
pub(crate) const CARDS: &str = "mock_test_attempts";
/// Where merged cards stay.
pub(crate) const LOG: &str = "mock_test_attempts_merged";
/// The name of the right key.
pub(crate) const NEW_KEY: &str = "unique_test_per_purchase_subject";
pub(crate) const NEW_KEY_COLUMNS: [&str; 3] = ["purchase_id", "subject_id", "test_number"];
pub(crate) const OLD_KEY_COLUMNS: [&str; 2] = ["purchase_id", "test_number"];
/// How many cases a report shows of a problem.
pub(crate) const SAMPLES: usize = 5;
