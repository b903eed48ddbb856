//! Writes the statements of a merge for the inspected schema. Ids are part of the text. Only the statement that sets
//! the card and the attempt number of a sitting has parameters.

use crate::inspect::{CardSelection, ChildTable, TableState, load_statements, with_ids};
use crate::names::{
    ABANDONED_STATUS, CHANGE_TABLE, REASON_CARD_MERGED, REASON_CARD_RECOMPUTED, REASON_SET_DETACHED,
    REASON_SITTING_CLOSED, REASON_SITTING_NUMBERED, SURVIVOR_TABLE,
};
use crate::sql::Dialect;

/// Writes the statements of one run of a repair.
#[derive(Clone, Debug)]
pub(crate) struct MergeStatements<'s> {
    pub(super) state: &'s TableState,
    run: i64,
}

/// A row of the log of changes, as SQL expressions.
struct LoggedChange<'c> {
    table: String,
    row: String,
    column: &'c str,
    old: String,
    new: String,
    reason: &'c str,
}

impl<'s> MergeStatements<'s> {
    /// Creates a writer for the statements of the run with this number.
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

    /// Returns the statement that copies survivors to the log of survivors. The statement leaves out the survivors that
    /// this run has copied already.
    pub(crate) fn log_survivors(&self, ids: &str) -> String {
        let (dialect, run) = (self.dialect(), self.run);
        let columns = dialect.quote_all(self.state.columns.iter().map(|column| column.name.as_str()));
        let survivors = dialect.table(&self.state.sibling_table(SURVIVOR_TABLE));
        format!(
            "INSERT INTO {survivors} ({run_column}, {columns}) SELECT {run}, {columns} FROM {cards} AS t WHERE \
             t.{id} IN ({ids}) AND NOT EXISTS (SELECT 1 FROM {survivors} AS b WHERE b.{run_column} = {run} AND \
             b.{id} = t.{id})",
            cards = self.cards(),
            id = self.id(),
            run_column = dialect.quote("repair_run"),
        )
    }

    /// Returns the statement that copies cards to the log of merged cards. `cases` gives each card its survivor, as
    /// `WHEN id THEN survivor`.
    pub(crate) fn log_cards(&self, ids: &str, cases: &str) -> String {
        let dialect = self.dialect();
        let columns = dialect.quote_all(self.state.columns.iter().map(|column| column.name.as_str()));
        format!(
            "INSERT INTO {log} ({columns}, {own}) SELECT {columns}, CASE {id} {cases} END, {now}, {run} FROM \
             {cards} WHERE {id} IN ({ids})",
            log = dialect.table(&self.state.merged_card_table()),
            own = dialect.quote_all(["survivor_id", "merged_at", "repair_run"]),
            id = self.id(),
            now = dialect.now(),
            run = self.run,
            cards = self.cards(),
        )
    }

    /// Returns the statement that deletes cards.
    pub(crate) fn delete_cards(&self, ids: &str) -> String {
        format!("DELETE FROM {} WHERE {} IN ({ids})", self.cards(), self.id())
    }

