//! What an inspection says, for people and for machines.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

use super::{CARDS, LOG, NEW_KEY};
use crate::inspect::{Finding, Inspection, Key};
use crate::plan::{helper_name, leftover_helpers};

/// Which of the two keys stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Only the wrong one.
    OldOnly,
    /// The wrong one beside the right one.
    OldAndNew,
    /// Only the right one, as it should be.
    NewOnly,
    /// None.
    Neither,
    /// None, and cards were made twice.
    NeitherWithDuplicates,
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OldOnly => "the old key only",
            Self::OldAndNew => "the old key beside the new one",
            Self::NewOnly => "the new key only",
            Self::Neither => "neither key",
            Self::NeitherWithDuplicates => "neither key, and duplicates",
        })
    }
}

/// Something that is not right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Names the kind; stable.
    pub code: &'static str,
    /// How many.
    pub count: i64,
    /// A sentence.
    pub message: String,
    /// Whether `jishu repair --apply` makes it right.
    pub repairable: bool,
    /// The first few cases.
    pub samples: Vec<Value>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether all is right.
    pub ok: bool,
    /// `sqlite`, `postgres` or `mysql`.
    pub database: &'static str,
    /// Which keys stand.
    pub state: KeyState,
    /// Rows in the table of cards.
    pub cards: i64,
    /// Cards that repairs have merged into others; they are in the log table.
    pub merged_cards: i64,
    /// What is not right.
    pub problems: Vec<Problem>,
    /// What is worth knowing and not wrong.
    pub notes: Vec<String>,
}

impl Inspection {
    /// Which keys stand.
    #[must_use]
    pub fn key_state(&self) -> KeyState {
        match (self.state.old_keys().next(), self.state.new_key()) {
            (Some(_), None) => KeyState::OldOnly,
            (Some(_), Some(_)) => KeyState::OldAndNew,
            (None, Some(_)) => KeyState::NewOnly,
            (None, None) if self.figures.duplicates.count > 0 => KeyState::NeitherWithDuplicates,
            (None, None) => KeyState::Neither,
        }
    }

    /// What is not right, and what is worth knowing.
    #[must_use]
    pub fn report(&self) -> Report {
        let mut problems = self.key_problems();
        problems.extend(self.row_problems());
        Report {
            ok: problems.is_empty(),
            database: self.state.dialect().name(),
            state: self.key_state(),
            cards: self.figures.cards,
            merged_cards: self.figures.merged,
            problems,
            notes: self.notes(),
        }
    }

    fn key_problems(&self) -> Vec<Problem> {
        let state = &self.state;
        let mut problems = Vec::new();
        let mut keys = |code, message: &str, found: Vec<Value>, repairable| {
            if !found.is_empty() {
                let count = i64::try_from(found.len()).unwrap_or(i64::MAX);
                problems.push(Problem {
                    code,
                    count,
                    message: message.to_owned(),
                    repairable,
                    samples: found,
                });
            }
        };
        let as_json = |key: &Key| json!({ "key": key.name, "columns": key.columns });
        keys(
            "old_key_present",
            "a unique key over (purchase_id, test_number) refuses the cards of a purchase's second subject",
            state.old_keys().map(as_json).collect(),
            true,
        );
        keys(
            "foreign_key_leans_on_old_key",
            "a foreign key has no other index than the old key, which therefore cannot be dropped by itself",
            state
                .leaning_on_old_key()
                .into_iter()
                .map(|foreign| json!({ "foreign_key": foreign.name, "columns": foreign.columns }))
                .collect(),
            true,
        );
        keys(
            "old_key_referenced",
            "a foreign key refers to (purchase_id, test_number) and needs the old key; it must be changed \
             by hand",
            state
                .references_to_old_key()
                .map(
                    |reference| json!({ "table": reference.table.name, "foreign_key": reference.constraint }),
                )
                .collect(),
            false,
        );
        keys(
            "old_key_is_primary",
            "the primary key is (purchase_id, test_number); it must be changed by hand",
            state.old_keys().filter(|key| key.primary).map(as_json).collect(),
            false,
        );
        if state.new_key().is_none() {
            keys(
                "new_key_missing",
                "no unique key over (purchase_id, subject_id, test_number) keeps a card from being made \
                 twice",
                vec![json!({ "key": NEW_KEY })],
                true,
            );
        }
        keys(
            "invalid_index",
            "an interrupted build left an index that does not work",
            state.keys.iter().filter(|key| key.is_new() && !key.valid).map(as_json).collect(),
            true,
        );
        keys(
            "repair_unfinished",
            "an interrupted repair left an index of its own",
            leftover_helpers(state)
                .map(|(table, name)| json!({ "table": table.name, "key": name }))
                .collect(),
            true,
        );
        problems
    }

    fn row_problems(&self) -> Vec<Problem> {
        let figures = &self.figures;
        let mut problems = Vec::new();
        let mut rows = |code, finding: &Finding, message: String, repairable| {
            if finding.count > 0 {
                let samples = finding.samples.clone();
                problems.push(Problem { code, count: finding.count, message, repairable, samples });
            }
        };
        let surplus = figures.surplus_cards;
        rows(
            "duplicate_cards",
            &figures.duplicates,
            format!(
                "groups of cards have the same purchase, subject and number; {surplus} cards are too many"
            ),
            figures.collisions.is_empty() && figures.owners.count == 0,
        );
        rows(
            "cards_of_several_owners",
            &figures.owners,
            "cards with the same purchase, subject and number belong to several users or courses; decide by \
             hand which card stays"
                .to_owned(),
            false,
        );
        for (key, finding) in &figures.collisions {
            let message = format!(
                "rows of {key} cannot follow a merged card, for its survivor has such a row; decide by hand \
                 which to keep"
            );
            rows("child_collision", finding, message, false);
        }
        rows(
            "null_in_key",
            &figures.nulls,
            "cards lack a purchase, a subject or a number, so that no unique key holds them".to_owned(),
            false,
        );
        rows(
            "number_gaps",
            &figures.gaps,
            "purchased subjects have cards whose numbers do not run from 1 without a gap".to_owned(),
            false,
        );
        self.sitting_problems(&mut rows);
        if let Some(finding) = &figures.overlaps {
            let message = "users have the same subject through more than one purchase".to_owned();
            rows("overlapping_purchases", finding, message, false);
        }
        if let Some(finding) = &figures.missing {
            let message = "entitlements have more or fewer cards than they give".to_owned();
            rows("missing_cards", finding, message, false);
        }
        problems
    }

