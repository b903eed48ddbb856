//! Loads cards with their sittings.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};

use super::rows::{CardGroup, CardRow, SittingRow, SittingSummary, TestKey};
use super::state::TableState;
use crate::names::{DERIVED_CARD_COLUMNS, NEW_KEY_COLUMNS};
use crate::sql::rows;

/// The number of ids in a statement is rounded up to a multiple of this number.
const IDS_PER_STATEMENT: usize = 128;

/// A selection of cards to load. In its SQL, `t` is the table of cards.
pub(crate) struct CardSelection<'s> {
    /// The SQL that follows `FROM cards AS t`, including `WHERE`.
    pub(crate) condition: &'s str,
    /// The values of the parameters in the condition.
    pub(crate) ids: Vec<i64>,
    /// Whether to lock the selected cards and their sittings. Has no effect on SQLite.
    pub(crate) lock: bool,
}

/// Loads cards with their sittings and their numbers of questions. Groups them by purchase, subject and test number.
pub(crate) async fn load(
    connection: &impl ConnectionTrait,
    state: &TableState,
    selection: &CardSelection<'_>,
) -> Result<Vec<CardGroup>, DbErr> {
    let values = || selection.ids.iter().copied().map(Value::from);
    let mut groups: BTreeMap<TestKey, CardGroup> = BTreeMap::new();
    let mut key_of_card: BTreeMap<i64, TestKey> = BTreeMap::new();
    for row in rows(connection, card_query(state, selection), values()).await? {
        let (key, card) = card(&row)?;
        key_of_card.insert(card.id, key.clone());
        let group = groups.entry(key.clone()).or_insert_with(|| CardGroup { key, ..CardGroup::default() });
        group.cards.push(card);
    }
    if let Some(text) = sitting_query(state, selection) {
        for row in rows(connection, text, values()).await? {
            let sitting = sitting(&row)?;
            if let Some(group) = key_of_card.get(&sitting.card).and_then(|key| groups.get_mut(key)) {
                group.sittings.push(sitting);
            }
        }
    }
    if let Some(text) = question_query(state, selection) {
        for row in rows(connection, text, values()).await? {
            let (id, count): (i64, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            let cards =
                key_of_card.get(&id).and_then(|key| groups.get_mut(key)).map(|group| &mut group.cards);
            if let Some(card) = cards.into_iter().flatten().find(|card| card.id == id) {
                card.questions = count;
            }
        }
    }
    let mut groups: Vec<CardGroup> = groups.into_values().collect();
    for group in &mut groups {
        // The survivor comes first: the card with the most attempts used, and among equal cards the card with the
        // lowest id.
        group.cards.sort_by_key(|card| (std::cmp::Reverse(card.used.unwrap_or(0)), card.id));
    }
    Ok(groups)
}

/// Returns the condition that selects the cards with these ids.
pub(crate) fn with_ids(state: &TableState, ids: &str) -> String {
    format!("WHERE t.{} IN ({ids})", state.dialect().quote("id"))
}

/// Returns the condition and the parameters that select these cards. Repeats the last id up to a multiple of
/// [`IDS_PER_STATEMENT`], so that the database prepares only a few different statements.
pub(crate) fn ids_as_parameters(state: &TableState, ids: &[i64]) -> (String, Vec<i64>) {
    let count = ids.len().next_multiple_of(IDS_PER_STATEMENT);
    let last = ids.last().copied().unwrap_or_default();
    let ids: Vec<i64> = ids.iter().copied().chain(std::iter::repeat(last)).take(count).collect();
    let dialect = state.dialect();
    let list = (1..=ids.len()).map(|number| dialect.parameter(number)).collect::<Vec<_>>().join(", ");
    (with_ids(state, &list), ids)
}

/// Returns the statements that load cards, for the plan to show.
pub(crate) fn load_statements(state: &TableState, selection: &CardSelection<'_>) -> Vec<String> {
    let optional = [sitting_query(state, selection), question_query(state, selection)];
    std::iter::once(card_query(state, selection)).chain(optional.into_iter().flatten()).collect()
}

fn card_query(state: &TableState, selection: &CardSelection<'_>) -> String {
    let dialect = state.dialect();
    let text = |name: &str| dialect.text(&state.card_column("t", name));
    let mut columns = vec![dialect.integer(&format!("t.{}", dialect.quote("id")))];
    columns.extend(NEW_KEY_COLUMNS.map(text));
    columns.extend(DERIVED_CARD_COLUMNS.map(text));
    columns.extend(["user_id", "course_id"].map(text));
    format!(
        "SELECT {} FROM {} AS t {}{}",
        columns.join(", "),
        dialect.table(&state.table),
        selection.condition,
        lock(state, selection, "t"),
    )
}

fn sitting_query(state: &TableState, selection: &CardSelection<'_>) -> Option<String> {
    let dialect = state.dialect();
    let sittings = state.sittings()?;
    let name = |column: &str| format!("s.{}", dialect.quote(column));
    let text = |column: &str| dialect.text(&sittings.column(dialect, "s", column));
    let time = sittings.time.as_deref().map_or_else(|| "NULL".to_owned(), name);
    let mut columns = vec![
        dialect.integer(&name(&sittings.id)),
        dialect.integer(&name(&sittings.child.column)),
        text("attempt_number"),
        text("status"),
        dialect.text(&time),
        text("started_at"),
        text("completed_at"),
    ];
    columns.extend(["score", "correct_answers", "percentage", "time_taken"].map(text));
    Some(format!(
        "SELECT {} FROM {} AS s JOIN {} AS t ON t.{} = s.{} {} ORDER BY s.{}{}",
        columns.join(", "),
        dialect.table(&sittings.child.table),
        dialect.table(&state.table),
        dialect.quote("id"),
        dialect.quote(&sittings.child.column),
        selection.condition,
        dialect.quote(&sittings.id),
        lock(state, selection, "s"),
    ))
}

fn question_query(state: &TableState, selection: &CardSelection<'_>) -> Option<String> {
    let dialect = state.dialect();
    let questions = state.questions()?;
    let column = dialect.quote(&questions.column);
    Some(format!(
        "SELECT {}, COUNT(*) FROM {} AS q JOIN {} AS t ON t.{} = q.{column} {} GROUP BY q.{column}",
        dialect.integer(&format!("q.{column}")),
        dialect.table(&questions.table),
        dialect.table(&state.table),
        dialect.quote("id"),
        selection.condition,
    ))
}

/// Returns the clause that locks the selected rows.
fn lock(state: &TableState, selection: &CardSelection<'_>, alias: &str) -> String {
    match state.dialect() {
        _ if !selection.lock => String::new(),
        dialect if dialect.is_sqlite() => String::new(),
        // MariaDB has no `FOR UPDATE OF`, so a query of sittings locks their cards too.
        dialect if dialect.is_mysql() => " FOR UPDATE".to_owned(),
        _ => format!(" FOR UPDATE OF {alias}"),
    }
}

fn card(row: &QueryResult) -> Result<(TestKey, CardRow), DbErr> {
    let text = |position: usize| row.try_get_by_index::<Option<String>>(position);
    let key = TestKey {
        purchase_id: text(1)?.unwrap_or_default(),
        subject_id: text(2)?.unwrap_or_default(),
        test_number: text(3)?.unwrap_or_default(),
    };
    let card = CardRow {
        id: row.try_get_by_index(0)?,
        used: integer(text(4)?),
        allowed: integer(text(5)?),
        status: text(6)?,
        total: integer(text(7)?),
        generated: text(8)?.is_some_and(|value| !matches!(value.as_str(), "0" | "f" | "false" | "")),
        latest: SittingSummary {
            score: number(text(9)?),
            percentage: number(text(10)?),
            time_taken: number(text(11)?),
            date: time(text(12)?),
        },
        first: SittingSummary {
            score: number(text(13)?),
            date: time(text(14)?),
            ..SittingSummary::default()
        },
        questions: 0,
        user: text(15)?,
        course: text(16)?,
    };
    Ok((key, card))
}

fn sitting(row: &QueryResult) -> Result<SittingRow, DbErr> {
    let text = |position: usize| row.try_get_by_index::<Option<String>>(position);
    Ok(SittingRow {
        id: row.try_get_by_index(0)?,
        card: row.try_get_by_index(1)?,
        number: integer(text(2)?),
        status: text(3)?,
        time: time(text(4)?),
        started: time(text(5)?),
        completed: time(text(6)?),
        score: number(text(7)?).or(number(text(8)?)),
        percentage: number(text(9)?),
        time_taken: number(text(10)?),
    })
}

fn number(text: Option<String>) -> Option<f64> {
    text.and_then(|text| text.trim().parse().ok())
}

fn integer(text: Option<String>) -> Option<i64> {
    text.and_then(|text| text.trim().parse().ok())
}

/// Normalises a time, so that texts sort in order of time: a space instead of `T`, and no zeros at the end of a
/// fraction. Returns `None` for an empty text.
fn time(text: Option<String>) -> Option<String> {
    let text = text?.replace('T', " ");
    // MySQL's zero date stands for a missing date.
    if text.is_empty() || text.starts_with("0000-") {
        return None;
    }
    match text.split_once('.') {
        Some((seconds, fraction)) if fraction.bytes().all(|byte| byte.is_ascii_digit()) => {
            let fraction = fraction.trim_end_matches('0');
            Some(if fraction.is_empty() { seconds.to_owned() } else { format!("{seconds}.{fraction}") })
        }
        _ => Some(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_times_become_equal_texts() {
        let of = |text: &str| time(Some(text.to_owned()));
        assert_eq!(of("2024-05-01T10:00:00.500000"), of("2024-05-01 10:00:00.5"));
        assert_eq!(of("2024-05-01 10:00:00.000000"), of("2024-05-01 10:00:00"));
        assert!(of("2024-05-01 10:00:00") < of("2024-05-01 10:00:00.000001"));
        assert_eq!(of("0000-00-00 00:00:00"), None);
    }
}
