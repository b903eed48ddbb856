//! The outcome of a repair.

use serde::Serialize;

use crate::inspect::Inspection;
use crate::merge::MergedGroup;
use crate::report::InspectionReport;

/// Maximum number of merged groups that an outcome lists.
const MAX_LISTED_GROUPS: usize = 1_000;

/// The outcome of a repair.
#[derive(Clone, Debug, Serialize)]
pub struct RepairOutcome {
    /// Sentences that say how many rows change, from the plan with which this repair began.
    pub summary: Vec<String>,
    /// The statements that changed tables or indexes, in order.
    pub statements: Vec<String>,
    /// The number of cards that were merged into other cards.
    pub merged_cards: u64,
    /// The number of groups whose cards were merged.
    pub merged_groups: u64,
    /// The number of single cards that were corrected.
    pub corrected_cards: u64,
    /// The first thousand merged groups. The log of merged cards has all merged cards.
    pub merged: Vec<MergedGroup>,
    /// The report of an inspection after the repair.
    pub report: InspectionReport,
}

/// The changes that a repair has made so far.
#[derive(Default)]
pub(super) struct RunningTotals {
    pub(super) summary: Vec<String>,
    pub(super) statements: Vec<String>,
    pub(super) merged_cards: u64,
    merged_groups: u64,
    corrected_cards: u64,
    listed_groups: Vec<MergedGroup>,
}

impl RunningTotals {
    /// Adds a batch of merged groups and corrected cards.
    pub(super) fn add(&mut self, merged: Vec<MergedGroup>) {
        for group in merged {
            if group.merged_ids.is_empty() {
                self.corrected_cards += 1;
                continue;
            }
            self.merged_groups += 1;
            self.merged_cards += u64::try_from(group.merged_ids.len()).unwrap_or_default();
            if self.listed_groups.len() < MAX_LISTED_GROUPS {
                self.listed_groups.push(group);
            }
        }
    }

    /// Returns the outcome, with the report of `inspection`, which was made after the repair.
    pub(super) fn outcome(self, inspection: &Inspection) -> RepairOutcome {
        RepairOutcome {
            summary: self.summary,
            statements: self.statements,
            merged_cards: self.merged_cards,
            merged_groups: self.merged_groups,
            corrected_cards: self.corrected_cards,
            merged: self.listed_groups,
            report: inspection.report(),
        }
    }
}
