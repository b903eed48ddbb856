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
//! - Sittings move to the survivor and are numbered from 1, by time. A sitting without a time comes before the
//!   next one of its card. At most one sitting stays open, the latest. The others are closed as abandoned.
//! - Attempts used are added up, and are at least the number of completed sittings. No sitting is lost: where
//!   more were used than a card allows, `max_attempts` rises to what was used. So no attempt is given back either.
//! - Status, latest and first score are those that the sittings tell. Where sittings were deleted long ago, the
//!   card with the later or earlier date tells them. The latest sitting is the one that ended last.
//! - A disabled card that nobody sat does not disable its survivor: it may have been disabled because it was
//!   surplus, and the learner keeps the test.
//! - Of several sets of questions one stays: that of the open sitting, else the one that was sat most. The
//!   questions of the others lose their card and stay in their table, so that answers still find them. Where a
//!   question cannot be without a card, all sets stay on the survivor and `jishu check` names it.
//! - Rows of other tables that refer to a merged card refer to the survivor.
//! - The merged cards are stored completely in `mock_test_attempts_merged`, and the survivors as they were in
//!   `jishu_repair_survivors`. Every changed value is in `jishu_repair_changes`.
//!
//! Cards that belong to several users or courses are never merged. They stop the repair.
//!
//! A single card is put right by the same rules where it disagrees with its sittings in a way that deleted
//! sittings cannot explain. [`Session::undo`] takes the latest run back, from these tables alone.
//!
//! The modules depend one way: `sql`, `inspect`, `plan`, `report`, `merge`, `runs`, `apply`, `undo`.

mod apply;
mod error;
mod inspect;
mod merge;
mod plan;
mod report;
mod runs;
mod session;
mod sql;
mod undo;

pub use apply::{Outcome, Progress};
pub use error::RepairError;
pub use inspect::{
    Column, Figures, Finding, ForeignKey, Inspection, Key, Reference, SittingFigures, Source, Spelling,
    TableState, inspect,
};
pub use merge::Merged;
pub use plan::{Plan, Step, StepKind, plan};
pub use report::{KeyState, Problem, Report};
pub use session::Session;
pub use sql::TableName;
pub use undo::{Restored, Undone};

/// The table of cards.
pub(crate) const CARDS: &str = "mock_test_attempts";
/// Where merged cards stay.
pub(crate) const LOG: &str = "mock_test_attempts_merged";
/// Table of the runs of a repair, and of the data that is needed to undo each.
pub(crate) const RUNS: &str = "jishu_repair_runs";
/// Table of cards that others were merged into, as they were before.
pub(crate) const SURVIVORS: &str = "jishu_repair_survivors";
/// Table of the changed values of each row.
pub(crate) const CHANGES: &str = "jishu_repair_changes";
/// Tables of the repair, except the log of merged cards.
pub(crate) const OWN: [&str; 3] = [RUNS, SURVIVORS, CHANGES];
/// Why questions moved that stand beside another set of their card now, as the log of changes says it.
pub(crate) const TOGETHER: &str = "its card was merged, and has several sets of questions";
/// The status of a sitting that was closed because another one of its card is open.
pub(crate) const CLOSED: &str = "abandoned";
/// The name of the right key.
pub(crate) const NEW_KEY: &str = "unique_test_per_purchase_subject";
pub(crate) const NEW_KEY_COLUMNS: [&str; 3] = ["purchase_id", "subject_id", "test_number"];
pub(crate) const OLD_KEY_COLUMNS: [&str; 2] = ["purchase_id", "test_number"];
/// How many cases a report shows of a problem.
pub(crate) const SAMPLES: usize = 5;