    /// Reports differences between cards and their sittings and questions that only a fault explains.
    fn sitting_problems(&self, rows: &mut impl FnMut(&'static str, &Finding, String, bool)) {
        let found = &self.figures.sittings;
        for (code, finding, message, repairable) in [
            (
                "attempt_numbers",
                &found.double_numbers,
                "cards have two sittings with the same attempt number",
                true,
            ),
            ("two_open_sittings", &found.open_twice, "cards have more than one sitting in progress", true),
            (
                "attempts_used",
                &found.used_too_low,
                "cards count fewer attempts than they have completed sittings",
                true,
            ),
            ("attempts_over_limit", &found.over_limit, "cards count more attempts than they allow", true),
            (
                "scores",
                &found.wrong_scores,
                "cards name a first or latest score, time taken or date that differs from the sitting's own",
                true,
            ),
            (
                "status",
                &found.wrong_status,
                "cards are available although a sitting is open, or in progress although none is open",
                true,
            ),
            (
                "sitting_of_other_user",
                &found.other_users,
                "sittings belong to another user than their card; decide by hand which user sat the test",
                false,
            ),
            (
                "question_sets",
                &found.question_sets,
                "cards have more than one set of questions; decide by hand which set stays",
                false,
            ),
            (
                "refers_to_merged_card",
                &found.refers_to_merged,
                "rows refer to a card that was merged; set their card to the `survivor_id` in the log",
                false,
            ),
        ] {
            rows(code, finding, message.to_owned(), repairable);
        }
    }

    fn sitting_notes(&self) -> Vec<String> {
        let found = &self.figures.sittings;
        let mut notes = Vec::new();
        let mut note = |count: i64, text: String| {
            if count > 0 {
                notes.push(text);
            }
        };
        note(
            found.number_gaps.count,
            format!(
                "{} cards have gaps in their attempt numbers; sittings may have been deleted",
                found.number_gaps.count
            ),
        );
        note(
            found.used_too_high.count,
            format!(
                "{} cards count more attempts than they have sittings; sittings may have been deleted",
                found.used_too_high.count
            ),
        );
        note(
            found.more_questions.count,
            format!("{} cards have more questions than their test has", found.more_questions.count),
        );
        note(
            found.orphans,
            format!("{} sittings or questions refer to a card that does not exist", found.orphans),
        );
        note(
            found.merged_without_rows,
            format!(
                "{} cards were merged by an earlier version, which kept no log of their sittings and questions; \
                 that merge cannot be undone",
                found.merged_without_rows
            ),
        );
        if let Some(run) = self.figures.open_run {
            notes.push(format!("run {run} of the repair did not end; `jishu repair --apply` continues it"));
        }
        notes
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        // A constraint of SQLite has no index of its own name.
        if let Some(key) = self.state.new_key()
            && key.name != NEW_KEY
            && !(self.state.dialect().is_sqlite() && key.constraint.is_some())
        {
            notes.push(format!("the right key is called `{}`, not `{NEW_KEY}`; it serves as well", key.name));
        }
        let rights = self.state.keys.iter().filter(|key| key.is_new() && key.valid).count();
        if rights > 1 {
            notes.push(format!(
                "{rights} unique keys over the right columns stand beside each other; one would do"
            ));
        }
        if self.figures.merged > 0 {
            notes.push(format!("{} merged cards are kept in `{LOG}`", self.figures.merged));
        }
        notes.extend(self.sitting_notes());
        if let Some(engine) = &self.state.engine
            && !engine.eq_ignore_ascii_case("InnoDB")
        {
            notes.push(format!(
                "`{CARDS}` is stored by {engine}: a repair locks it, and cannot be taken back"
            ));
        }
        if !self.figures.collisions.is_empty() || self.figures.duplicates.count > 0 {
            for child in self.state.children_with_keys().iter().filter(|child| child.key.is_none()) {
                notes.push(format!(
                    "`{}` has no single-column key, so a merge of its rows cannot be undone",
                    child.table.name
                ));
            }
            for (reference, column) in self.state.children() {
                let indexed = reference.table_keys.iter().any(|key| key.leads_with(&[column.to_owned()]));
                if !indexed {
                    let helper = helper_name(&reference.table.name, column);
                    notes.push(format!(
                        "`{}`.`{column}` has no index; the repair makes `{helper}` for its duration",
                        reference.table.name
                    ));
                }
            }
        }
        notes
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{CARDS} on {}: {} cards, {}", self.database, self.cards, self.state)?;
        for problem in &self.problems {
            let by_hand = if problem.repairable { "" } else { " [not repaired by this command]" };
            writeln!(f, "  {}: {} ({}){by_hand}", problem.code, problem.message, problem.count)?;
            for sample in &problem.samples {
                writeln!(f, "      {sample}")?;
            }
        }
        for note in &self.notes {
            writeln!(f, "  note: {note}")?;
        }
        Ok(())
    }
}
