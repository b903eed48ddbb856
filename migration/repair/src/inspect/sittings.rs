//! Checks the cards against their sittings and questions.
//!
//! An old database has lost sittings, and lacks values that younger ones have. A difference that such losses may
//! explain is only a note. A difference that nothing explains is a finding.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, DbErr};

use super::TableState;
use super::children::Child;
use super::figures::{Finder, Finding};
use super::scores::Texts;
use crate::sql::{count, rows};
use crate::{CHANGES, TOGETHER};

/// The findings about sittings and questions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SittingFigures {
    /// Cards with two sittings of one number.
    pub double_numbers: Finding,
    /// Cards whose sittings' numbers have gaps.
    pub number_gaps: Finding,
    /// Cards with more than one open sitting.
    pub open_twice: Finding,
    /// Cards with more completed sittings than attempts used.
    pub used_too_low: Finding,
    /// Cards with more attempts used than sittings.
    pub used_too_high: Finding,
    /// Cards with more attempts used than allowed.
    pub over_limit: Finding,
    /// Cards whose first or latest score, time taken or date is not that of the sitting.
    pub wrong_scores: Finding,
    /// Cards that are available although a sitting is open, or in progress although none is open.
    pub wrong_status: Finding,
    /// Sittings of another user than their card's.
    pub other_users: Finding,
    /// Cards with at least two sets of questions, or of merged cards more than one.
    pub question_sets: Finding,
    /// Other cards with more questions than a test has.
    pub more_questions: Finding,
    /// Rows that refer to a card in the log of merged cards.
    pub refers_to_merged: Finding,
    /// Rows of sittings and questions that refer to a card that does not exist and is not in the log.
    pub orphans: i64,
    /// Cards that were merged by a version that did not log their rows.
    pub merged_without_rows: i64,
    /// The cards that a repair can correct by computing them again.
    pub wrong_cards: BTreeSet<i64>,
}

pub(super) async fn read<C: ConnectionTrait>(
    finder: &Finder<'_, C>,
    state: &TableState,
) -> Result<SittingFigures, DbErr> {
    let mut figures = SittingFigures::default();
    if state.has_entitlements {
        return Ok(figures);
    }
    let mut wrong = Vec::new();
    if let Some(sittings) = state.sittings() {
        let texts = Texts { state, dialect: state.dialect(), sittings: &sittings };
        if let Some(text) = texts.double_numbers() {
            figures.double_numbers = finder.find(&text, &["id", "attempt_number", "sittings"]).await?;
            wrong.push((figures.double_numbers.count, text));
        }
        if let Some(text) = texts.number_gaps() {
            figures.number_gaps = finder.find(&text, &["id", "sittings", "last_number"]).await?;
        }
        if let Some(text) = texts.open_twice() {
            figures.open_twice = finder.find(&text, &["id", "open_sittings"]).await?;
            wrong.push((figures.open_twice.count, text));
        }
        if let Some(text) = texts.used(true) {
            figures.used_too_low = finder.find(&text, &["id", "attempts_used", "sittings"]).await?;
            wrong.push((figures.used_too_low.count, text));
        }
        if let Some(text) = texts.used(false) {
            figures.used_too_high = finder.find(&text, &["id", "attempts_used", "sittings"]).await?;
        }
        if let Some(text) = texts.wrong_scores() {
            let columns = ["id", "which", "card_score", "sitting_score", "card_date", "sitting_date"];
            figures.wrong_scores = finder.find(&text, &columns).await?;
            wrong.push((figures.wrong_scores.count, text));
        }
        if let Some(text) = texts.wrong_status() {
            figures.wrong_status = finder.find(&text, &["id", "status", "open_sittings"]).await?;
            wrong.push((figures.wrong_status.count, text));
        }
        if let Some(text) = texts.other_users() {
            let columns = ["sitting", "sitting_user", "card", "card_user"];
            figures.other_users = finder.find(&text, &columns).await?;
        }
        if state.has("attempts_used") && state.has("max_attempts") {
            let text = texts.over_limit();
            figures.over_limit = finder.find(&text, &["id", "attempts_used", "max_attempts"]).await?;
            wrong.push((figures.over_limit.count, text));
        }
    }
    for (found, text) in wrong {
        if found > 0 {
            let id = finder.dialect.integer(&finder.dialect.quote("id"));
            let ids = format!("SELECT DISTINCT {id} FROM ({text}) AS found");
            for row in rows(finder.connection, ids, []).await? {
                figures.wrong_cards.insert(row.try_get_by_index(0)?);
            }
        }
    }
    questions(finder, state, &mut figures).await?;
    merged(finder, state, &mut figures).await?;
    Ok(figures)
}

