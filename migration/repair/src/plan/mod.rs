//! From what was found to what is to be done: a pure function, with the exact statements.

mod ends;
mod keys;
mod log;
mod rebuild;
mod recompute;
pub(crate) mod settle;
mod texts;
mod words;

use std::fmt;

use serde::Serialize;

use super::inspect::{Inspection, Key, TableState};
use super::sql::{Dialect, TableName, same};
use super::{CARDS, CLOSED, LOG, OWN, RUNS, SAMPLES};
pub(crate) use keys::drop_key;
pub(crate) use rebuild::rebuild_as;
pub(crate) use texts::{Texts, reason};
use words::Tally;

/// Number of groups in one transaction.
pub(crate) const GROUPS_PER_TRANSACTION: usize = 50;

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Makes the log of merged cards, or gives it columns that the table has got since.
    Log,
    /// Makes an index for the duration of the merge.
    Helper,
    /// Merges duplicates and corrects cards. Its statements run for each batch of groups.
    Merge,
    /// Removes what an interrupted build left.
    DropInvalid,
    /// Puts the right key in the place of the wrong one.
    Keys,
    /// Makes the table anew without the wrong key, on SQLite.
    Rebuild,
    /// Removes an index that was made for the merge.
    DropHelper,
}

/// A step of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What it does.
    pub kind: StepKind,
    /// Why, in a sentence.
    pub purpose: String,
    /// What it runs.
    pub statements: Vec<String>,
}

/// What a repair does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The changes with their numbers of rows, as sentences.
    pub summary: Vec<String>,
    /// In order.
    pub steps: Vec<Step>,
    /// What a person must decide on before anything can be done.
    pub blockers: Vec<String>,
}

impl Plan {
    /// Whether nothing is to be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.blockers.is_empty()
    }

    /// Whether the run must be logged before this step, so that it can be taken back.
    pub(crate) fn is_logged(step: &Step) -> bool {
        use StepKind::{DropInvalid, Keys, Merge, Rebuild};
        matches!(step.kind, DropInvalid | Keys | Merge | Rebuild)
    }

    fn step(&mut self, kind: StepKind, purpose: impl Into<String>, statements: Vec<String>) {
        self.steps.push(Step { kind, purpose: purpose.into(), statements });
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for sentence in &self.summary {
            writeln!(f, "-- {sentence}")?;
        }
        for blocker in &self.blockers {
            writeln!(f, "-- Stands in the way: {blocker}")?;
        }
        for (number, step) in (1..).zip(&self.steps) {
            writeln!(f, "-- {number}. {}", step.purpose)?;
            for statement in &step.statements {
                writeln!(f, "{statement};")?;
            }
        }
        if self.is_empty() { writeln!(f, "-- Nothing to do.") } else { Ok(()) }
    }
}

/// What would be done about what was found.
#[must_use]
pub fn plan(inspection: &Inspection) -> Plan {
    let Inspection { state, figures } = inspection;
    let mut plan = Plan { blockers: blockers(inspection), ..Plan::default() };
    if !plan.blockers.is_empty() {
        return plan;
    }
    let tally = Tally::of(state, &figures.groups);
    if tally.closed > 0 && state.closed().is_none() {
        plan.blockers.push(format!(
            "the type of the sittings' status has no word `{CLOSED}` for a sitting that must be closed; add the word"
        ));
        return plan;
    }
    plan.summary = tally.sentences();
    if tally.groups > 0 {
        log::log_steps(&mut plan, state);
        helper_steps(&mut plan, state);
        let batch = if state.dialect().is_sqlite() {
            "in the one transaction of the repair".to_owned()
        } else {
            format!("{GROUPS_PER_TRANSACTION} groups to a transaction")
        };
        plan.step(
            StepKind::Merge,
            format!(
                "Merge {} groups of duplicates ({} surplus cards) and correct {} cards in all, {batch}; the \
                 statements below run for each batch",
                figures.duplicates.count, figures.surplus_cards, tally.groups
            ),
            Texts::of(state, figures.run()).in_order(),
        );
    }
    if tally.groups == 0 && keys::are_wrong(state) {
        log::run_steps(&mut plan, state);
    }
    keys::key_steps(&mut plan, state);
    let made: Vec<_> = if tally.groups > 0 { helpers(state) } else { Vec::new() };
    let made = made.into_iter().map(|(table, _, name)| (table, name));
    let left: Vec<_> = leftover_helpers(state).collect();
    let mut drops: Vec<(TableName, String)> = made.chain(left).collect();
    drops.sort();
    drops.dedup();
    for (table, name) in drops {
        plan.step(
            StepKind::DropHelper,
            format!("Drop the index of {} that served the merge", table.name),
            vec![drop_index(state.dialect(), &table, &name)],
        );
    }
    plan
}

