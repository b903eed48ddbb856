//! Checks and repairs the table of cards in a database of the old system. The check also works on a database of jishu.
//!
//! The old system's table of cards, `mock_test_attempts`, has the unique key (purchase_id, test_number). This is
//! the old key. It is a bug: it refuses the cards of a purchase's second subject. The new key is (purchase_id,
//! subject_id, test_number). The repair recognises a key by its columns, not by its name.
//!
//! [`RepairSession::inspect`] reads the schema and the rows. [`Inspection::report`] lists the problems, and [`plan`]
//! computes the repair. [`RepairSession::apply`] carries out the plan, and [`RepairSession::undo`] undoes the latest
//! run of a repair. After an interruption, the next repair inspects the database again and continues the run. All state
//! of a run is in the database.
//!
//! # Rules for duplicate cards
//!
//! If the table has neither the old key nor the new key, a test may have several cards. The repair merges them into one
//! card, the survivor:
//! - The survivor is the card with the most attempts used. Among equals it is the card with the lowest id.
//! - Sittings move to the survivor and are numbered from 1 in order of time. For this order, a sitting without a time
//!   counts with the time of the next sitting of its card that has a time, or else of the previous sitting.
//! - Only the latest open sitting stays open. The other open sittings are closed as abandoned.
//! - The attempts used of all cards are added up. Each card counts at least its completed sittings. If the sum is more
//!   than `max_attempts`, then `max_attempts` rises to the sum. An open sitting that is not counted yet needs one
//!   attempt more. So no sitting is lost and no attempt is given back.
//! - Latest score and first score come from the sittings, and the status comes from the sittings and the cards. The
//!   latest sitting is the sitting that ended last. If sittings were deleted, and a card has a later latest date or an
//!   earlier first date than the remaining sittings, the score comes from that card.
//! - A disabled card that nobody used does not disable the survivor. The card may have been disabled because it was
//!   a duplicate, and the learner must keep the test.
//! - The survivor keeps one set of questions: the set of the open sitting, or else the set that was used most. The
//!   questions of other sets no longer refer to a card. They stay in their table, because answers refer to them. If the
//!   column of the card cannot be null, all sets refer to the survivor, and `jishu check` reports this card.
//! - Rows of other tables that refer to a merged card are changed to refer to the survivor.
//! - The merged cards are kept in `mock_test_attempts_merged`. The survivors are kept in `jishu_repair_survivors` as
//!   they were before the repair. `jishu_repair_changes` has the old and the new value of each change.
//!
//! Cards of several users or several courses are never merged. These cards stop the repair, because a person must
//! decide.
//!
//! The same rules correct a card without duplicates that disagrees with its sittings, unless deleted sittings can
//! explain the difference.
//!
//! # Modules
//!
//! Each module depends only on modules before it in this list: `names`, `sql`, `error`, `session`, `inspect`, `plan`,
//! `report`, `runs`, `merge`, `progress`, `execute`, `apply`, `undo`. A unit test checks this order.

mod apply;
mod error;
mod execute;
mod inspect;
#[cfg(test)]
mod layers;
mod merge;
mod names;
mod plan;
mod progress;
mod report;
mod runs;
mod session;
mod sql;
mod undo;

pub use apply::RepairOutcome;
pub use error::RepairError;
pub use inspect::{
    CardForeignKey, CardReference, Figures, Finding, Inspection, SittingFigures, SqliteDefinition,
    StatusSpelling, TableColumn, TableKey, TableState, inspect,
};
pub use merge::MergedGroup;
pub use plan::{RepairPlan, RepairStep, StepKind, plan};
pub use progress::{ProgressWatcher, RepairProgress};
pub use report::{InspectionReport, KeyState, ReportedProblem};
pub use session::RepairSession;
pub use sql::TableName;
pub use undo::{RestoredRows, UndoOutcome};
