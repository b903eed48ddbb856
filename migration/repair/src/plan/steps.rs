//! The steps of a repair.

use std::fmt;

use serde::Serialize;

/// The kind of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Creates a table of the repair's log, creates the index of such a table, or adds missing columns to such a table.
    Log,
    /// Creates an index for the duration of the merge.
    Helper,
    /// Merges duplicates and corrects cards. The statements of this step run once for each batch of groups.
    Merge,
    /// Drops an index that an interrupted build left.
    DropInvalid,
    /// Adds the new key, drops the old key, or does both.
    Keys,
    /// Rebuilds the table without the old key. Only on SQLite.
    Rebuild,
    /// Drops an index that was created for the merge.
    DropHelper,
}

/// A step of a repair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RepairStep {
    /// The kind of the step.
    pub kind: StepKind,
    /// The purpose of the step, as text without a full stop at the end.
    pub purpose: String,
    /// The statements that the step runs.
    pub statements: Vec<String>,
}

impl RepairStep {
    /// Returns whether the start of the run must be logged before this step, so that the step can be undone.
    pub(crate) fn needs_logged_run(&self) -> bool {
        use StepKind::{DropInvalid, Keys, Merge, Rebuild};
        matches!(self.kind, DropInvalid | Keys | Merge | Rebuild)
    }
}

/// The plan of a repair.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RepairPlan {
    /// Sentences that say how many rows change.
    pub summary: Vec<String>,
    /// The steps in order.
    pub steps: Vec<RepairStep>,
    /// Decisions that a person must make before the repair can run.
    pub blockers: Vec<String>,
}

impl RepairPlan {
    /// Returns whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.blockers.is_empty()
    }

    /// Adds a step.
    pub(super) fn step(&mut self, kind: StepKind, purpose: impl Into<String>, statements: Vec<String>) {
        self.steps.push(RepairStep { kind, purpose: purpose.into(), statements });
    }
}

impl fmt::Display for RepairPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for sentence in &self.summary {
            writeln!(f, "-- {sentence}")?;
        }
        for blocker in &self.blockers {
            writeln!(f, "-- Decide this first: {blocker}")?;
        }
        for (number, step) in (1..).zip(&self.steps) {
            writeln!(f, "-- {number}. {}", step.purpose)?;
            for statement in &step.statements {
                writeln!(f, "{statement};")?;
            }
        }
        if self.is_empty() { writeln!(f, "-- Nothing to do.") } else { Ok(()) }
    }
}
