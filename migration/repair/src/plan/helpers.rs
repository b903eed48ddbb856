//! Helper indexes, which exist only for the duration of a merge.

use super::indexes::drop_index;
use super::steps::{RepairPlan, StepKind};
use crate::inspect::{TableKey, TableState};
use crate::sql::{Dialect, TableName};

/// An index that a merge needs to find the rows of a card.
pub(super) struct HelperIndex {
    pub(super) table: TableName,
    pub(super) column: String,
    pub(super) name: String,
}

/// Adds the steps that create the missing helper indexes. If an interrupted build left an incomplete helper index,
/// first adds the step that drops this index.
pub(super) fn helper_steps(plan: &mut RepairPlan, state: &TableState) {
    for HelperIndex { table, column, name } in helpers(state) {
        if has_index(state, &table, &name, true) {
            continue;
        }
        if has_index(state, &table, &name, false) {
            plan.step(
                StepKind::DropInvalid,
                format!("Drop the incomplete index on {}", table.name),
                vec![drop_index(state.dialect(), &table, &name)],
            );
        }
        plan.step(
            StepKind::Helper,
            format!(
                "Create an index on {}.{column}, so that the merge does not read the whole table",
                table.name
            ),
            vec![create_helper(state.dialect(), &table, &column, &name)],
        );
    }
}

/// Returns the name of the helper index for a column, cut to 63 bytes.
pub(crate) fn helper_name(table: &str, column: &str) -> String {
    // A name on PostgreSQL has at most 63 bytes.
    let name = format!("jishu_repair_{table}_{column}");
    name.char_indices()
        .take_while(|(start, letter)| start + letter.len_utf8() <= 63)
        .map(|(_, letter)| letter)
        .collect()
}

/// Returns the helper indexes that a merge needs: one for each column that refers to a card and has no other index.
/// Returns nothing on MariaDB and MySQL, where a foreign key always has an index.
pub(super) fn helpers(state: &TableState) -> Vec<HelperIndex> {
    if state.dialect().is_mysql() {
        return Vec::new();
    }
    let mut helpers = Vec::new();
    for (reference, column) in state.id_references() {
        let name = helper_name(&reference.table.name, column);
        let columns = [column.to_owned()];
        let serves = |key: &TableKey| key.name != name && key.leads_with(&columns);
        if !reference.table_keys.iter().any(serves) {
            helpers.push(HelperIndex { table: reference.table.clone(), column: column.to_owned(), name });
        }
    }
    helpers
}

/// Returns the helper indexes that an interrupted repair left, each with its table.
pub(crate) fn leftover_helpers(state: &TableState) -> impl Iterator<Item = (TableName, String)> {
    state.id_references().into_iter().filter_map(|(reference, column)| {
        let name = helper_name(&reference.table.name, column);
        has_index(state, &reference.table, &name, false).then(|| (reference.table.clone(), name))
    })
}

/// Returns whether a table has the index with this name. If `valid` is true, only an index that works counts.
fn has_index(state: &TableState, table: &TableName, name: &str, valid: bool) -> bool {
    state
        .references
        .iter()
        .filter(|reference| reference.table == *table)
        .flat_map(|reference| &reference.table_keys)
        .any(|key| key.name == name && (key.valid || !valid))
}

fn create_helper(dialect: Dialect, table: &TableName, column: &str, name: &str) -> String {
    let concurrently = if dialect.is_postgres() { " CONCURRENTLY" } else { "" };
    format!(
        "CREATE INDEX{concurrently} {} ON {} ({})",
        dialect.quote(name),
        dialect.table(table),
        dialect.quote(column)
    )
}

/// Adds the steps that drop the helper indexes: those that this plan creates if it merges cards, and those that an
/// interrupted repair left.
pub(super) fn drop_helper_steps(plan: &mut RepairPlan, state: &TableState, merges: bool) {
    let created = if merges { helpers(state) } else { Vec::new() };
    let created = created.into_iter().map(|helper| (helper.table, helper.name));
    let mut drops: Vec<(TableName, String)> = created.chain(leftover_helpers(state)).collect();
    drops.sort();
    drops.dedup();
    for (table, name) in drops {
        plan.step(
            StepKind::DropHelper,
            format!("Drop the helper index on {}", table.name),
            vec![drop_index(state.dialect(), &table, &name)],
        );
    }
}
