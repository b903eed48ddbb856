//! Rebuilds the table of cards on SQLite, where a unique key that is part of CREATE TABLE can only be dropped with its
//! table.
//!
//! The order of the statements follows <https://www.sqlite.org/lang_altertable.html#otheralter>.

use super::create_table::without_old_key;
use super::indexes::free_name;
use super::steps::{RepairPlan, StepKind};
use crate::inspect::{SqliteDefinition, TableKey, TableState};
use crate::names::{NEW_KEY_COLUMNS, NEW_KEY_NAME};
use crate::sql::same;

/// Adds the steps that replace the old key on SQLite. The repair runs all steps in one transaction. Adds a blocker if
/// the old key is not found in the CREATE TABLE statement.
pub(super) fn sqlite_keys(plan: &mut RepairPlan, state: &TableState, needs_new: bool, old: &[&TableKey]) {
    let dialect = state.dialect();
    if old.iter().any(|key| key.constraint.is_some()) {
        // If foreign keys were on, DROP TABLE would first delete the rows of the table, and ON DELETE CASCADE would
        // delete rows of other tables.
        let purpose = "Rebuild the table without the old key, which is part of its definition. This runs with \
                       PRAGMA foreign_keys = OFF, between BEGIN IMMEDIATE and COMMIT";
        match rebuild(state, old) {
            Some(statements) => plan.step(StepKind::Rebuild, purpose, statements),
            None => plan.blockers.push(
                "the old key was not found in the CREATE TABLE statement. Rebuild the table by hand"
                    .to_owned(),
            ),
        }
    } else {
        for key in old {
            let text = format!("DROP INDEX {}", dialect.quote(&key.name));
            plan.step(StepKind::Keys, "Drop the old key (purchase_id, test_number)", vec![text]);
        }
    }
    if needs_new {
        let text = format!(
            "CREATE UNIQUE INDEX {} ON {} ({})",
            dialect.quote(&free_name(state, NEW_KEY_NAME, old)),
            dialect.table(&state.table),
            dialect.quote_all(NEW_KEY_COLUMNS)
        );
        plan.step(StepKind::Keys, "Add the new key", vec![text]);
    }
}

/// Returns the statements that rebuild the table without the old key: columns, rows, counter of ids, name, indexes and
/// triggers. `None` if the CREATE TABLE statement does not have the old key.
fn rebuild(state: &TableState, old: &[&TableKey]) -> Option<Vec<String>> {
    let definition = state.definition.as_ref()?;
    let dialect = state.dialect();
    let temporary = free_name(state, &format!("{}_rebuilt", state.table.name), &[]);
    let (was, new) = (dialect.table(&state.table), dialect.quote(&temporary));
    let columns = dialect.quote_all(
        state.columns.iter().filter(|column| !column.generated).map(|column| column.name.as_str()),
    );
    let mut statements = vec![
        without_old_key(&definition.table, &new)?,
        format!("INSERT INTO {new} ({columns}) SELECT {columns} FROM {was}"),
    ];
    if definition.numbered {
        let (was, new) = (dialect.literal(&state.table.name), dialect.literal(&temporary));
        statements.push(format!("DELETE FROM sqlite_sequence WHERE name = {new}"));
        statements.push(format!(
            "INSERT INTO sqlite_sequence (name, seq) SELECT {new}, seq FROM sqlite_sequence WHERE name = \
             {was}"
        ));
    }
    statements.push(format!("DROP TABLE {was}"));
    // Views and triggers of other tables name the table of cards. The rebuilt table gets that name next. With this
    // pragma on, the renaming does not change the text of the views and triggers.
    statements.push("PRAGMA legacy_alter_table = ON".to_owned());
    statements.push(format!("ALTER TABLE {new} RENAME TO {was}"));
    statements.push("PRAGMA legacy_alter_table = OFF".to_owned());
    for (name, text) in &definition.indexes {
        if !old.iter().any(|key| same(&key.name, name)) {
            statements.push(text.clone());
        }
    }
    statements.extend(definition.triggers.iter().cloned());
    Some(statements)
}

/// Returns the statements that restore an earlier definition of the table, with its indexes and triggers. The present
/// table is renamed first, so that SQLite stores exactly the earlier text. `None` if the present definition is unknown.
pub(crate) fn rebuild_as(state: &TableState, earlier: &SqliteDefinition) -> Option<Vec<String>> {
    let now = state.definition.as_ref()?;
    let dialect = state.dialect();
    let aside = free_name(state, &format!("{}_replaced", state.table.name), &[]);
    let (name, aside) = (dialect.table(&state.table), dialect.quote(&aside));
    let columns = dialect.quote_all(
        state.columns.iter().filter(|column| !column.generated).map(|column| column.name.as_str()),
    );
    let mut statements = vec!["PRAGMA legacy_alter_table = ON".to_owned()];
    statements.extend(now.indexes.iter().map(|(index, _)| format!("DROP INDEX {}", dialect.quote(index))));
    statements.push(format!("ALTER TABLE {name} RENAME TO {aside}"));
    statements.push("PRAGMA legacy_alter_table = OFF".to_owned());
    statements.push(earlier.table.clone());
    statements.push(format!("INSERT INTO {name} ({columns}) SELECT {columns} FROM {aside}"));
    if earlier.numbered && now.numbered {
        statements
            .push(format!("DELETE FROM sqlite_sequence WHERE name = {}", dialect.literal(&state.table.name)));
        statements.push(format!(
            "UPDATE sqlite_sequence SET name = {} WHERE name = {}",
            dialect.literal(&state.table.name),
            dialect.literal(aside.trim_matches('"')),
        ));
    }
    statements.push(format!("DROP TABLE {aside}"));
    statements.extend(earlier.indexes.iter().map(|(_, text)| text.clone()));
    statements.extend(earlier.triggers.iter().cloned());
    Some(statements)
}
