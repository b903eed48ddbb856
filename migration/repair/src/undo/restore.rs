//! Restores the rows that a run of a repair changed.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, Value};
use serde::Serialize;

use super::conflicts::{self, join_condition};
use crate::error::RepairError;
use crate::inspect::{ChildTable, SittingTable, TableState, keep, self_setting};
use crate::merge::moves;
use crate::names::{CHANGE_TABLE, RUN_TABLE, SURVIVOR_TABLE};
use crate::plan::{AttemptNumber, SittingMove};
use crate::runs::StateBefore;
use crate::sql::{execute, rows as select, same};

/// The numbers of rows that an undo restored.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RestoredRows {
    /// The number of merged cards that were inserted again.
    pub cards: u64,
    /// The number of survivors and corrected cards that got their old values again.
    pub survivors: u64,
    /// The number of restored values in each table that refers to cards, by the name of the table.
    pub values: BTreeMap<String, u64>,
}

/// Restores all rows that the run changed, and deletes the run from the log. Runs inside the transaction of the caller.
/// Fails if changes since the repair prevent its undo.
pub(super) async fn restore_rows(
    connection: &impl ConnectionTrait,
    state: &TableState,
    run: i64,
    before: &StateBefore,
) -> Result<RestoredRows, RepairError> {
    let dialect = state.dialect();
    if !dialect.is_sqlite() && state.has_row_log() {
        lock_cards(connection, state, run).await?;
    }
    let found = conflicts::find(connection, state, run, before).await?;
    if !found.is_empty() {
        return Err(RepairError::CannotUndo(found));
    }
    let runs =
        format!("DELETE FROM {} WHERE repair_run = {run}", dialect.table(&state.sibling_table(RUN_TABLE)));
    if !state.has_row_log() {
        execute(connection, runs, []).await?;
        return Ok(RestoredRows::default());
    }
    let mut restored = RestoredRows {
        cards: execute(connection, merged_card_insert(state, run), []).await?,
        ..RestoredRows::default()
    };
    let sittings = state.sittings();
    for child in state.child_tables() {
        let label = state.label(&child.table);
        let mut values = 0;
        match &sittings {
            Some(sittings) if sittings.is(&child) => {
                values += restore_sittings(connection, state, sittings, run).await?;
                if sittings.has("status") {
                    values += execute(connection, value_update(state, &child, "status", run), []).await?;
                }
            }
            _ => values += execute(connection, value_update(state, &child, &child.column, run), []).await?,
        }
        if values > 0 {
            *restored.values.entry(label).or_default() += values;
        }
    }
    restored.survivors = restore_survivors(connection, state, run).await?;
    for table in
        [state.merged_card_table(), state.sibling_table(SURVIVOR_TABLE), state.sibling_table(CHANGE_TABLE)]
    {
        let text = format!("DELETE FROM {} WHERE repair_run = {run}", dialect.table(&table));
        execute(connection, text, []).await?;
    }
    execute(connection, runs, []).await?;
    Ok(restored)
}

/// Locks the survivors, so that other transactions cannot change them or insert rows that refer to them.
async fn lock_cards(
    connection: &impl ConnectionTrait,
    state: &TableState,
    run: i64,
) -> Result<(), RepairError> {
    let dialect = state.dialect();
    let id = dialect.quote("id");
    let text = format!(
        "SELECT 1 FROM {} AS t WHERE t.{id} IN (SELECT b.{id} FROM {} AS b WHERE b.repair_run = {run}) FOR UPDATE",
        dialect.table(&state.table),
        dialect.table(&state.sibling_table(SURVIVOR_TABLE)),
    );
    select(connection, text, []).await?;
    Ok(())
}

