//! The progress of a repair, as its caller sees it.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::error::RepairError;
use crate::plan::RepairStep;

/// An event in the course of a repair or an undo.
#[derive(Debug)]
#[non_exhaustive]
pub enum RepairProgress<'p> {
    /// Another repair holds the lock.
    WaitingForOther,
    /// The next step begins.
    Step {
        /// The number of the step, from 1.
        number: usize,
        /// The number of steps.
        of: usize,
        /// The step.
        step: &'p RepairStep,
    },
    /// A statement is about to run.
    Statement(&'p str),
    /// A lock was not available during a short wait. The statement is retried after a pause.
    Locked {
        /// The number of attempts so far.
        attempt: u32,
    },
    /// A long statement is running.
    Working {
        /// The time for which the statement has been running.
        elapsed: Duration,
        /// The phase of the statement, as the server names it.
        phase: Option<String>,
        /// The part of the phase that is done.
        percent: Option<f64>,
    },
    /// A batch of groups was merged. Except on SQLite, its transaction was committed.
    Merged {
        /// The number of groups that were merged in this round.
        groups: usize,
        /// The number of groups at the start of the round.
        of: usize,
    },
    /// All changes are done, and the commit comes next. Only on SQLite.
    Committing,
    /// The application inserted duplicates, or caused a deadlock. The repair starts again.
    NextRound {
        /// The number of the round, from 1.
        round: u32,
    },
}

/// A callback that sees each event. It stops the repair by returning `Break`.
pub type ProgressWatcher<'w> = &'w mut (dyn FnMut(RepairProgress<'_>) -> ControlFlow<()> + Send);

/// Reports an event to the watcher.
///
/// # Errors
/// Fails if the watcher stops the repair.
pub(crate) fn report_progress(
    watch: ProgressWatcher<'_>,
    progress: RepairProgress<'_>,
) -> Result<(), RepairError> {
    if watch(progress).is_break() { Err(RepairError::Interrupted) } else { Ok(()) }
}
