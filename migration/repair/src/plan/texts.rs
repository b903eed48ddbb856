//! The statements of a merge, made from the inspected schema. Numbers are part of the text.

use crate::inspect::TableState;
use crate::inspect::children::{Child, DERIVED};
use crate::inspect::groups::{Which, texts_of, with_ids};
use crate::sql::Dialect;
use crate::{CHANGES, CLOSED, SURVIVORS};

/// Reasons in the log of changes.
pub(crate) mod reason {
    pub(crate) const MERGED: &str = "its card was merged";
    pub(crate) const ASIDE: &str = "a second set of questions, kept aside";
    pub(crate) const CLOSED: &str = "open beside another sitting of its card";
    pub(crate) const SITTING: &str = "numbered by time among the sittings of its card";
    pub(crate) const RECOMPUTED: &str = "computed again";
}

/// Makes the statements of one run of a repair.
#[derive(Clone, Debug)]
pub(crate) struct Texts<'s> {
    pub(super) state: &'s TableState,
    run: i64,
}

/// A row of the log of changes, as SQL expressions.
struct Change<'c> {
    table: String,
    row: String,
    column: &'c str,
    old: String,
    new: String,
    reason: &'c str,
}

impl<'s> Texts<'s> {
    pub(crate) fn of(state: &'s TableState, run: i64) -> Self {
        Self { state, run }
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.state.dialect()
    }

    pub(super) fn cards(&self) -> String {
        self.dialect().table(&self.state.table)
    }

    pub(super) fn id(&self) -> String {
        self.dialect().quote("id")
    }

    /// Copies survivors as they are before their first change.
    pub(crate) fn keep_survivors(&self, ids: &str) -> String {
        let (dialect, run) = (self.dialect(), self.run);
        let columns = dialect.quote_all(self.state.columns.iter().map(|column| column.name.as_str()));
        let survivors = dialect.table(&self.state.beside(SURVIVORS));
        format!(
            "INSERT INTO {survivors} ({run_column}, {columns}) SELECT {run}, {columns} FROM {cards} AS t WHERE \
             t.{id} IN ({ids}) AND NOT EXISTS (SELECT 1 FROM {survivors} AS b WHERE b.{run_column} = {run} AND \
             b.{id} = t.{id})",
            cards = self.cards(),
            id = self.id(),
            run_column = dialect.quote("repair_run"),
        )
    }

    /// Copies merged cards completely to their log. `cases` pairs them with their survivors.
    pub(crate) fn log_cards(&self, ids: &str, cases: &str) -> String {
        let dialect = self.dialect();
        let columns = dialect.quote_all(self.state.columns.iter().map(|column| column.name.as_str()));
        format!(
            "INSERT INTO {log} ({columns}, {own}) SELECT {columns}, CASE {id} {cases} END, {now}, {run} FROM \
             {cards} WHERE {id} IN ({ids})",
            log = dialect.table(&self.state.log_table()),
            own = dialect.quote_all(["survivor_id", "merged_at", "repair_run"]),
            id = self.id(),
            now = dialect.now(),
            run = self.run,
            cards = self.cards(),
        )
    }

    pub(crate) fn delete_cards(&self, ids: &str) -> String {
        format!("DELETE FROM {} WHERE {} IN ({ids})", self.cards(), self.id())
    }

    /// Logs and moves the rows of a table that follow their cards.
    pub(crate) fn follow(&self, child: &Child, ids: &str, cases: &str, reason: &str) -> [String; 2] {
        let dialect = self.dialect();
        let column = dialect.quote(&child.column);
        let change = Change {
            row: row_key(dialect, child),
            old: dialect.text(&column),
            new: dialect.text(&format!("(CASE {column} {cases} END)")),
            ..self.change(child, reason)
        };
        let table = dialect.table(&child.table);
        [
            self.insert_change(&change, &format!("{table} WHERE {column} IN ({ids})")),
            format!(
                "UPDATE {table} SET {column} = CASE {column} {cases} END{} WHERE {column} IN ({ids})",
                child.keep_self_setting(dialect),
            ),
        ]
    }

    /// Logs questions of cards, and detaches them from the cards.
    pub(crate) fn put_aside(&self, child: &Child, ids: &str) -> [String; 2] {
        let dialect = self.dialect();
        let column = dialect.quote(&child.column);
        let change = Change {
            row: row_key(dialect, child),
            old: dialect.text(&column),
            new: "NULL".to_owned(),
            ..self.change(child, reason::ASIDE)
        };
        let table = dialect.table(&child.table);
        [
            self.insert_change(&change, &format!("{table} WHERE {column} IN ({ids})")),
            format!(
                "UPDATE {table} SET {column} = NULL{} WHERE {column} IN ({ids})",
                child.keep_self_setting(dialect)
            ),
        ]
    }

    /// Logs and closes sittings.
    pub(crate) fn close(&self, child: &Child, key: &str, ids: &str) -> [String; 2] {
        let dialect = self.dialect();
        let (key, status) = (dialect.quote(key), dialect.quote("status"));
        let closed = self.state.closed().unwrap_or_else(|| CLOSED.to_owned());
        let change = Change {
            row: dialect.text(&key),
            column: "status",
            old: dialect.text(&status),
            new: dialect.literal(&closed),
            ..self.change(child, reason::CLOSED)
        };
        let table = dialect.table(&child.table);
        [
            self.insert_change(&change, &format!("{table} WHERE {key} IN ({ids})")),
            format!(
                "UPDATE {table} SET {status} = {}{} WHERE {key} IN ({ids})",
                dialect.literal(&closed),
                child.keep_self_setting(dialect)
            ),
        ]
    }