/// Returns the statement that inserts the merged cards of the run into the table of cards again.
fn merged_card_insert(state: &TableState, run: i64) -> String {
    let dialect = state.dialect();
    let logged = |name: &str| state.merged_card_columns.iter().flatten().any(|column| same(column, name));
    let columns = dialect.quote_all(
        state
            .columns
            .iter()
            .filter(|column| !column.generated && logged(&column.name))
            .map(|column| column.name.as_str()),
    );
    format!(
        "INSERT INTO {} ({columns}){} SELECT {columns} FROM {} WHERE repair_run = {run} ORDER BY {}",
        dialect.table(&state.table),
        if dialect.is_postgres() { " OVERRIDING SYSTEM VALUE" } else { "" },
        dialect.table(&state.merged_card_table()),
        dialect.quote("id"),
    )
}

/// Returns the statement that sets a column of a child table to the first old value that the run logged for each row.
fn value_update(state: &TableState, child: &ChildTable, column: &str, run: i64) -> String {
    let dialect = state.dialect();
    let (table, name) = (dialect.table(&child.table), dialect.quote(column));
    let changes = dialect.table(&state.sibling_table(CHANGE_TABLE));
    let on = join_condition(state, child, column, run);
    let first = format!(
        "NOT EXISTS (SELECT 1 FROM {changes} AS e WHERE e.repair_run = g.repair_run AND e.table_name = \
         g.table_name AND e.column_name = g.column_name AND e.row_key = g.row_key AND e.change_id < g.change_id)"
    );
    if dialect.is_mysql() {
        let keep: String = child
            .self_setting
            .iter()
            .map(|own| format!(", c.{own} = c.{own}", own = dialect.quote(own)))
            .collect();
        return format!(
            "UPDATE {table} AS c JOIN {changes} AS g ON {on} SET c.{name} = g.old_value{keep} WHERE {first}"
        );
    }
    let value = if dialect.is_postgres() {
        format!("CAST(g.old_value AS {})", state.definition_of(child, column))
    } else if same(column, &child.column) {
        dialect.integer("g.old_value")
    } else {
        "g.old_value".to_owned()
    };
    format!("UPDATE {table} AS c SET {name} = {value} FROM {changes} AS g WHERE {on} AND {first}")
}