    /// Returns two statements. The first logs the rows that refer to merged cards. The second changes these rows to
    /// refer to the survivors.
    pub(crate) fn move_rows(&self, child: &ChildTable, ids: &str, cases: &str, reason: &str) -> [String; 2] {
        let dialect = self.dialect();
        let column = dialect.quote(&child.column);
        let change = LoggedChange {
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

    /// Returns two statements. The first logs the questions of cards. The second sets their reference to the card to
    /// null.
    pub(crate) fn detach_questions(&self, child: &ChildTable, ids: &str) -> [String; 2] {
        let dialect = self.dialect();
        let column = dialect.quote(&child.column);
        let change = LoggedChange {
            row: row_key(dialect, child),
            old: dialect.text(&column),
            new: "NULL".to_owned(),
            ..self.change(child, REASON_SET_DETACHED)
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

    /// Returns two statements. The first logs open sittings. The second sets their status to `abandoned`.
    pub(crate) fn close_sittings(&self, child: &ChildTable, key: &str, ids: &str) -> [String; 2] {
        let dialect = self.dialect();
        let (key, status) = (dialect.quote(key), dialect.quote("status"));
        let closed = self.state.abandoned_status().unwrap_or_else(|| ABANDONED_STATUS.to_owned());
        let change = LoggedChange {
            row: dialect.text(&key),
            column: "status",
            old: dialect.text(&status),
            new: dialect.literal(&closed),
            ..self.change(child, REASON_SITTING_CLOSED)
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

    /// Returns the statement that logs the old and new values of a column of sittings. It must run before the sittings
    /// change. `cases` gives each sitting its new value, as `WHEN id THEN value`.
    pub(crate) fn log_sitting_column(
        &self,
        child: &ChildTable,
        key: &str,
        column: &str,
        ids: &str,
        cases: &str,
    ) -> String {
        let dialect = self.dialect();
        let (key, name) = (dialect.quote(key), dialect.quote(column));
        let change = LoggedChange {
            row: dialect.text(&key),
            column,
            old: dialect.text(&name),
            new: dialect.text(&format!("(CASE {key} {cases} END)")),
            ..self.change(
                child,
                if column == child.column { REASON_CARD_MERGED } else { REASON_SITTING_NUMBERED },
            )
        };
        self.insert_change(&change, &format!("{} WHERE {key} IN ({ids})", dialect.table(&child.table)))
    }

    /// Returns the statement that sets the card of a sitting, and its attempt number if `number` is given.
    pub(crate) fn set_attempt_number(
        &self,
        child: &ChildTable,
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

    /// Returns the statement that logs a computed column of those survivors whose value has changed. It must run after
    /// the change, and reads the old values from the log of survivors.
    pub(crate) fn log_recomputed(&self, column: &str, ids: &str) -> String {
        let dialect = self.dialect();
        let name = dialect.quote(column);
        let change = LoggedChange {
            table: self.state.label(&self.state.table),
            row: dialect.text(&format!("t.{}", self.id())),
            column,
            old: dialect.text(&format!("b.{name}")),
            new: dialect.text(&format!("t.{name}")),
            reason: REASON_CARD_RECOMPUTED,
        };
        let from = format!(
            "{cards} AS t JOIN {survivors} AS b ON b.{run_column} = {run} AND b.{id} = t.{id} WHERE t.{id} IN \
             ({ids}) AND {different}",
            cards = self.cards(),
            survivors = dialect.table(&self.state.sibling_table(SURVIVOR_TABLE)),
            run_column = dialect.quote("repair_run"),
            run = self.run,
            id = self.id(),
            different = dialect.different(&format!("b.{name}"), &format!("t.{name}")),
        );
        self.insert_change(&change, &from)
    }

    /// Begins an entry of the log of changes. The caller sets the row, the old value and the new value.
    fn change<'c>(&self, child: &'c ChildTable, reason: &'c str) -> LoggedChange<'c> {
        let (row, old, new) = Default::default();
        LoggedChange { table: self.state.label(&child.table), row, column: &child.column, old, new, reason }
    }

    /// Returns the statement that inserts an entry into the log of changes for each row of `from`, the text after FROM.
    fn insert_change(&self, change: &LoggedChange<'_>, from: &str) -> String {
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
            dialect.table(&self.state.sibling_table(CHANGE_TABLE)),
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

    /// Returns all statements of a batch in order, for the plan to show. An ellipsis stands for a value.
    pub(crate) fn in_order(&self) -> Vec<String> {
        let (ids, cases) = ("…", "WHEN … THEN …");
        let condition = with_ids(self.state, ids);
        let mut texts = load_statements(
            self.state,
            &CardSelection { condition: &condition, ids: Vec::new(), lock: true },
        );
        texts.push(self.log_survivors(ids));
        texts.push(self.log_cards(ids, cases));
        if let Some(sittings) = self.state.sittings() {
            let (child, key) = (&sittings.child, sittings.id.as_str());
            let number = sittings.has("attempt_number").then_some("…");
            if sittings.has("status") {
                texts.extend(self.close_sittings(child, key, ids));
            }
            texts.push(self.log_sitting_column(child, key, &child.column, ids, cases));
            if number.is_some() {
                texts.push(self.log_sitting_column(child, key, "attempt_number", ids, cases));
            }
            texts.push(self.set_attempt_number(child, key, "…", "…", number));
        }
        if let Some(questions) = self.state.questions().filter(|questions| questions.nullable) {
            texts.extend(self.detach_questions(&questions, ids));
        }
        for child in self.state.followers() {
            texts.extend(self.move_rows(&child, ids, cases, REASON_CARD_MERGED));
        }
        let derived = self.state.derived_columns();
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

/// Returns the key of a child's row as text. It is null if no single column identifies a row.
fn row_key(dialect: Dialect, child: &ChildTable) -> String {
    match &child.key {
        Some(key) => dialect.text(&dialect.quote(&key.column)),
        None => "NULL".to_owned(),
    }
}