    /// Logs sittings whose position changes, while the rows are unchanged. The new cards and numbers are given as
    /// `WHEN id THEN value`.
    pub(crate) fn log_places(
        &self,
        child: &Child,
        key: &str,
        column: &str,
        ids: &str,
        cases: &str,
    ) -> String {
        let dialect = self.dialect();
        let (key, name) = (dialect.quote(key), dialect.quote(column));
        let change = Change {
            row: dialect.text(&key),
            column,
            old: dialect.text(&name),
            new: dialect.text(&format!("(CASE {key} {cases} END)")),
            ..self.change(child, if column == child.column { reason::MERGED } else { reason::SITTING })
        };
        self.insert_change(&change, &format!("{} WHERE {key} IN ({ids})", dialect.table(&child.table)))
    }

    /// Sets the position of a sitting.
    pub(crate) fn place(
        &self,
        child: &Child,
        key: &str,
        id: &str,
        card: &str,
        number: Option<&str>,
    ) -> String {
        let dialect = self.dialect();
        let number = number
            .map(|number| format!(", {} = {number}", dialect.quote("attempt_number")))
            .unwrap_or_default();
        format!(
            "UPDATE {} SET {} = {card}{number}{} WHERE {} = {id}",
            dialect.table(&child.table),
            dialect.quote(&child.column),
            child.keep_self_setting(dialect),
            dialect.quote(key),
        )
    }

    /// Logs a derived column of the survivors for which it changed.
    pub(crate) fn log_recomputed(&self, column: &str, ids: &str) -> String {
        let dialect = self.dialect();
        let name = dialect.quote(column);
        let change = Change {
            table: self.state.label(&self.state.table),
            row: dialect.text(&format!("t.{}", self.id())),
            column,
            old: dialect.text(&format!("b.{name}")),
            new: dialect.text(&format!("t.{name}")),
            reason: reason::RECOMPUTED,
        };
        let from = format!(
            "{cards} AS t JOIN {survivors} AS b ON b.{run_column} = {run} AND b.{id} = t.{id} WHERE t.{id} IN \
             ({ids}) AND {different}",
            cards = self.cards(),
            survivors = dialect.table(&self.state.beside(SURVIVORS)),
            run_column = dialect.quote("repair_run"),
            run = self.run,
            id = self.id(),
            different = dialect.different(&format!("b.{name}"), &format!("t.{name}")),
        );
        self.insert_change(&change, &from)
    }

    fn change<'c>(&self, child: &'c Child, reason: &'c str) -> Change<'c> {
        let (row, old, new) = Default::default();
        Change { table: self.state.label(&child.table), row, column: &child.column, old, new, reason }
    }

    fn insert_change(&self, change: &Change<'_>, from: &str) -> String {
        let dialect = self.dialect();
        let columns = [
            "repair_run",
            "table_name",
            "row_key",
            "column_name",
            "old_value",
            "new_value",
            "reason",
            "changed_at",
        ];
        let literal = |text: &str| dialect.literal(text);
        format!(
            "INSERT INTO {} ({}) SELECT {}, {}, {}, {}, {}, {}, {}, {} FROM {from}",
            dialect.table(&self.state.beside(CHANGES)),
            dialect.quote_all(columns),
            self.run,
            literal(&change.table),
            change.row,
            literal(change.column),
            change.old,
            change.new,
            literal(change.reason),
            dialect.now(),
        )
    }

    /// Returns all statements of a batch in order, as a plan shows them.
    pub(crate) fn in_order(&self) -> Vec<String> {
        let (ids, cases) = ("…", "WHEN … THEN …");
        let condition = with_ids(self.state, ids);
        let mut texts = texts_of(self.state, &Which { condition: &condition, ids: Vec::new(), lock: true });
        texts.push(self.keep_survivors(ids));
        texts.push(self.log_cards(ids, cases));
        if let Some(sittings) = self.state.sittings() {
            let (child, key) = (&sittings.child, sittings.id.as_str());
            let number = sittings.has("attempt_number").then_some("…");
            if sittings.has("status") {
                texts.extend(self.close(child, key, ids));
            }
            texts.push(self.log_places(child, key, &child.column, ids, cases));
            if number.is_some() {
                texts.push(self.log_places(child, key, "attempt_number", ids, cases));
            }
            texts.push(self.place(child, key, "…", "…", number));
        }
        if let Some(questions) = self.state.questions().filter(|questions| questions.nullable) {
            texts.extend(self.put_aside(&questions, ids));
        }
        for child in self.state.followers() {
            texts.extend(self.follow(&child, ids, cases, reason::MERGED));
        }
        let derived: Vec<_> = DERIVED.into_iter().filter(|name| self.state.has(name)).collect();
        if !derived.is_empty() {
            let sets: Vec<_> =
                derived.iter().map(|name| format!("{} = …", self.dialect().quote(name))).collect();
            texts.push(format!("UPDATE {} SET {} WHERE {} = …", self.cards(), sets.join(", "), self.id()));
            texts.extend(derived.iter().map(|name| self.log_recomputed(name, ids)));
        }
        texts.push(self.delete_cards(ids));
        texts
    }
}

/// Returns the key of a child's row as text; null if no single column identifies a row.
fn row_key(dialect: Dialect, child: &Child) -> String {
    match &child.key {
        Some(key) => dialect.text(&dialect.quote(&key.column)),
        None => "NULL".to_owned(),
    }
}