fn blockers(inspection: &Inspection) -> Vec<String> {
    let state = &inspection.state;
    let mut blockers = Vec::new();
    if state.old_keys().next().is_some() {
        for reference in state.references_to_old_key() {
            blockers.push(format!(
                "the foreign key `{}` of `{}` refers to (purchase_id, test_number) and needs the old key",
                reference.constraint, reference.table.name
            ));
        }
    }
    if state.old_keys().any(|key| key.primary) {
        blockers.push(format!("(purchase_id, test_number) is the primary key of `{CARDS}`"));
    }
    for (key, finding) in &inspection.figures.collisions {
        blockers.push(format!(
            "in {} cases rows of {key} cannot follow a merged card, for its survivor has such a row",
            finding.count
        ));
    }
    for group in &inspection.figures.groups {
        let Some(several) = group.several() else { continue };
        let (purchase, subject, test) = &group.key;
        blockers.push(format!(
            "the cards of purchase {purchase}, subject {subject}, test {test} belong to several {several}; decide by \
             hand which card stays"
        ));
        if blockers.len() >= SAMPLES {
            let others = inspection.figures.owners.count;
            blockers.push(format!("in all, {others} tests have cards of several users or courses"));
            break;
        }
    }
    let own_columns = ["survivor_id", "merged_at", "merge_id", "repair_run"];
    if !inspection.figures.groups.is_empty()
        && let Some(name) = own_columns.into_iter().find(|name| state.has(name))
    {
        blockers.push(format!("`{CARDS}` has a column `{name}`, which the log needs for itself"));
    }
    let is_log = |columns: &Vec<String>| columns.iter().any(|column| same(column, "survivor_id"));
    if !inspection.figures.groups.is_empty() && !state.log.as_ref().is_none_or(is_log) {
        blockers.push(format!("the table `{LOG}` is not the log of a repair; rename it"));
    }
    let needed =
        |table: &&str| !inspection.figures.groups.is_empty() || (**table == *RUNS && keys::are_wrong(state));
    for table in OWN.into_iter().filter(|table| needed(table)) {
        let known = |columns: &[String]| columns.iter().any(|column| same(column, "repair_run"));
        if !state.own(table).is_none_or(known) {
            blockers.push(format!("the table `{table}` was not made by a repair. Rename it"));
        }
    }
    blockers
}

/// Adds indexes for the duration of the merge, where there are none.
fn helper_steps(plan: &mut Plan, state: &TableState) {
    for (table, column, name) in helpers(state) {
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
            format!("Index {}.{column}, so that the merge need not read the whole table", table.name),
            vec![create_helper(state.dialect(), &table, &column, &name)],
        );
    }
}

/// The name of the index that serves a merge.
pub(super) fn helper_name(table: &str, column: &str) -> String {
    // PostgreSQL's names have at most 63 bytes.
    let name = format!("jishu_repair_{table}_{column}");
    name.char_indices()
        .take_while(|(start, letter)| start + letter.len_utf8() <= 63)
        .map(|(_, letter)| letter)
        .collect()
}

/// Children whose reference has no index of its own. MySQL and MariaDB always have one.
fn helpers(state: &TableState) -> Vec<(TableName, String, String)> {
    if state.dialect().is_mysql() {
        return Vec::new();
    }
    let mut helpers = Vec::new();
    for (reference, column) in state.children() {
        let name = helper_name(&reference.table.name, column);
        let columns = [column.to_owned()];
        let others = |key: &&Key| key.name != name && key.leads_with(&columns);
        if !reference.table_keys.iter().any(|key| others(&key)) {
            helpers.push((reference.table.clone(), column.to_owned(), name));
        }
    }
    helpers
}

/// Indexes that an interrupted repair left.
pub(super) fn leftover_helpers(state: &TableState) -> impl Iterator<Item = (TableName, String)> {
    state.children().into_iter().filter_map(|(reference, column)| {
        let name = helper_name(&reference.table.name, column);
        has_index(state, &reference.table, &name, false).then(|| (reference.table.clone(), name))
    })
}

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

fn drop_index(dialect: Dialect, table: &TableName, name: &str) -> String {
    if dialect.is_postgres() {
        let index = TableName { schema: table.schema.clone(), name: name.to_owned() };
        return format!("DROP INDEX CONCURRENTLY {}", dialect.table(&index));
    }
    format!("DROP INDEX {}", dialect.quote(name))
}
