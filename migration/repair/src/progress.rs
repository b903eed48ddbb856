//! The progress of a repair, as its caller sees it.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::error::RepairError;
use crate::plan::RepairStep;

/// An event in the course of a repair or an undo.
#[derive(Debug)]
#[non_exhaustive]
pub enum RepairProgress<'p> {
    /// This repair or undo waits, because another repair or undo of the database is running.
    WaitingForOther,
    /// The next step begins.
    Step {
        /// The number of the step, from 1.
        number: usize,
        /// The number of steps in the plan.
        of: usize,
        /// The step that begins.
        step: &'p RepairStep,
    },
    /// A statement is about to run.
    Statement(&'p str),
    /// A statement did not get its lock within a short wait, or a deadlock ended its transaction. The statement or the
    /// transaction is retried after a pause.
    Locked {
        /// The number of attempts so far, which all failed.
        attempt: u32,
    },
    /// A long statement is running.
    Working {
        /// The time for which the statement has been running.
        elapsed: Duration,
        /// The phase of the statement, as the server names it. `None` if the server reports no phase.
        phase: Option<String>,
        /// The part of the phase that is done, in percent. `None` if the server reports no percentage.
        percent: Option<f64>,
    },
    /// A batch of groups of cards was merged, or corrected if a group is one card. Except on SQLite, the transaction of
    /// the batch was committed.
    Merged {
        /// The number of groups in the batches of this round so far.
        groups: usize,
        /// The number of groups at the start of the round.
        of: usize,
    },
    /// All changes are made, and the single transaction of the repair or the undo is about to be committed. Only on
    /// SQLite.
    Committing,
    /// The repair begins another round, because an inspection found something left to do. For example, the application
    /// inserted duplicates, or a deadlock ended a statement.
    NextRound {
        /// The number of the round. The first round has the number 1 and is not reported.
        round: u32,
    },
}

/// A callback that is called with each event of a repair or an undo. It stops the repair or the undo by returning
/// `Break`.
pub type ProgressWatcher<'w> = &'w mut (dyn FnMut(RepairProgress<'_>) -> ControlFlow<()> + Send);

/// Reports an event to the watcher.
///
/// # Errors
/// Fails if the watcher stops the repair or the undo.
pub(crate) fn report_progress(
    watch: ProgressWatcher<'_>,
    progress: RepairProgress<'_>,
) -> Result<(), RepairError> {
    if watch(progress).is_break() { Err(RepairError::Interrupted) } else { Ok(()) }
}
