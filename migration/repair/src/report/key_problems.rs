//! Problems with the keys of the table of cards.

use serde_json::{Value, json};

use super::problem::ProblemList;
use crate::inspect::{TableKey, TableState};
use crate::names::NEW_KEY_NAME;
use crate::plan::leftover_helpers;

/// Adds the problems that concern the keys to the list.
pub(super) fn key_problems(list: &mut ProblemList, state: &TableState) {
    let as_json = |key: &TableKey| json!({ "key": key.name, "columns": key.columns });
    list.add_structure(
        "old_key_present",
        "a unique key over (purchase_id, test_number) refuses the cards of a purchase's second subject",
        state.old_keys().map(as_json).collect(),
        true,
    );
    list.add_structure(
        "foreign_key_leans_on_old_key",
        "a foreign key has no other index than the old key, so the old key can only be dropped together with a \
         replacement",
        state
            .leaning_on_old_key()
            .into_iter()
            .map(|foreign| json!({ "foreign_key": foreign.name, "columns": foreign.columns }))
            .collect(),
        true,
    );
    list.add_structure(
        "old_key_referenced",
        "a foreign key refers to (purchase_id, test_number) and needs the old key. Change the foreign key by hand",
        state
            .references_to_old_key()
            .map(|reference| json!({ "table": reference.table.name, "foreign_key": reference.constraint }))
            .collect(),
        false,
    );
    list.add_structure(
        "old_key_is_primary",
        "the primary key is (purchase_id, test_number). Change the primary key by hand",
        state.old_keys().filter(|key| key.primary).map(as_json).collect(),
        false,
    );
    let missing: Vec<Value> =
        if state.new_key().is_none() { vec![json!({ "key": NEW_KEY_NAME })] } else { Vec::new() };
    list.add_structure(
        "new_key_missing",
        "without a unique key over (purchase_id, subject_id, test_number), a card can be created twice",
        missing,
        true,
    );
    list.add_structure(
        "invalid_index",
        "an interrupted build left an index that does not work",
        state.keys.iter().filter(|key| key.is_new() && !key.valid).map(as_json).collect(),
        true,
    );
    list.add_structure(
        "repair_unfinished",
        "an interrupted repair left a helper index",
        leftover_helpers(state).map(|(table, name)| json!({ "table": table.name, "key": name })).collect(),
        true,
    );
}
