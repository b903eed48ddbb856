//! Finds changes since a repair that make its undo impossible.

use sea_orm::ConnectionTrait;

use crate::error::RepairError;
use crate::inspect::{ChildTable, TableState};
use crate::names::{CHANGE_TABLE, MAX_SAMPLES, OLD_KEY_COLUMNS, SURVIVOR_TABLE};
use crate::runs::StateBefore;
use crate::sql::{count, rows, same};

/// Returns the changes that prevent the undo of a run, as one text for each kind of change.
pub(super) async fn find(
    connection: &impl ConnectionTrait,
    state: &TableState,
    run: i64,
    before: &StateBefore,
) -> Result<Vec<String>, RepairError> {
    let finder = ConflictFinder { connection, state, run };
    let mut found = Vec::new();
    if !state.has_row_log() {
        // If a table of the log of rows does not exist, all logged runs changed only keys.
        finder.old_key(before, &mut found).await?;
        return Ok(found);
    }
    finder.cards(&mut found).await?;
    let sittings = state.sittings();
    for child in state.child_tables() {
        finder.child(&child, &child.column, &mut found).await?;
        if let Some(sittings) = sittings.as_ref().filter(|sittings| sittings.is(&child)) {
            for column in ["attempt_number", "status"].into_iter().filter(|name| sittings.has(name)) {
                finder.child(&child, column, &mut found).await?;
            }
        }
        finder.new_rows(&child, before, &mut found).await?;
    }
    finder.old_key(before, &mut found).await?;
    Ok(found)
}

/// Returns the SQL condition that an entry `g` of the log of changes belongs to the row `c` of a child table, to this
/// column and to this run. It is false if no single column identifies a row.
pub(super) fn join_condition(state: &TableState, child: &ChildTable, column: &str, run: i64) -> String {
    let dialect = state.dialect();
    let key = match &child.key {
        Some(key) if key.is_integer => {
            format!("c.{} = {}", dialect.quote(&key.column), dialect.integer("g.row_key"))
        }
        Some(key) => {
            dialect.exactly(&dialect.text(&format!("c.{}", dialect.quote(&key.column))), "g.row_key")
        }
        None => "1 = 0".to_owned(),
    };
    format!(
        "{key} AND g.repair_run = {run} AND g.table_name = {} AND g.column_name = {}",
        dialect.literal(&state.label(&child.table)),
        dialect.literal(column),
    )
}

/// Collects the changes since one run that prevent the undo of the run.
struct ConflictFinder<'f, C> {
    connection: &'f C,
    state: &'f TableState,
    run: i64,
}

