//! Writes the statement that updates a survivor.

use super::group_plan::GroupPlan;
use super::merge_statements::MergeStatements;
use super::score_source::ScoreSource;
use crate::inspect::{keep, self_setting};

impl MergeStatements<'_> {
    /// Returns the statement that updates a survivor's counts, status, questions and scores. `None` if no column
    /// changes.
    pub(crate) fn update_survivor(&self, plan: &GroupPlan) -> Option<String> {
        if !plan.changes_survivor() {
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
        if plan.counts_change {
            if let Some(used) = plan.used {
                set("attempts_used", used.to_string());
            }
            if let Some(allowed) = plan.allowed {
                set("max_attempts", allowed.to_string());
            }
            if let Some(status) = &plan.status {
                set("status", dialect.literal(status));
            }
        }
        if let Some(card) = plan.paper {
            for name in ["total_questions", "questions_generated"] {
                set(name, self.of_card(card, name));
            }
        }
        if let Some(source) = plan.latest {
            for (name, of_sitting) in [
                ("latest_score", "score"),
                ("latest_percentage", "percentage"),
                ("latest_time_taken", "time_taken"),
                ("latest_attempt_date", ""),
            ] {
                set(name, self.of_source(source, name, of_sitting));
            }
        }
        if let Some(source) = plan.first {
            for (name, of_sitting) in [("first_attempt_score", "score"), ("first_attempt_date", "")] {
                set(name, self.of_source(source, name, of_sitting));
            }
        }
        if plan.mark_generated {
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
            plan.survivor,
        ))
    }

    /// Returns the SQL expression for a column of another card. MySQL refuses a subquery on the updated table unless
    /// the subquery is nested twice.
    fn of_card(&self, card: i64, column: &str) -> String {
        let column = self.dialect().quote(column);
        format!(
            "(SELECT f.v FROM (SELECT o.{column} AS v FROM {} AS o WHERE o.{} = {card} LIMIT 1) AS f)",
            self.cards(),
            self.id(),
        )
    }

    /// Returns the SQL expression for `column` of the card, read from `source`. `of_sitting` names the column of the
    /// sitting; an empty text stands for the date of the sitting.
    fn of_source(&self, source: ScoreSource, column: &str, of_sitting: &str) -> String {
        let (id, starts, questions) = match source {
            ScoreSource::Card(card) => return self.of_card(card, column),
            ScoreSource::Sitting { id, starts, questions } => (id, starts, questions),
        };
        let Some(sittings) = self.state.sittings() else { return "NULL".to_owned() };
        let dialect = self.dialect();
        let name = |column: &str| sittings.column(dialect, "s", column);
        let coalesce = |names: &[&str]| {
            let existing: Vec<_> =
                names.iter().filter(|one| sittings.has(one)).map(|one| name(one)).collect();
            match existing.as_slice() {
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
            // If no percentage is stored, the statement computes the percentage with `questions`, the number of
            // questions of the sitting's test. The survivor may have another set of questions.
            "percentage" => {
                let stored = read(&name("percentage"));
                match questions {
                    Some(questions) => format!("COALESCE({stored}, 100.0 * {} / {questions})", read(&score)),
                    None => stored,
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

    /// Returns the SQL literal for true in the type of the column `questions_generated`: `TRUE` or `1`.
    fn yes(&self) -> String {
        let is_bool = |name: &str| {
            let found = self.state.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name));
            found.is_some_and(|column| column.definition.eq_ignore_ascii_case("boolean"))
        };
        let boolean = self.dialect().is_postgres() && is_bool("questions_generated");
        if boolean { "TRUE".to_owned() } else { "1".to_owned() }
    }
}
