//! The steps that make the tables of a repair, in which it logs its changes.

use super::{Plan, StepKind};
use crate::inspect::TableState;
use crate::sql::{Dialect, same};
use crate::{CARDS, CHANGES, LOG, RUNS, SURVIVORS};

/// The tables in which a merge keeps what it changes.
pub(super) fn log_steps(plan: &mut Plan, state: &TableState) {
    log_of_cards(plan, state);
    survivors(plan, state);
    changes(plan, state);
    run_steps(plan, state);
}

/// The types of a serial number, a time and a long text, the options of a table, and a column's null.
fn types(dialect: Dialect) -> [&'static str; 5] {
    match dialect {
        dialect if dialect.is_mysql() => {
            let options = " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";
            let serial = "BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY";
            [serial, "DATETIME(6)", "LONGTEXT", options, " NULL DEFAULT NULL"]
        }
        dialect if dialect.is_postgres() => {
            ["bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "timestamptz", "text", "", ""]
        }
        _ => ["INTEGER PRIMARY KEY", "TEXT", "TEXT", "", ""],
    }
}

fn changes(plan: &mut Plan, state: &TableState) {
    let dialect = state.dialect();
    let [serial, time, long, options, null] = types(dialect);
    if state.own(CHANGES).is_none() {
        let changes = dialect.table(&state.beside(CHANGES));
        let statements = vec![format!(
            "CREATE TABLE {changes} (change_id {serial}, repair_run BIGINT NOT NULL, table_name VARCHAR(100) NOT \
             NULL, row_key VARCHAR(100){null}, column_name VARCHAR(100) NOT NULL, old_value {long}{null}, \
             new_value {long}{null}, reason VARCHAR(100) NOT NULL, changed_at {time} NOT NULL){options}"
        )];
        plan.step(
            StepKind::Log,
            format!("Make `{CHANGES}`, which has the changed values of each row"),
            statements,
        );
        let index =
            format!("CREATE INDEX {CHANGES}_row ON {changes} (repair_run, table_name, column_name, row_key)");
        plan.step(StepKind::Log, format!("Make the index of `{CHANGES}`"), vec![index]);
    }
}

/// The table of runs alone, which a repair of keys needs.
pub(super) fn run_steps(plan: &mut Plan, state: &TableState) {
    let dialect = state.dialect();
    let [_, time, long, options, null] = types(dialect);
    if state.own(RUNS).is_none() {
        let runs = dialect.table(&state.beside(RUNS));
        let text = format!(
            "CREATE TABLE {runs} (repair_run BIGINT NOT NULL PRIMARY KEY, started_at {time} NOT NULL, finished_at \
             {time}{null}, state_before {long} NOT NULL){options}"
        );
        plan.step(StepKind::Log, format!("Make `{RUNS}`, which `jishu repair --undo` reads"), vec![text]);
    }
}

fn define(state: &TableState, name: &str, definition: &str) -> String {
    let null = if state.dialect().is_mysql() { " NULL DEFAULT NULL" } else { "" };
    format!("{} {definition}{null}", state.dialect().quote(name))
}

fn log_of_cards(plan: &mut Plan, state: &TableState) {
    let dialect = state.dialect();
    let log = dialect.table(&state.log_table());
    let Some(existing) = &state.log else {
        let (key, time) = match dialect {
            dialect if dialect.is_mysql() => ("BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY", "DATETIME(6)"),
            dialect if dialect.is_postgres() => {
                ("bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "timestamptz")
            }
            _ => ("INTEGER PRIMARY KEY", "TEXT"),
        };
        let mut columns = vec![format!("{} {key}", dialect.quote("merge_id"))];
        columns.extend(state.columns.iter().map(|column| define(state, &column.name, &column.definition)));
        columns.push(format!("{} BIGINT NOT NULL", dialect.quote("survivor_id")));
        columns.push(format!("{} {time} NOT NULL", dialect.quote("merged_at")));
        columns.push(define(state, "repair_run", "BIGINT"));
        let text = format!("CREATE TABLE {log} ({})", columns.join(", "));
        plan.step(StepKind::Log, format!("Make `{LOG}`, which keeps the merged cards"), vec![text]);
        return;
    };
    let mut lacking = lacking(state, LOG, existing);
    if !existing.iter().any(|have| same(have, "repair_run")) {
        lacking.push(format!("ALTER TABLE {log} ADD COLUMN {}", define(state, "repair_run", "BIGINT")));
    }
    if !lacking.is_empty() {
        plan.step(StepKind::Log, format!("Add the missing columns to `{LOG}`"), lacking);
    }
}

fn survivors(plan: &mut Plan, state: &TableState) {
    let dialect = state.dialect();
    let table = dialect.table(&state.beside(SURVIVORS));
    if let Some(existing) = state.own(SURVIVORS) {
        let lacking = lacking(state, SURVIVORS, existing);
        if !lacking.is_empty() {
            plan.step(StepKind::Log, format!("Add the new columns of `{CARDS}` to `{SURVIVORS}`"), lacking);
        }
        return;
    }
    let mut columns = vec![format!("{} BIGINT NOT NULL", dialect.quote("repair_run"))];
    for column in &state.columns {
        columns.push(if same(&column.name, "id") {
            format!("{} {} NOT NULL", dialect.quote(&column.name), column.definition)
        } else {
            define(state, &column.name, &column.definition)
        });
    }
    columns.push(format!("PRIMARY KEY ({})", dialect.quote_all(["repair_run", "id"])));
    let text = format!("CREATE TABLE {table} ({})", columns.join(", "));
    let purpose = format!("Make `{SURVIVORS}`, which keeps the other cards as they were before they changed");
    plan.step(StepKind::Log, purpose, vec![text]);
}

/// Returns statements that add the missing columns of the cards to this table.
fn lacking(state: &TableState, table: &str, existing: &[String]) -> Vec<String> {
    let table = state.dialect().table(&state.beside(table));
    state
        .columns
        .iter()
        .filter(|column| !existing.iter().any(|have| same(have, &column.name)))
        .map(|column| {
            format!("ALTER TABLE {table} ADD COLUMN {}", define(state, &column.name, &column.definition))
        })
        .collect()
}
