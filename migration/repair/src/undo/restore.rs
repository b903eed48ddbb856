//! Restores rows as a run of a repair found them.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, Value};
use serde::Serialize;

use super::conflicts;
use crate::error::RepairError;
use crate::inspect::TableState;
use crate::inspect::children::{Child, Sittings, keep, self_setting};
use crate::merge::numbers::moves;
use crate::plan::settle::Place;
use crate::runs::Before;
use crate::sql::{execute, rows as select, same};
use crate::{CHANGES, RUNS, SURVIVORS};

/// The numbers of rows that an undo restored.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Restored {
    /// Merged cards that are in their table again.
    pub cards: u64,
    /// Cards that stayed and were restored.
    pub survivors: u64,
    /// Values of other rows, by their table.
    pub values: BTreeMap<String, u64>,
}

/// Restores all rows, inside the transaction of the caller.
pub(super) async fn rows(
    connection: &impl ConnectionTrait,
    state: &TableState,
    run: i64,
    before: &Before,
) -> Result<Restored, RepairError> {
    let dialect = state.dialect();
    if !dialect.is_sqlite() && state.logs_rows() {
        lock_cards(connection, state, run).await?;
    }
    let found = conflicts::find(connection, state, run, before).await?;
    if !found.is_empty() {
        return Err(RepairError::CannotUndo(found));
    }
    let runs = format!("DELETE FROM {} WHERE repair_run = {run}", dialect.table(&state.beside(RUNS)));
    if !state.logs_rows() {
        execute(connection, runs, []).await?;
        return Ok(Restored::default());
    }
    let mut restored =
        Restored { cards: execute(connection, cards_back(state, run), []).await?, ..Restored::default() };
    let sittings = state.sittings();
    for child in state.children_with_keys() {
        let label = state.label(&child.table);
        let mut values = 0;
        match &sittings {
            Some(sittings)
                if sittings.child.table == child.table && sittings.child.column == child.column =>
            {
                values += sittings_back(connection, state, sittings, run).await?;
                if sittings.has("status") {
                    values += execute(connection, values_back(state, &child, "status", run), []).await?;
                }
            }
            _ => values += execute(connection, values_back(state, &child, &child.column, run), []).await?,
        }
        if values > 0 {
            *restored.values.entry(label).or_default() += values;
        }
    }
    restored.survivors = survivors_back(connection, state, run).await?;
    for table in [state.log_table(), state.beside(SURVIVORS), state.beside(CHANGES)] {
        let text = format!("DELETE FROM {} WHERE repair_run = {run}", dialect.table(&table));
        execute(connection, text, []).await?;
    }
    execute(connection, runs, []).await?;
    Ok(restored)
}

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
        dialect.table(&state.beside(SURVIVORS)),
    );
    select(connection, text, []).await?;
    Ok(())
}

fn cards_back(state: &TableState, run: i64) -> String {
    let dialect = state.dialect();
    let logged = |name: &str| state.log.iter().flatten().any(|column| same(column, name));
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
        dialect.table(&state.log_table()),
        dialect.quote("id"),
    )
}

/// Sets a column of a child to its first logged value.
fn values_back(state: &TableState, child: &Child, column: &str, run: i64) -> String {
    let dialect = state.dialect();
    let (table, name) = (dialect.table(&child.table), dialect.quote(column));
    let changes = dialect.table(&state.beside(CHANGES));
    let on = conflicts::of_row(state, child, column, run);
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

/// Moves sittings back to their cards and numbers.
async fn sittings_back(
    connection: &impl ConnectionTrait,
    state: &TableState,
    sittings: &Sittings,
    run: i64,
) -> Result<u64, RepairError> {
    let dialect = state.dialect();
    let (child, numbered) = (&sittings.child, sittings.has("attempt_number"));
    let mut old: BTreeMap<i64, (Option<i64>, Option<i64>)> = BTreeMap::new();
    let logged = format!(
        "SELECT {}, column_name, {} FROM {} WHERE repair_run = {run} AND table_name = {} AND column_name IN ({}, \
         'attempt_number') ORDER BY change_id DESC",
        dialect.integer("row_key"),
        dialect.integer("old_value"),
        dialect.table(&state.beside(CHANGES)),
        dialect.literal(&state.label(&child.table)),
        dialect.literal(&child.column),
    );
    for row in select(connection, logged, []).await? {
        let (column, value): (String, Option<i64>) = (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
        let places = old.entry(row.try_get_by_index(0)?).or_default();
        // The earliest value comes last.
        if same(&column, &child.column) {
            places.0 = value;
        } else {
            places.1 = value;
        }
    }
    let (id, card) = (dialect.quote(&sittings.id), dialect.quote(&child.column));
    let number = sittings.column(dialect, "s", "attempt_number");
    let now = format!(
        "SELECT {}, {}, {} FROM {} AS s WHERE s.{card} IN (SELECT b.{} FROM {} AS b WHERE b.repair_run = {run})",
        dialect.integer(&format!("s.{id}")),
        dialect.integer(&format!("s.{card}")),
        dialect.integer(&number),
        dialect.table(&child.table),
        dialect.quote("id"),
        dialect.table(&state.beside(SURVIVORS)),
    );
    let mut of_cards: BTreeMap<i64, Vec<(i64, Place, Place)>> = BTreeMap::new();
    for row in select(connection, now, []).await? {
        let (sitting, card): (i64, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let from = Place { card, number: row.try_get_by_index(2)? };
        let (old_card, old_number) = old.get(&sitting).copied().unwrap_or_default();
        let to = Place { card: old_card.unwrap_or(card), number: old_number.or(from.number) };
        of_cards.entry(card).or_default().push((sitting, from, to));
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
    for own in of_cards.values() {
        let rows: Vec<_> = own.iter().map(|(_, from, to)| (*from, *to)).collect();
        for (position, place) in moves(&rows) {
            let mut values: Vec<Value> = vec![place.card.into()];
            if numbered {
                values.push(place.number.into());
            }
            values.push(own[position].0.into());
            execute(connection, text.as_str(), values).await?;
        }
        changed += own.iter().filter(|(_, from, to)| from != to).count();
    }
    Ok(u64::try_from(changed).unwrap_or(u64::MAX))
}

/// Restores the survivors' values about their sittings.
async fn survivors_back(
    connection: &impl ConnectionTrait,
    state: &TableState,
    run: i64,
) -> Result<u64, RepairError> {
    let dialect = state.dialect();
    let derived = state.derived();
    if derived.is_empty() {
        return Ok(0);
    }
    let (cards, survivors) = (dialect.table(&state.table), dialect.table(&state.beside(SURVIVORS)));
    let id = dialect.quote("id");
    let on = format!("b.{id} = t.{id} AND b.repair_run = {run}");
    let sets = |alias: &str| {
        let sets = derived.iter().map(|name| dialect.quote(name));
        sets.map(|name| format!("{alias}{name} = b.{name}")).collect::<Vec<_>>().join(", ")
    };
    let text = if dialect.is_mysql() {
        let kept: String = self_setting(&state.columns)
            .iter()
            .map(|own| format!(", t.{own} = t.{own}", own = dialect.quote(own)))
            .collect();
        format!("UPDATE {cards} AS t JOIN {survivors} AS b ON {on} SET {}{kept}", sets("t."))
    } else {
        let kept = keep(dialect, &self_setting(&state.columns));
        format!("UPDATE {cards} AS t SET {}{kept} FROM {survivors} AS b WHERE {on}", sets(""))
    };
    Ok(execute(connection, text, []).await?)
}