/// Moves sittings back to the cards and attempt numbers that they had before the repair. Returns the number of changed
/// sittings.
async fn restore_sittings(
    connection: &impl ConnectionTrait,
    state: &TableState,
    sittings: &SittingTable,
    run: i64,
) -> Result<u64, RepairError> {
    let dialect = state.dialect();
    let (child, numbered) = (&sittings.child, sittings.has("attempt_number"));
    let old = logged_numbers(connection, state, sittings, run).await?;
    let (id, card) = (dialect.quote(&sittings.id), dialect.quote(&child.column));
    let number = sittings.column(dialect, "s", "attempt_number");
    let present = format!(
        "SELECT {}, {}, {} FROM {} AS s WHERE s.{card} IN (SELECT b.{} FROM {} AS b WHERE b.repair_run = {run})",
        dialect.integer(&format!("s.{id}")),
        dialect.integer(&format!("s.{card}")),
        dialect.integer(&number),
        dialect.table(&child.table),
        dialect.quote("id"),
        dialect.table(&state.sibling_table(SURVIVOR_TABLE)),
    );
    let mut moves_of_card: BTreeMap<i64, Vec<SittingMove>> = BTreeMap::new();
    for row in select(connection, present, []).await? {
        let (sitting, card): (i64, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let from = AttemptNumber { card, number: row.try_get_by_index(2)? };
        let old = old.get(&sitting).copied().unwrap_or_default();
        let to = AttemptNumber { card: old.card.unwrap_or(card), number: old.number.or(from.number) };
        moves_of_card.entry(card).or_default().push(SittingMove { sitting, from, to });
    }
    let [first, second, third] = [1, 2, 3].map(|position| dialect.parameter(position));
    let set_number =
        if numbered { format!(", {} = {second}", dialect.quote("attempt_number")) } else { String::new() };
    let text = format!(
        "UPDATE {} SET {card} = {first}{set_number}{} WHERE {id} = {}",
        dialect.table(&child.table),
        child.keep_self_setting(dialect),
        if numbered { &third } else { &second },
    );
    let mut changed = 0;
    for sittings in moves_of_card.values() {
        let rows: Vec<_> = sittings.iter().map(|sitting| (sitting.from, sitting.to)).collect();
        for (position, target) in moves(&rows) {
            let mut values: Vec<Value> = vec![target.card.into()];
            if numbered {
                values.push(target.number.into());
            }
            values.push(sittings[position].sitting.into());
            execute(connection, text.as_str(), values).await?;
        }
        changed += sittings.iter().filter(|sitting| sitting.from != sitting.to).count();
    }
    Ok(u64::try_from(changed).unwrap_or(u64::MAX))
}

/// The card and the attempt number of a sitting before the repair. `None` for a value that the repair did not change.
#[derive(Clone, Copy, Default)]
struct LoggedNumber {
    card: Option<i64>,
    number: Option<i64>,
}

/// Reads the cards and attempt numbers that sittings had before the repair, by the id of the sitting, from the log of
/// changes. A sitting that the repair did not change has no entry.
async fn logged_numbers(
    connection: &impl ConnectionTrait,
    state: &TableState,
    sittings: &SittingTable,
    run: i64,
) -> Result<BTreeMap<i64, LoggedNumber>, RepairError> {
    let (dialect, child) = (state.dialect(), &sittings.child);
    let text = format!(
        "SELECT {}, column_name, {} FROM {} WHERE repair_run = {run} AND table_name = {} AND column_name IN ({}, \
         'attempt_number') ORDER BY change_id DESC",
        dialect.integer("row_key"),
        dialect.integer("old_value"),
        dialect.table(&state.sibling_table(CHANGE_TABLE)),
        dialect.literal(&state.label(&child.table)),
        dialect.literal(&child.column),
    );
    let mut found: BTreeMap<i64, LoggedNumber> = BTreeMap::new();
    for row in select(connection, text, []).await? {
        let (column, value): (String, Option<i64>) = (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
        let logged = found.entry(row.try_get_by_index(0)?).or_default();
        // The latest entry of the log comes first, so the earliest old value is set last and stays.
        if same(&column, &child.column) {
            logged.card = value;
        } else {
            logged.number = value;
        }
    }
    Ok(found)
}

/// Restores the computed columns of the survivors from the log of survivors. Returns the number of updated cards.
async fn restore_survivors(
    connection: &impl ConnectionTrait,
    state: &TableState,
    run: i64,
) -> Result<u64, RepairError> {
    let dialect = state.dialect();
    let derived = state.derived_columns();
    if derived.is_empty() {
        return Ok(0);
    }
    let (cards, survivors) =
        (dialect.table(&state.table), dialect.table(&state.sibling_table(SURVIVOR_TABLE)));
    let id = dialect.quote("id");
    let on = format!("b.{id} = t.{id} AND b.repair_run = {run}");
    let assignments = |alias: &str| {
        let sets = derived.iter().map(|name| dialect.quote(name));
        sets.map(|name| format!("{alias}{name} = b.{name}")).collect::<Vec<_>>().join(", ")
    };
    let text = if dialect.is_mysql() {
        let kept: String = self_setting(&state.columns)
            .iter()
            .map(|own| format!(", t.{own} = t.{own}", own = dialect.quote(own)))
            .collect();
        format!("UPDATE {cards} AS t JOIN {survivors} AS b ON {on} SET {}{kept}", assignments("t."))
    } else {
        let kept = keep(dialect, &self_setting(&state.columns));
        format!("UPDATE {cards} AS t SET {}{kept} FROM {survivors} AS b WHERE {on}", assignments(""))
    };
    Ok(execute(connection, text, []).await?)
}
