//! Problems that a person must decide on before a repair can run.

use super::keys;
use crate::inspect::Inspection;
use crate::names::{CARD_TABLE, MAX_SAMPLES, MERGED_CARD_TABLE, RUN_LOG_TABLES, RUN_TABLE};
use crate::sql::same;

/// The columns that the table of merged cards has in addition to the columns of the table of cards.
const MERGED_CARD_LOG_COLUMNS: [&str; 4] = ["survivor_id", "merged_at", "merge_id", "repair_run"];

/// Returns the blockers of a repair, as texts without a full stop at the end.
pub(super) fn blockers(inspection: &Inspection) -> Vec<String> {
    let mut blockers = key_blockers(inspection);
    blockers.extend(row_blockers(inspection));
    blockers.extend(log_blockers(inspection));
    blockers
}

fn key_blockers(inspection: &Inspection) -> Vec<String> {
    let state = &inspection.state;
    let mut blockers = Vec::new();
    if state.old_keys().next().is_some() {
        for reference in state.references_to_old_key() {
            blockers.push(format!(
                "the foreign key `{}` of `{}` refers to (purchase_id, test_number) and needs the old key. Change \
                 the foreign key by hand",
                reference.constraint, reference.table.name
            ));
        }
    }
    if state.old_keys().any(|key| key.primary) {
        blockers.push(format!(
            "(purchase_id, test_number) is the primary key of `{CARD_TABLE}`. Change the primary key by hand"
        ));
    }
    blockers
}

fn row_blockers(inspection: &Inspection) -> Vec<String> {
    let figures = &inspection.figures;
    let mut blockers = Vec::new();
    for (key, finding) in &figures.collisions {
        blockers.push(format!(
            "in {} cases rows of {key} cannot move to the surviving card, because the unique key allows only one such \
             row per card. Decide by hand which row stays, and delete the other rows",
            finding.count
        ));
    }
    let several =
        figures.groups.iter().filter_map(|group| group.several_owners().map(|owners| (group, owners)));
    for (group, owners) in several {
        blockers.push(format!(
            "the cards of purchase {}, subject {}, test {} belong to several {owners}. Correct the purchase, the \
             user or the course of the wrong cards",
            group.key.purchase_id, group.key.subject_id, group.key.test_number
        ));
        if blockers.len() >= MAX_SAMPLES {
            let tests = figures.several_owners.count;
            blockers.push(format!("in all, {tests} tests have cards of several users or courses"));
            break;
        }
    }
    blockers
}

fn log_blockers(inspection: &Inspection) -> Vec<String> {
    let state = &inspection.state;
    let changes_rows = !inspection.figures.groups.is_empty();
    let mut blockers = Vec::new();
    if changes_rows && let Some(name) = MERGED_CARD_LOG_COLUMNS.into_iter().find(|name| state.has(name)) {
        blockers.push(format!(
            "`{CARD_TABLE}` has a column `{name}`, and the log of merged cards needs that name. Rename the column"
        ));
    }
    let is_log = |columns: &Vec<String>| columns.iter().any(|column| same(column, "survivor_id"));
    if changes_rows && !state.merged_card_columns.as_ref().is_none_or(is_log) {
        blockers.push(format!("the table `{MERGED_CARD_TABLE}` was not made by a repair. Rename the table"));
    }
    let is_needed = |table: &&str| changes_rows || (**table == *RUN_TABLE && keys::need_repair(state));
    for table in RUN_LOG_TABLES.into_iter().filter(is_needed) {
        let is_ours = |columns: &[String]| columns.iter().any(|column| same(column, "repair_run"));
        if !state.run_log_table(table).is_none_or(is_ours) {
            blockers.push(format!("the table `{table}` was not made by a repair. Rename the table"));
        }
    }
    blockers
}