async fn questions<C: ConnectionTrait>(
    finder: &Finder<'_, C>,
    state: &TableState,
    figures: &mut SittingFigures,
) -> Result<(), DbErr> {
    let Some(questions) = state.questions() else { return Ok(()) };
    let dialect = state.dialect();
    let id = format!("t.{}", dialect.quote("id"));
    let has_total = state.has("total_questions");
    let total = state.card_column("t", "total_questions");
    let survivors = match state.log {
        Some(_) => format!(
            "{id} IN (SELECT m.{} FROM {} AS m)",
            dialect.quote("survivor_id"),
            dialect.table(&state.log_table())
        ),
        None => "1 = 0".to_owned(),
    };
    let sets = |condition: &str| {
        format!(
            "SELECT {id} AS id, {total} AS total_questions, COUNT(*) AS questions FROM {cards} AS t JOIN \
             {table} AS q ON q.{column} = {id} GROUP BY {id}{} HAVING {condition}",
            if has_total { format!(", {total}") } else { String::new() },
            cards = dialect.table(&state.table),
            table = dialect.table(&questions.table),
            column = dialect.quote(&questions.column),
        )
    };
    let two = format!("{total} > 0 AND (COUNT(*) >= 2 * {total} OR (COUNT(*) > {total} AND {survivors}))");
    let together = together(state, &questions).unwrap_or_else(|| "-1".to_owned());
    let columns = ["id", "total_questions", "questions"];
    if has_total {
        let more = format!("COUNT(*) > {total} AND {total} > 0 AND NOT ({two}) AND {id} NOT IN ({together})");
        figures.more_questions = finder.find(&sets(&more), &columns).await?;
    }
    let two =
        if has_total { format!("({two}) OR {id} IN ({together})") } else { format!("{id} IN ({together})") };
    figures.question_sets = finder.find(&sets(&two), &columns).await?;
    Ok(())
}

/// The cards that several sets of questions came to when cards were merged, and still have.
fn together(state: &TableState, questions: &Child) -> Option<String> {
    let dialect = state.dialect();
    let key = questions.key.as_ref().filter(|key| key.is_integer)?;
    state.own(CHANGES).filter(|_| !questions.nullable)?;
    let (table, column) = (dialect.table(&questions.table), dialect.quote(&questions.column));
    let all = format!("SELECT COUNT(*) FROM {table} AS o WHERE o.{column} = g.card");
    Some(format!(
        "SELECT g.card FROM (SELECT {row} AS question, {card} AS card, old_value FROM {changes} WHERE table_name = \
         {label} AND column_name = {name} AND reason = {reason}) AS g JOIN {table} AS q ON q.{key} = g.question AND \
         q.{column} = g.card GROUP BY g.card HAVING COUNT(DISTINCT g.old_value) > 1 OR COUNT(*) < ({all})",
        row = dialect.integer("row_key"),
        card = dialect.integer("new_value"),
        changes = dialect.table(&state.beside(CHANGES)),
        label = dialect.literal(&state.label(&questions.table)),
        name = dialect.literal(&questions.column),
        reason = dialect.literal(TOGETHER),
        key = dialect.quote(&key.column),
    ))
}

