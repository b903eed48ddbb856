//! Computes the plan of a repair from an inspection, with the statements that the repair will run. Changes nothing.

mod blockers;
mod card_counts;
mod card_update;
mod change_counts;
mod create_table;
mod group_plan;
mod helpers;
mod indexes;
mod keys;
mod log_tables;
mod merge_rules;
mod merge_statements;
mod rebuild;
mod score_source;
mod steps;

use crate::inspect::Inspection;
use crate::names::ABANDONED_STATUS;

use change_counts::ChangeCounts;
pub(crate) use group_plan::{AttemptNumber, AvailableColumns, GroupPlan, SittingMove};
pub(crate) use helpers::{helper_name, leftover_helpers};
pub(crate) use indexes::drop_key;
pub(crate) use merge_rules::plan_group;
pub(crate) use merge_statements::MergeStatements;
pub(crate) use rebuild::rebuild_as;
pub use steps::{RepairPlan, RepairStep, StepKind};

/// Maximum number of groups of cards that one transaction merges.
pub(crate) const GROUPS_PER_TRANSACTION: usize = 50;

/// Computes the plan of a repair. If a person must decide something first, the plan has blockers and no steps.
#[must_use]
pub fn plan(inspection: &Inspection) -> RepairPlan {
    let Inspection { state, figures } = inspection;
    let mut plan = RepairPlan { blockers: blockers::blockers(inspection), ..RepairPlan::default() };
    if !plan.blockers.is_empty() {
        return plan;
    }
    let counts = ChangeCounts::of(state, &figures.groups);
    if counts.closed_sittings > 0 && state.abandoned_status().is_none() {
        plan.blockers.push(format!(
            "the repair must close sittings as `{ABANDONED_STATUS}`, but the type of their status does not have this \
             word. Add the word to the type"
        ));
        return plan;
    }
    plan.summary = counts.sentences();
    let merges = counts.groups > 0;
    if merges {
        log_tables::row_log_steps(&mut plan, state);
        helpers::helper_steps(&mut plan, state);
        let batch = if state.dialect().is_sqlite() {
            "in the single transaction of the repair".to_owned()
        } else {
            format!("{GROUPS_PER_TRANSACTION} groups per transaction")
        };
        plan.step(
            StepKind::Merge,
            format!(
                "Merge {} groups of duplicates ({} surplus cards) and correct {} cards in all, {batch}. These \
                 statements run for each batch",
                figures.duplicates.count, figures.surplus_cards, counts.groups
            ),
            MergeStatements::of(state, figures.run()).in_order(),
        );
    } else if keys::need_repair(state) {
        log_tables::run_table_step(&mut plan, state);
    }
    keys::key_steps(&mut plan, state);
    helpers::drop_helper_steps(&mut plan, state, merges);
    plan
}
