//! The statement that sets a card's values about its sittings and questions.

use super::settle::{Settled, Source};
use super::texts::Texts;
use crate::inspect::children::{keep, self_setting};

impl Texts<'_> {
    /// Returns the statement that sets a survivor's values about its sittings. None if nothing changes.
    pub(crate) fn recompute(&self, settled: &Settled) -> Option<String> {
        if !settled.recomputes() {
            return None;
        }
        let dialect = self.dialect();
        let has = |name: &&str| self.state.has(name);
        let mut sets: Vec<(&str, String)> = Vec::new();
        let mut set = |name: &'static str, value: String| {
            if has(&name) {
                sets.push((name, value));
            }
        };
        if settled.recount {
            if let Some(used) = settled.used {
                set("attempts_used", used.to_string());
            }
            if let Some(allowed) = settled.allowed {
                set("max_attempts", allowed.to_string());
            }
            if let Some(status) = &settled.status {
                set("status", dialect.literal(status));
            }
        }
        if let Some(card) = settled.paper {
            for name in ["total_questions", "questions_generated"] {
                set(name, self.of_card(card, name));
            }
        }
        if let Some(source) = settled.latest {
            for (name, of_sitting) in [
                ("latest_score", "score"),
                ("latest_percentage", "percentage"),
                ("latest_time_taken", "time_taken"),
                ("latest_attempt_date", ""),
            ] {
                set(name, self.of_source(source, name, of_sitting));
            }
        }
        if let Some(source) = settled.first {
            for (name, of_sitting) in [("first_attempt_score", "score"), ("first_attempt_date", "")] {
                set(name, self.of_source(source, name, of_sitting));
            }
        }
        if settled.mark_generated {
            sets.retain(|(name, _)| *name != "questions_generated");
            sets.push(("questions_generated", self.yes()));
        }
        if sets.is_empty() {
            return None;
        }
        let sets: Vec<_> =
            sets.iter().map(|(name, value)| format!("{} = {value}", dialect.quote(name))).collect();
        Some(format!(
            "UPDATE {} SET {}{} WHERE {} = {}",
            self.cards(),
            sets.join(", "),
            keep(dialect, &self_setting(&self.state.columns)),
            self.id(),
            settled.survivor,
        ))
    }

    /// Returns the value of another card of the same table. Without the inner query MySQL would refuse it.
    fn of_card(&self, card: i64, column: &str) -> String {
        let column = self.dialect().quote(column);
        format!(
            "(SELECT f.v FROM (SELECT o.{column} AS v FROM {} AS o WHERE o.{} = {card} LIMIT 1) AS f)",
            self.cards(),
            self.id(),
        )
    }

    fn of_source(&self, source: Source, column: &str, of_sitting: &str) -> String {
        let (id, starts, total) = match source {
            Source::Card(card) => return self.of_card(card, column),
            Source::Sitting { id, starts, total } => (id, starts, total),
        };
        let Some(sittings) = self.state.sittings() else { return "NULL".to_owned() };
        let dialect = self.dialect();
        let name = |column: &str| sittings.column(dialect, "s", column);
        let coalesce = |names: &[&str]| {
            let there: Vec<_> = names.iter().filter(|one| sittings.has(one)).map(|one| name(one)).collect();
            match there.as_slice() {
                [] => "NULL".to_owned(),
                [one] => one.clone(),
                several => format!("COALESCE({})", several.join(", ")),
            }
        };
        let read = |value: &str| {
            format!(
                "(SELECT {value} FROM {} AS s WHERE s.{} = {id})",
                dialect.table(&sittings.child.table),
                dialect.quote(&sittings.id)
            )
        };
        let score = coalesce(&["score", "correct_answers"]);
        match of_sitting {
            "score" => read(&score),
            // The card's own total may be of another paper than the one that was sat.
            "percentage" => {
                let told = read(&name("percentage"));
                match total {
                    Some(total) => format!("COALESCE({told}, 100.0 * {} / {total})", read(&score)),
                    None => told,
                }
            }
            "" => {
                let time = sittings.time.as_deref().unwrap_or_default();
                let order = if starts {
                    ["started_at", time, "completed_at"]
                } else {
                    ["completed_at", "started_at", time]
                };
                read(&coalesce(&order))
            }
            other => read(&name(other)),
        }
    }

    fn yes(&self) -> String {
        let is_bool = |name: &str| {
            let found = self.state.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name));
            found.is_some_and(|column| column.definition.eq_ignore_ascii_case("boolean"))
        };
        let boolean = self.dialect().is_postgres() && is_bool("questions_generated");
        if boolean { "TRUE".to_owned() } else { "1".to_owned() }
    }
}
