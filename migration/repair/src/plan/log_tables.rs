//! The steps that create the tables in which a repair logs its changes.

use super::steps::{RepairPlan, StepKind};
use crate::inspect::TableState;
use crate::names::{CARD_TABLE, CHANGE_TABLE, MERGED_CARD_TABLE, RUN_TABLE, SURVIVOR_TABLE};
use crate::sql::{Dialect, same};

/// Adds the steps that create the tables in which a merge logs changed rows and its run, or add missing columns to
/// them.
pub(super) fn row_log_steps(plan: &mut RepairPlan, state: &TableState) {
    merged_card_table(plan, state);
    survivor_table(plan, state);
    change_table(plan, state);
    run_table_step(plan, state);
}

/// The column types of the tables of a repair, in one dialect.
struct LogTypes {
    /// A primary key whose values the database assigns.
    serial: &'static str,
    time: &'static str,
    long_text: &'static str,
    /// The text after the columns of a table.
    table_options: &'static str,
    /// The text after the type of a column that may be null.
    null: &'static str,
}

impl LogTypes {
    fn of(dialect: Dialect) -> Self {
        match dialect {
            dialect if dialect.is_mysql() => Self {
                serial: "BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY",
                time: "DATETIME(6)",
                long_text: "LONGTEXT",
                table_options: " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
                null: " NULL DEFAULT NULL",
            },
            dialect if dialect.is_postgres() => Self {
                serial: "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
                time: "timestamptz",
                long_text: "text",
                table_options: "",
                null: "",
            },
            _ => Self {
                serial: "INTEGER PRIMARY KEY",
                time: "TEXT",
                long_text: "TEXT",
                table_options: "",
                null: "",
            },
        }
    }
}

fn change_table(plan: &mut RepairPlan, state: &TableState) {
    let dialect = state.dialect();
    let LogTypes { serial, time, long_text, table_options, null } = LogTypes::of(dialect);
    if state.run_log_table(CHANGE_TABLE).is_none() {
        let changes = dialect.table(&state.sibling_table(CHANGE_TABLE));
        let statements = vec![format!(
            "CREATE TABLE {changes} (change_id {serial}, repair_run BIGINT NOT NULL, table_name VARCHAR(100) NOT \
             NULL, row_key VARCHAR(100){null}, column_name VARCHAR(100) NOT NULL, old_value {long_text}{null}, \
             new_value {long_text}{null}, reason VARCHAR(100) NOT NULL, changed_at {time} NOT NULL){table_options}"
        )];
        plan.step(
            StepKind::Log,
            format!("Create `{CHANGE_TABLE}`, which keeps the changed values of each row"),
            statements,
        );
        let index = format!(
            "CREATE INDEX {CHANGE_TABLE}_row ON {changes} (repair_run, table_name, column_name, row_key)"
        );
        plan.step(StepKind::Log, format!("Create the index of `{CHANGE_TABLE}`"), vec![index]);
    }
}

/// Adds the step that creates the table of runs, unless the table exists. A repair that changes only keys needs no
/// other table of the log.
pub(super) fn run_table_step(plan: &mut RepairPlan, state: &TableState) {
    let dialect = state.dialect();
    let LogTypes { time, long_text, table_options, null, .. } = LogTypes::of(dialect);
    if state.run_log_table(RUN_TABLE).is_none() {
        let runs = dialect.table(&state.sibling_table(RUN_TABLE));
        let text = format!(
            "CREATE TABLE {runs} (repair_run BIGINT NOT NULL PRIMARY KEY, started_at {time} NOT NULL, finished_at \
             {time}{null}, state_before {long_text} NOT NULL){table_options}"
        );
        plan.step(
            StepKind::Log,
            format!("Create `{RUN_TABLE}`, which `jishu repair --undo` reads"),
            vec![text],
        );
    }
}

/// Writes the definition of a column that may be null.
fn define(state: &TableState, name: &str, definition: &str) -> String {
    let LogTypes { null, .. } = LogTypes::of(state.dialect());
    format!("{} {definition}{null}", state.dialect().quote(name))
}

fn merged_card_table(plan: &mut RepairPlan, state: &TableState) {
    let dialect = state.dialect();
    let table = dialect.table(&state.merged_card_table());
    let Some(existing) = &state.merged_card_columns else {
        let LogTypes { serial, time, .. } = LogTypes::of(dialect);
        let mut columns = vec![format!("{} {serial}", dialect.quote("merge_id"))];
        columns.extend(state.columns.iter().map(|column| define(state, &column.name, &column.definition)));
        columns.push(format!("{} BIGINT NOT NULL", dialect.quote("survivor_id")));
        columns.push(format!("{} {time} NOT NULL", dialect.quote("merged_at")));
        columns.push(define(state, "repair_run", "BIGINT"));
        let text = format!("CREATE TABLE {table} ({})", columns.join(", "));
        plan.step(
            StepKind::Log,
            format!("Create `{MERGED_CARD_TABLE}`, which keeps the merged cards"),
            vec![text],
        );
        return;
    };
    let mut lacking = lacking(state, MERGED_CARD_TABLE, existing);
    if !existing.iter().any(|have| same(have, "repair_run")) {
        lacking.push(format!("ALTER TABLE {table} ADD COLUMN {}", define(state, "repair_run", "BIGINT")));
    }
    if !lacking.is_empty() {
        plan.step(StepKind::Log, format!("Add the missing columns to `{MERGED_CARD_TABLE}`"), lacking);
    }
}

fn survivor_table(plan: &mut RepairPlan, state: &TableState) {
    let dialect = state.dialect();
    let table = dialect.table(&state.sibling_table(SURVIVOR_TABLE));
    if let Some(existing) = state.run_log_table(SURVIVOR_TABLE) {
        let lacking = lacking(state, SURVIVOR_TABLE, existing);
        if !lacking.is_empty() {
            plan.step(
                StepKind::Log,
                format!("Add the new columns of `{CARD_TABLE}` to `{SURVIVOR_TABLE}`"),
                lacking,
            );
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
    let purpose =
        format!("Create `{SURVIVOR_TABLE}`, which keeps each card that stays but changes, as it was before");
    plan.step(StepKind::Log, purpose, vec![text]);
}

/// Returns the statements that add to `table` those columns of the table of cards that are not in `existing`.
fn lacking(state: &TableState, table: &str, existing: &[String]) -> Vec<String> {
    let table = state.dialect().table(&state.sibling_table(table));
    state
        .columns
        .iter()
        .filter(|column| !existing.iter().any(|have| same(have, &column.name)))
        .map(|column| {
            format!("ALTER TABLE {table} ADD COLUMN {}", define(state, &column.name, &column.definition))
        })
        .collect()
}
