//! The steps that put the right key in the place of the wrong one.

use super::{Plan, StepKind, drop_index, rebuild};
use crate::inspect::{Key, TableState};
use crate::sql::same;
use crate::{CARDS, NEW_KEY, NEW_KEY_COLUMNS};

/// Whether the keys are not as they should be.
pub(super) fn are_wrong(state: &TableState) -> bool {
    state.new_key().is_none()
        || state.old_keys().next().is_some()
        || state.keys.iter().any(|key| key.is_new() && !key.valid)
}

pub(super) fn key_steps(plan: &mut Plan, state: &TableState) {
    if !are_wrong(state) {
        return;
    }
    let dialect = state.dialect();
    let needs_new = state.new_key().is_none();
    let old: Vec<&Key> = state.old_keys().collect();
    if dialect.is_mysql() {
        mysql_keys(plan, state, needs_new, &old);
    } else if dialect.is_postgres() {
        postgres_keys(plan, state, needs_new, &old);
    } else {
        rebuild::sqlite_keys(plan, state, needs_new, &old);
    }
}

/// One ALTER: the old key cannot go first, for a foreign key leans on it, and must not stay, for it is the
/// bug.
fn mysql_keys(plan: &mut Plan, state: &TableState, needs_new: bool, old: &[&Key]) {
    let dialect = state.dialect();
    let mut changes = Vec::new();
    let mut stays: Vec<Key> = state.keys.iter().filter(|key| !key.is_old()).cloned().collect();
    if needs_new {
        let key = Key {
            name: free_name(state, NEW_KEY, old),
            columns: NEW_KEY_COLUMNS.map(str::to_owned).to_vec(),
            valid: true,
            ..Key::default()
        };
        let columns = dialect.quote_all(NEW_KEY_COLUMNS);
        changes.push(format!("ADD UNIQUE INDEX {} ({columns})", dialect.quote(&key.name)));
        stays.push(key);
    }
    for foreign in state.leaning_on_old_key() {
        if stays.iter().any(|key| key.leads_with(&foreign.columns)) {
            continue;
        }
        let name = free_name(state, &format!("idx_{CARDS}_{}", foreign.columns.join("_")), &[]);
        let columns = dialect.quote_all(foreign.columns.iter().map(String::as_str));
        changes.push(format!("ADD INDEX {} ({columns})", dialect.quote(&name)));
        stays.push(Key { name, columns: foreign.columns.clone(), valid: true, ..Key::default() });
    }
    changes.extend(old.iter().map(|key| format!("DROP INDEX {}", dialect.quote(&key.name))));
    let mut text = format!("ALTER TABLE {} {}", dialect.table(&state.table), changes.join(", "));
    if state.engine.as_deref().is_some_and(|engine| engine.eq_ignore_ascii_case("InnoDB")) {
        text.push_str(", ALGORITHM=INPLACE, LOCK=NONE");
    }
    let purpose = match (needs_new, old.is_empty()) {
        (true, true) => "Add the right key",
        (true, false) => "Put the right key in the place of the wrong one, in one statement",
        (false, _) => "Drop the wrong key; the foreign key that leaned on it leans on the right one",
    };
    plan.step(StepKind::Keys, purpose, vec![text]);
}

/// Built beside the running application; each statement commits by itself.
fn postgres_keys(plan: &mut Plan, state: &TableState, needs_new: bool, old: &[&Key]) {
    let dialect = state.dialect();
    let invalid: Vec<&Key> = state.keys.iter().filter(|key| key.is_new() && !key.valid).collect();
    for key in &invalid {
        plan.step(StepKind::DropInvalid, "Drop what an interrupted build left", vec![drop_key(state, key)]);
    }
    if needs_new {
        let name = free_name(state, NEW_KEY, &invalid);
        let text = format!(
            "CREATE UNIQUE INDEX CONCURRENTLY {} ON {} ({})",
            dialect.quote(&name),
            dialect.table(&state.table),
            dialect.quote_all(NEW_KEY_COLUMNS)
        );
        plan.step(StepKind::Keys, "Add the right key while the application goes on", vec![text]);
    }
    for key in old {
        plan.step(StepKind::Keys, "Drop the wrong key", vec![drop_key(state, key)]);
    }
}

/// Returns the statement that drops a key, with the constraint that it belongs to.
pub(crate) fn drop_key(state: &TableState, key: &Key) -> String {
    let dialect = state.dialect();
    match &key.constraint {
        Some(constraint) => {
            format!(
                "ALTER TABLE {} DROP CONSTRAINT {}",
                dialect.table(&state.table),
                dialect.quote(constraint)
            )
        }
        None => drop_index(dialect, &state.table, &key.name),
    }
}

/// The name, or it with a number where it is taken by something that is not `going`.
pub(super) fn free_name(state: &TableState, wanted: &str, going: &[&Key]) -> String {
    let taken = |name: &str| {
        state.taken.iter().any(|have| same(have, name)) && !going.iter().any(|key| same(&key.name, name))
    };
    let others = (2..).map(|number| format!("{wanted}_{number}"));
    std::iter::once(wanted.to_owned()).chain(others).find(|name| !taken(name)).unwrap_or_default()
}
