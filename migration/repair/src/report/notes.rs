//! Notes: what an inspection found that is not a problem.

use crate::inspect::{Inspection, TableState};
use crate::names::{CARD_TABLE, MERGED_CARD_TABLE, NEW_KEY_NAME};
use crate::plan::helper_name;

/// Returns the notes of a report.
pub(super) fn notes(inspection: &Inspection) -> Vec<String> {
    let Inspection { state, figures } = inspection;
    let mut notes = key_notes(state);
    if figures.merged_cards > 0 {
        notes.push(format!("{} merged cards are kept in `{MERGED_CARD_TABLE}`", figures.merged_cards));
    }
    notes.extend(sitting_notes(inspection));
    if let Some(engine) = &state.engine
        && !engine.eq_ignore_ascii_case("InnoDB")
    {
        notes.push(format!(
            "`{CARD_TABLE}` uses the storage engine {engine}. A repair locks the table, and cannot be rolled back"
        ));
    }
    if !figures.collisions.is_empty() || figures.duplicates.count > 0 {
        notes.extend(merge_notes(state));
    }
    notes
}

fn key_notes(state: &TableState) -> Vec<String> {
    let mut notes = Vec::new();
    // SQLite itself chose the name of an index that belongs to a constraint, so this name is no reason for a note.
    if let Some(key) = state.new_key()
        && key.name != NEW_KEY_NAME
        && !(state.dialect().is_sqlite() && key.constraint.is_some())
    {
        notes.push(format!(
            "the new unique key has the name `{}` instead of `{NEW_KEY_NAME}`. It works just as well",
            key.name
        ));
    }
    let new_keys = state.keys.iter().filter(|key| key.is_new() && key.valid).count();
    if new_keys > 1 {
        notes.push(format!("{new_keys} unique keys have the columns of the new key. One of them is enough"));
    }
    notes
}

fn sitting_notes(inspection: &Inspection) -> Vec<String> {
    let found = &inspection.figures.sittings;
    let counted = [
        (found.number_gaps.count, "cards have gaps in their attempt numbers. Sittings may have been deleted"),
        (
            found.used_too_high.count,
            "cards count more attempts than they have sittings. Sittings may have been deleted",
        ),
        (found.more_questions.count, "cards have more questions than their test has"),
        (found.orphans, "sittings or questions refer to a card that does not exist"),
        (
            found.merged_without_rows,
            "cards were merged by an earlier version, which did not log their sittings and questions. That merge \
             cannot be undone",
        ),
    ];
    let mut notes: Vec<String> = counted
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, text)| format!("{count} {text}"))
        .collect();
    if let Some(run) = inspection.figures.open_run {
        notes.push(format!("run {run} of the repair did not end. `jishu repair --apply` continues it"));
    }
    notes
}

/// Returns notes about tables whose rows a merge must move.
fn merge_notes(state: &TableState) -> Vec<String> {
    let mut notes = Vec::new();
    for child in state.child_tables().iter().filter(|child| child.key.is_none()) {
        notes.push(format!(
            "`{}` has no single-column key, so a merge of its rows cannot be undone",
            child.table.name
        ));
    }
    for (reference, column) in state.id_references() {
        let indexed = reference.table_keys.iter().any(|key| key.leads_with(&[column.to_owned()]));
        if !indexed {
            let helper = helper_name(&reference.table.name, column);
            notes.push(format!(
                "`{}`.`{column}` has no index. The repair creates the index `{helper}`, and drops this index \
                 at the end",
                reference.table.name
            ));
        }
    }
    notes
}
