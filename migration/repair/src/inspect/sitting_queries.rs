//! The queries that compare cards with their sittings.

use super::sitting_table::SittingTable;
use super::state::TableState;
use crate::sql::Dialect;

/// Writes the queries that compare cards with their sittings. In the SQL, `t` is a card and `s` is a sitting.
pub(super) struct SittingQueries<'t> {
    pub(super) state: &'t TableState,
    pub(super) dialect: Dialect,
    pub(super) sittings: &'t SittingTable,
}

/// The parts of SQL that [`SittingQueries::used_too_low`] and [`SittingQueries::used_too_high`] have in common.
struct UsedQueryParts {
    select: String,
    on: String,
    group: String,
    used: String,
}

impl SittingQueries<'_> {
    /// Returns the quoted name of a column, after the alias of its table.
    pub(super) fn name(&self, alias: &str, column: &str) -> String {
        format!("{alias}.{}", self.dialect.quote(column))
    }

    /// Returns the quoted name of the table of sittings.
    pub(super) fn table(&self) -> String {
        self.dialect.table(&self.sittings.child.table)
    }

    /// Returns the quoted name of the table of cards.
    pub(super) fn cards(&self) -> String {
        self.dialect.table(&self.state.table)
    }

    /// Returns the column of a sitting that refers to its card.
    pub(super) fn card(&self) -> String {
        self.name("s", &self.sittings.child.column)
    }

    /// Returns the SQL condition that a sitting has this status, in small or capital letters.
    pub(super) fn has_status(&self, status: &str) -> String {
        format!("LOWER({}) = '{status}'", self.dialect.text(&self.name("s", "status")))
    }

    /// Returns the expression for the score of a sitting. `None` if the table has no column for the score.
    pub(super) fn score(&self) -> Option<String> {
        let existing: Vec<_> = ["score", "correct_answers"]
            .into_iter()
            .filter(|name| self.sittings.has(name))
            .map(|name| self.name("s", name))
            .collect();
        match existing.as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            several => Some(format!("COALESCE({})", several.join(", "))),
        }
    }

    /// Returns the SQL condition that a sitting was completed. It must agree with
    /// [`SittingRow::is_completed`](super::rows::SittingRow::is_completed).
    pub(super) fn completed(&self) -> String {
        let mut signs: Vec<String> = self.score().into_iter().collect();
        if self.sittings.has("completed_at") {
            signs.push(self.name("s", "completed_at"));
        }
        let signs: Vec<_> = signs.iter().map(|sign| format!("{sign} IS NOT NULL")).collect();
        let sign = if signs.is_empty() { "1 = 0".to_owned() } else { signs.join(" OR ") };
        if !self.sittings.has("status") {
            return format!("({sign})");
        }
        let (completed, status) = (self.has_status("completed"), self.name("s", "status"));
        format!("({completed} OR ({status} IS NULL AND ({sign})))")
    }

    /// Selects cards with several sittings that have the same attempt number. `None` if sittings have no attempt
    /// number.
    pub(super) fn double_numbers(&self) -> Option<String> {
        if !self.sittings.has("attempt_number") {
            return None;
        }
        let (card, number) = (self.card(), self.name("s", "attempt_number"));
        Some(format!(
            "SELECT {card} AS id, {number} AS attempt_number, COUNT(*) AS sittings FROM {} AS s WHERE {card} IS \
             NOT NULL AND {number} IS NOT NULL GROUP BY {card}, {number} HAVING COUNT(*) > 1",
            self.table()
        ))
    }

    /// Selects cards with gaps in the attempt numbers of their sittings. `None` if sittings have no attempt number.
    pub(super) fn number_gaps(&self) -> Option<String> {
        if !self.sittings.has("attempt_number") {
            return None;
        }
        let (card, number) = (self.card(), self.name("s", "attempt_number"));
        Some(format!(
            "SELECT {card} AS id, COUNT(DISTINCT {number}) AS sittings, MAX({number}) AS last_number FROM {} AS s \
             WHERE {card} IS NOT NULL GROUP BY {card} HAVING MAX({number}) > COUNT(DISTINCT {number})",
            self.table()
        ))
    }

    /// Selects cards with more than one open sitting. `None` if sittings have no status.
    pub(super) fn open_twice(&self) -> Option<String> {
        if !self.sittings.has("status") {
            return None;
        }
        let card = self.card();
        Some(format!(
            "SELECT {card} AS id, COUNT(*) AS open_sittings FROM {} AS s WHERE {card} IS NOT NULL AND {} GROUP BY \
             {card} HAVING COUNT(*) > 1",
            self.table(),
            self.has_status("in_progress")
        ))
    }

    /// Selects cards with fewer attempts used than completed sittings. `None` if cards do not count attempts.
    pub(super) fn used_too_low(&self) -> Option<String> {
        let UsedQueryParts { select, on, group, used } = self.used_query_parts()?;
        let completed = self.completed();
        Some(format!("{select} JOIN {on} WHERE {used} IS NOT NULL AND {completed} {group} > {used}"))
    }

    /// Selects cards with more attempts used than sittings. `None` if cards do not count attempts.
    pub(super) fn used_too_high(&self) -> Option<String> {
        let UsedQueryParts { select, on, group, used } = self.used_query_parts()?;
        Some(format!("{select} LEFT JOIN {on} WHERE {used} > 0 {group} < {used}"))
    }

    fn used_query_parts(&self) -> Option<UsedQueryParts> {
        if !self.state.has("attempts_used") {
            return None;
        }
        let (id, used) = (self.name("t", "id"), self.name("t", "attempts_used"));
        let sitting = self.dialect.quote(&self.sittings.id);
        Some(UsedQueryParts {
            select: format!(
                "SELECT {id} AS id, {used} AS attempts_used, COUNT(s.{sitting}) AS sittings FROM {} AS t",
                self.cards()
            ),
            on: format!("{} AS s ON {} = {id}", self.table(), self.card()),
            group: format!("GROUP BY {id}, {used} HAVING COUNT(s.{sitting})"),
            used,
        })
    }

    /// Selects cards with more attempts used than allowed.
    pub(super) fn over_limit(&self) -> String {
        let (used, allowed) = (self.name("t", "attempts_used"), self.name("t", "max_attempts"));
        format!(
            "SELECT {} AS id, {used} AS attempts_used, {allowed} AS max_attempts FROM {} AS t WHERE {used} > \
             {allowed}",
            self.name("t", "id"),
            self.cards()
        )
    }
}