impl<C: ConnectionTrait> ConflictFinder<'_, C> {
    /// Counts rows and lists the keys of the first few. `from` is the text after FROM. `None` if there are no rows.
    async fn rows(&self, key: &str, from: &str) -> Result<Option<(i64, String)>, RepairError> {
        let number = count(self.connection, format!("SELECT COUNT(*) FROM {from}")).await?;
        if number == 0 {
            return Ok(None);
        }
        let text = format!(
            "SELECT {} FROM {from} ORDER BY {key} LIMIT {MAX_SAMPLES}",
            self.state.dialect().text(key)
        );
        let mut names: Vec<String> = Vec::new();
        for row in rows(self.connection, text, []).await? {
            names.push(row.try_get_by_index::<Option<String>>(0)?.unwrap_or_else(|| "null".to_owned()));
        }
        let more = if number > i64::try_from(names.len()).unwrap_or(i64::MAX) { ", …" } else { "" };
        Ok(Some((number, format!("{}{more}", names.join(", ")))))
    }

    /// Finds cards that got the ids of merged cards, and survivors that were deleted or changed since the repair.
    async fn cards(&self, found: &mut Vec<String>) -> Result<(), RepairError> {
        let (state, run) = (self.state, self.run);
        let dialect = state.dialect();
        let (cards, log) = (dialect.table(&state.table), dialect.table(&state.merged_card_table()));
        let survivors = dialect.table(&state.sibling_table(SURVIVOR_TABLE));
        let changes = dialect.table(&state.sibling_table(CHANGE_TABLE));
        let id = dialect.quote("id");
        let key = format!("m.{id}");
        let taken = format!("{log} AS m JOIN {cards} AS t ON t.{id} = m.{id} WHERE m.repair_run = {run}");
        if let Some((_, names)) = self.rows(&key, &taken).await? {
            found
                .push(format!("after the repair, cards with the ids of merged cards were created ({names})"));
        }
        let key = format!("b.{id}");
        let merged_later = format!("b.{id} IN (SELECT m.{id} FROM {log} AS m WHERE m.repair_run = {run})");
        let gone = format!(
            "{survivors} AS b LEFT JOIN {cards} AS t ON t.{id} = b.{id} WHERE b.repair_run = {run} AND t.{id} IS \
             NULL AND NOT ({merged_later})"
        );
        if let Some((number, names)) = self.rows(&key, &gone).await? {
            found.push(format!("after the repair, {number} cards were deleted ({names})"));
        }
        for column in state.derived_columns() {
            let name = dialect.quote(column);
            let now = dialect.text(&format!("t.{name}"));
            let change = format!(
                "FROM {changes} AS g WHERE g.repair_run = {run} AND g.table_name = {} AND g.column_name = {} AND \
                 g.row_key = {}",
                dialect.literal(&state.label(&state.table)),
                dialect.literal(column),
                dialect.same_kind(&dialect.text(&format!("b.{id}"))),
            );
            let logged = format!("EXISTS (SELECT 1 {change})");
            let left = format!("(SELECT g.new_value {change} ORDER BY g.change_id DESC LIMIT 1)");
            // If the repair changed a value, the card must still have the last value in the log of changes. Otherwise
            // it must have the value in the log of survivors.
            let changed = format!(
                "{survivors} AS b JOIN {cards} AS t ON t.{id} = b.{id} WHERE b.repair_run = {run} AND CASE WHEN \
                 {logged} THEN NOT ({}) ELSE {} END",
                dialect.exactly(&now, &left),
                dialect.different(&format!("b.{name}"), &format!("t.{name}")),
            );
            if let Some((number, names)) = self.rows(&key, &changed).await? {
                found.push(format!("after the repair, `{column}` of {number} cards was changed ({names})"));
            }
        }
        Ok(())
    }

    /// Finds rows of a child table in which the repair changed this column, and that were deleted since, or changed in
    /// this column. In a table without a single-column key, reports all rows in which the repair changed this column,
    /// because the undo cannot find these rows.
    async fn child(
        &self,
        child: &ChildTable,
        column: &str,
        found: &mut Vec<String>,
    ) -> Result<(), RepairError> {
        let (state, run) = (self.state, self.run);
        let dialect = state.dialect();
        let table = dialect.table(&child.table);
        let changes = dialect.table(&state.sibling_table(CHANGE_TABLE));
        let label = state.label(&child.table);
        let of_column = format!(
            "g.repair_run = {run} AND g.table_name = {} AND g.column_name = {}",
            dialect.literal(&label),
            dialect.literal(column)
        );
        let Some(key) = &child.key else {
            let moved =
                count(self.connection, format!("SELECT COUNT(*) FROM {changes} AS g WHERE {of_column}"))
                    .await?;
            if moved > 0 {
                found.push(format!(
                    "the repair moved {moved} rows of `{label}`, and they cannot be found, because the table has no \
                     single-column key"
                ));
            }
            return Ok(());
        };
        let last = format!(
            "NOT EXISTS (SELECT 1 FROM {changes} AS l WHERE l.repair_run = g.repair_run AND l.table_name = \
             g.table_name AND l.column_name = g.column_name AND l.row_key = g.row_key AND l.change_id > g.change_id)"
        );
        let key = dialect.quote(&key.column);
        let value = dialect.text(&format!("c.{}", dialect.quote(column)));
        let from = format!(
            "{changes} AS g LEFT JOIN {table} AS c ON {on} WHERE {of_column} AND {last} AND (c.{key} IS NULL OR NOT \
             ({same}))",
            on = join_condition(state, child, column, run),
            same = dialect.exactly(&value, "g.new_value"),
        );
        if let Some((number, names)) = self.rows("g.row_key", &from).await? {
            found.push(format!(
                "after the repair, {number} rows of `{label}` were deleted, or their `{column}` was changed ({names})"
            ));
        }
        Ok(())
    }

    /// Finds rows of a child table that were added to survivors since the repair. Finds nothing in a table without an
    /// integer key.
    async fn new_rows(
        &self,
        child: &ChildTable,
        before: &StateBefore,
        found: &mut Vec<String>,
    ) -> Result<(), RepairError> {
        let state = self.state;
        let label = state.label(&child.table);
        let (Some(last), Some(key)) = (before.last_ids.get(&label), &child.key) else { return Ok(()) };
        let dialect = state.dialect();
        let key = format!("c.{}", dialect.quote(&key.column));
        let from = format!(
            "{} AS c WHERE {key} > {last} AND c.{} IN (SELECT b.{} FROM {} AS b WHERE b.repair_run = {})",
            dialect.table(&child.table),
            dialect.quote(&child.column),
            dialect.quote("id"),
            dialect.table(&state.sibling_table(SURVIVOR_TABLE)),
            self.run,
        );
        if let Some((number, names)) = self.rows(&key, &from).await? {
            found.push(format!(
                "after the repair, {number} rows of `{label}` ({names}) were added to the surviving cards"
            ));
        }
        Ok(())
    }

    /// Finds cards that prevent the old key from being added again. That key refuses the cards of a purchase's second
    /// subject. Finds nothing if the run did not remove an old key.
    async fn old_key(&self, before: &StateBefore, found: &mut Vec<String>) -> Result<(), RepairError> {
        let exists = |columns: &[String]| {
            self.state.old_keys().any(|key| {
                key.columns.len() == columns.len()
                    && key.columns.iter().zip(columns).all(|(one, other)| same(one, other))
            })
        };
        if !before.keys.iter().any(|key| key.is_old() && !exists(&key.columns)) {
            return Ok(());
        }
        let dialect = self.state.dialect();
        let key = dialect.quote_all(OLD_KEY_COLUMNS);
        let text = format!(
            "SELECT COUNT(*) FROM (SELECT {key} FROM {} WHERE {} IS NOT NULL GROUP BY {key} HAVING COUNT(*) > 1) AS \
             found",
            dialect.table(&self.state.table),
            dialect.quote("purchase_id"),
        );
        let double = count(self.connection, text).await?;
        if double > 0 {
            found.push(format!(
                "the old key (purchase_id, test_number) cannot be added again: cards of several subjects \
                 have the same purchase and test number, {double} times"
            ));
        }
        Ok(())
    }
}
