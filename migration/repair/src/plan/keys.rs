//! The steps that replace the old key with the new one.

use super::indexes::{drop_key, free_name};
use super::rebuild;
use super::steps::{RepairPlan, StepKind};
use crate::inspect::{TableKey, TableState};
use crate::names::{CARD_TABLE, NEW_KEY_COLUMNS, NEW_KEY_NAME};

/// Returns whether an old key exists, the new key is missing, or an index with the columns of the new key does not
/// work.
pub(super) fn need_repair(state: &TableState) -> bool {
    state.new_key().is_none()
        || state.old_keys().next().is_some()
        || state.keys.iter().any(|key| key.is_new() && !key.valid)
}

/// Adds the steps that correct the keys.
pub(super) fn key_steps(plan: &mut RepairPlan, state: &TableState) {
    if !need_repair(state) {
        return;
    }
    let dialect = state.dialect();
    let needs_new = state.new_key().is_none();
    let old: Vec<&TableKey> = state.old_keys().collect();
    if dialect.is_mysql() {
        mysql_keys(plan, state, needs_new, &old);
    } else if dialect.is_postgres() {
        postgres_keys(plan, state, needs_new, &old);
    } else {
        rebuild::sqlite_keys(plan, state, needs_new, &old);
    }
}

/// Adds the step for MariaDB and MySQL, with a single ALTER statement. The old key cannot be dropped before the new key
/// exists, because a foreign key may need the old key as its index. If the new key cannot be the index of that foreign
/// key, the statement adds an index for the foreign key.
fn mysql_keys(plan: &mut RepairPlan, state: &TableState, needs_new: bool, old: &[&TableKey]) {
    let dialect = state.dialect();
    let mut changes = Vec::new();
    let mut remaining: Vec<TableKey> = state.keys.iter().filter(|key| !key.is_old()).cloned().collect();
    if needs_new {
        let key = TableKey {
            name: free_name(state, NEW_KEY_NAME, old),
            columns: NEW_KEY_COLUMNS.map(str::to_owned).to_vec(),
            valid: true,
            ..TableKey::default()
        };
        let columns = dialect.quote_all(NEW_KEY_COLUMNS);
        changes.push(format!("ADD UNIQUE INDEX {} ({columns})", dialect.quote(&key.name)));
        remaining.push(key);
    }
    for foreign in state.leaning_on_old_key() {
        if remaining.iter().any(|key| key.leads_with(&foreign.columns)) {
            continue;
        }
        let name = free_name(state, &format!("idx_{CARD_TABLE}_{}", foreign.columns.join("_")), &[]);
        let columns = dialect.quote_all(foreign.columns.iter().map(String::as_str));
        changes.push(format!("ADD INDEX {} ({columns})", dialect.quote(&name)));
        remaining.push(TableKey {
            name,
            columns: foreign.columns.clone(),
            valid: true,
            ..TableKey::default()
        });
    }
    changes.extend(old.iter().map(|key| format!("DROP INDEX {}", dialect.quote(&key.name))));
    let mut text = format!("ALTER TABLE {} {}", dialect.table(&state.table), changes.join(", "));
    if state.engine.as_deref().is_some_and(|engine| engine.eq_ignore_ascii_case("InnoDB")) {
        text.push_str(", ALGORITHM=INPLACE, LOCK=NONE");
    }
    let purpose = match (needs_new, old.is_empty()) {
        (true, true) => "Add the new key",
        (true, false) => "Replace the old key with the new one, in one statement",
        (false, _) => "Drop the old key (purchase_id, test_number)",
    };
    plan.step(StepKind::Keys, purpose, vec![text]);
}

/// Adds the steps for PostgreSQL. The application keeps running: an index is built and dropped without blocking it, and
/// dropping a constraint locks the table only briefly. Each statement commits on its own.
fn postgres_keys(plan: &mut RepairPlan, state: &TableState, needs_new: bool, old: &[&TableKey]) {
    let dialect = state.dialect();
    let invalid: Vec<&TableKey> = state.keys.iter().filter(|key| key.is_new() && !key.valid).collect();
    for key in &invalid {
        plan.step(
            StepKind::DropInvalid,
            "Drop the index that an interrupted build left",
            vec![drop_key(state, key)],
        );
    }
    if needs_new {
        let name = free_name(state, NEW_KEY_NAME, &invalid);
        let text = format!(
            "CREATE UNIQUE INDEX CONCURRENTLY {} ON {} ({})",
            dialect.quote(&name),
            dialect.table(&state.table),
            dialect.quote_all(NEW_KEY_COLUMNS)
        );
        plan.step(StepKind::Keys, "Add the new key while the application keeps running", vec![text]);
    }
    for key in old {
        plan.step(StepKind::Keys, "Drop the old key (purchase_id, test_number)", vec![drop_key(state, key)]);
    }
}