/// What hangs on no card. Foreign keys keep that from happening where there are any.
async fn merged<C: ConnectionTrait>(
    finder: &Finder<'_, C>,
    state: &TableState,
    figures: &mut SittingFigures,
) -> Result<(), DbErr> {
    let dialect = state.dialect();
    let log = state.log.as_ref();
    if let Some(columns) = log {
        let has_run = columns.iter().any(|column| column.eq_ignore_ascii_case("repair_run"));
        let earlier =
            if has_run { format!(" WHERE {} IS NULL", dialect.quote("repair_run")) } else { String::new() };
        let text = format!("SELECT COUNT(*) FROM {}{earlier}", dialect.table(&state.log_table()));
        figures.merged_without_rows = count(finder.connection, text).await?;
    }
    let mut in_log = Vec::new();
    for (reference, column) in state.children() {
        if !reference.constraint.is_empty() {
            continue;
        }
        let (child, column) = (dialect.table(&reference.table), dialect.quote(column));
        let cards = dialect.table(&state.table);
        let from = format!(
            "{child} AS c LEFT JOIN {cards} AS t ON t.{id} = c.{column} WHERE c.{column} IS NOT NULL AND t.{id} IS NULL",
            id = dialect.quote("id"),
        );
        let known = match log {
            Some(_) => format!(
                "c.{column} IN (SELECT m.{} FROM {} AS m)",
                dialect.quote("id"),
                dialect.table(&state.log_table())
            ),
            None => "1 = 0".to_owned(),
        };
        let nowhere = format!("SELECT COUNT(*) FROM {from} AND NOT ({known})");
        figures.orphans += count(finder.connection, nowhere).await?;
        in_log.push(format!(
            "SELECT {} AS table_name, c.{column} AS card, COUNT(*) AS found_rows FROM {from} AND {known} GROUP BY \
             c.{column}",
            dialect.literal(&reference.table.name)
        ));
    }
    if !in_log.is_empty() {
        let text = in_log.join(" UNION ALL ");
        figures.refers_to_merged = finder.find(&text, &["table_name", "card", "found_rows"]).await?;
    }
    Ok(())
}

impl Texts<'_> {
    pub(super) fn name(&self, alias: &str, column: &str) -> String {
        format!("{alias}.{}", self.dialect.quote(column))
    }

    pub(super) fn table(&self) -> String {
        self.dialect.table(&self.sittings.child.table)
    }

    pub(super) fn cards(&self) -> String {
        self.dialect.table(&self.state.table)
    }

    pub(super) fn card(&self) -> String {
        self.name("s", &self.sittings.child.column)
    }

    pub(super) fn has_status(&self, status: &str) -> String {
        format!("LOWER({}) = '{status}'", self.dialect.text(&self.name("s", "status")))
    }

    pub(super) fn score(&self) -> Option<String> {
        let there: Vec<_> = ["score", "correct_answers"]
            .into_iter()
            .filter(|name| self.sittings.has(name))
            .map(|name| self.name("s", name))
            .collect();
        match there.as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            several => Some(format!("COALESCE({})", several.join(", "))),
        }
    }

    /// Whether it was sat to its end, as [`super::groups::Sitting::is_completed`] tells.
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

    fn double_numbers(&self) -> Option<String> {
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

    fn number_gaps(&self) -> Option<String> {
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

    fn open_twice(&self) -> Option<String> {
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

    /// Selects cards with fewer attempts used than completed sittings, or with more than sittings.
    fn used(&self, too_low: bool) -> Option<String> {
        if !self.state.has("attempts_used") {
            return None;
        }
        let (id, used) = (self.name("t", "id"), self.name("t", "attempts_used"));
        let select = format!(
            "SELECT {id} AS id, {used} AS attempts_used, COUNT(s.{sitting}) AS sittings FROM {cards} AS t",
            sitting = self.dialect.quote(&self.sittings.id),
            cards = self.cards(),
        );
        let on = format!("{} AS s ON {} = {id}", self.table(), self.card());
        let group =
            format!("GROUP BY {id}, {used} HAVING COUNT(s.{})", self.dialect.quote(&self.sittings.id));
        Some(if too_low {
            format!("{select} JOIN {on} WHERE {used} IS NOT NULL AND {} {group} > {used}", self.completed())
        } else {
            format!("{select} LEFT JOIN {on} WHERE {used} > 0 {group} < {used}")
        })
    }

    fn over_limit(&self) -> String {
        let (used, allowed) = (self.name("t", "attempts_used"), self.name("t", "max_attempts"));
        format!(
            "SELECT {} AS id, {used} AS attempts_used, {allowed} AS max_attempts FROM {} AS t WHERE {used} > \
             {allowed}",
            self.name("t", "id"),
            self.cards()
        )
    }
}
