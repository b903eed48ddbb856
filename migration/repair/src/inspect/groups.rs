//! The cards that a repair corrects, with their rows, as plain values.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};

use super::TableState;
use crate::NEW_KEY_COLUMNS;
use crate::sql::rows;

/// The number of ids in a statement is rounded up to a multiple of this.
const IDS_PER_STATEMENT: usize = 128;

/// Purchase, subject and number of a card, as text.
pub(crate) type Triple = (String, String, String);

/// Cards of one purchase, subject and number, with their rows. A single card is a group as well.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Group {
    pub(crate) key: Triple,
    /// The survivor first.
    pub(crate) cards: Vec<Card>,
    /// The sittings of all cards, in order of their ids.
    pub(crate) sittings: Vec<Sitting>,
}

impl Group {
    pub(crate) fn sittings_of(&self, card: i64) -> impl Iterator<Item = &Sitting> {
        self.sittings.iter().filter(move |sitting| sitting.card == card)
    }

    /// What the cards belong to several of: `users` or `courses`. No rule says which of such cards stays.
    pub(crate) fn several(&self) -> Option<&'static str> {
        let differ = |own: fn(&Card) -> Option<&String>| {
            self.cards.iter().filter_map(own).collect::<BTreeSet<_>>().len() > 1
        };
        if differ(|card| card.user.as_ref()) {
            return Some("users");
        }
        differ(|card| card.course.as_ref()).then_some("courses")
    }
}

/// A card. A value is None if it is null or cannot be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Card {
    pub(crate) id: i64,
    pub(crate) user: Option<String>,
    pub(crate) course: Option<String>,
    pub(crate) used: Option<i64>,
    pub(crate) allowed: Option<i64>,
    pub(crate) status: Option<String>,
    pub(crate) total: Option<i64>,
    pub(crate) generated: bool,
    pub(crate) latest: Derived,
    pub(crate) first: Derived,
    /// How many questions were made for it.
    pub(crate) questions: i64,
}

/// A card's values about one of its sittings.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Derived {
    pub(crate) score: Option<f64>,
    pub(crate) percentage: Option<f64>,
    pub(crate) time_taken: Option<f64>,
    pub(crate) date: Option<String>,
}

/// A sitting.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sitting {
    pub(crate) id: i64,
    pub(crate) card: i64,
    pub(crate) number: Option<i64>,
    pub(crate) status: Option<String>,
    /// The time of the sitting, from the best column that exists.
    pub(crate) time: Option<String>,
    pub(crate) started: Option<String>,
    pub(crate) completed: Option<String>,
    pub(crate) score: Option<f64>,
    pub(crate) percentage: Option<f64>,
    pub(crate) time_taken: Option<f64>,
}

impl Sitting {
    pub(crate) fn is_open(&self) -> bool {
        self.status.as_deref().is_some_and(|status| status.eq_ignore_ascii_case("in_progress"))
    }

    /// Whether it ended with a score that counts.
    pub(crate) fn is_scored(&self) -> bool {
        self.score.is_some() && self.is_completed()
    }

    /// Whether it was completed. Without a status, a score or an end shows that.
    pub(crate) fn is_completed(&self) -> bool {
        match &self.status {
            Some(status) => status.eq_ignore_ascii_case("completed"),
            None => self.score.is_some() || self.completed.is_some(),
        }
    }
}

/// The cards to load: `t` is the table of cards.
pub(crate) struct Which<'w> {
    /// The SQL that follows `FROM cards AS t`, including `WHERE`.
    pub(crate) condition: &'w str,
    /// The values of its parameters.
    pub(crate) ids: Vec<i64>,
    /// Whether to lock the rows.
    pub(crate) lock: bool,
}

/// Loads cards with their rows, grouped by their key.
pub(crate) async fn load(
    connection: &impl ConnectionTrait,
    state: &TableState,
    which: &Which<'_>,
) -> Result<Vec<Group>, DbErr> {
    let values = || which.ids.iter().copied().map(Value::from);
    let mut groups: BTreeMap<Triple, Group> = BTreeMap::new();
    let mut group_of: BTreeMap<i64, Triple> = BTreeMap::new();
    for row in rows(connection, cards_text(state, which), values()).await? {
        let (key, card) = card(&row)?;
        group_of.insert(card.id, key.clone());
        let group = groups.entry(key.clone()).or_insert_with(|| Group { key, ..Group::default() });
        group.cards.push(card);
    }
    if let Some(text) = sittings_text(state, which) {
        for row in rows(connection, text, values()).await? {
            let sitting = sitting(&row)?;
            if let Some(group) = group_of.get(&sitting.card).and_then(|key| groups.get_mut(key)) {
                group.sittings.push(sitting);
            }
        }
    }
    if let Some(text) = questions_text(state, which) {
        for row in rows(connection, text, values()).await? {
            let (id, count): (i64, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            let cards = group_of.get(&id).and_then(|key| groups.get_mut(key)).map(|group| &mut group.cards);
            if let Some(card) = cards.into_iter().flatten().find(|card| card.id == id) {
                card.questions = count;
            }
        }
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    for group in &mut groups {
        group.cards.sort_by_key(|card| (std::cmp::Reverse(card.used.unwrap_or(0)), card.id));
    }
    Ok(groups)
}

/// Returns the condition for the cards with these ids.
pub(crate) fn with_ids(state: &TableState, ids: &str) -> String {
    format!("WHERE t.{} IN ({ids})", state.dialect().quote("id"))
}

/// Returns the ids of cards as parameters. Repeats the last id, so that a few statements serve any number of ids.
pub(crate) fn locked_ids(state: &TableState, ids: &[i64]) -> (String, Vec<i64>) {
    let count = ids.len().next_multiple_of(IDS_PER_STATEMENT);
    let last = ids.last().copied().unwrap_or_default();
    let ids: Vec<i64> = ids.iter().copied().chain(std::iter::repeat(last)).take(count).collect();
    let dialect = state.dialect();
    let list = (1..=ids.len()).map(|number| dialect.parameter(number)).collect::<Vec<_>>().join(", ");
    (with_ids(state, &list), ids)
}

/// Returns the statements that load cards, as a plan shows them.
pub(crate) fn texts_of(state: &TableState, which: &Which<'_>) -> Vec<String> {
    let optional = [sittings_text(state, which), questions_text(state, which)];
    std::iter::once(cards_text(state, which)).chain(optional.into_iter().flatten()).collect()
}

fn cards_text(state: &TableState, which: &Which<'_>) -> String {
    let dialect = state.dialect();
    let text = |name: &str| dialect.text(&state.card_column("t", name));
    let mut columns = vec![dialect.integer(&format!("t.{}", dialect.quote("id")))];
    columns.extend(NEW_KEY_COLUMNS.map(text));
    columns.extend(super::children::DERIVED.map(text));
    columns.extend(["user_id", "course_id"].map(text));
    format!(
        "SELECT {} FROM {} AS t {}{}",
        columns.join(", "),
        dialect.table(&state.table),
        which.condition,
        lock(state, which, "t"),
    )
}

fn sittings_text(state: &TableState, which: &Which<'_>) -> Option<String> {
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
        which.condition,
        dialect.quote(&sittings.id),
        lock(state, which, "s"),
    ))
}

fn questions_text(state: &TableState, which: &Which<'_>) -> Option<String> {
    let dialect = state.dialect();
    let questions = state.questions()?;
    let column = dialect.quote(&questions.column);
    Some(format!(
        "SELECT {}, COUNT(*) FROM {} AS q JOIN {} AS t ON t.{} = q.{column} {} GROUP BY q.{column}",
        dialect.integer(&format!("q.{column}")),
        dialect.table(&questions.table),
        dialect.table(&state.table),
        dialect.quote("id"),
        which.condition,
    ))
}

fn lock(state: &TableState, which: &Which<'_>, alias: &str) -> String {
    match state.dialect() {
        _ if !which.lock => String::new(),
        dialect if dialect.is_sqlite() => String::new(),
        // MariaDB has no OF, so it locks the cards once more.
        dialect if dialect.is_mysql() => " FOR UPDATE".to_owned(),
        _ => format!(" FOR UPDATE OF {alias}"),
    }
}

fn card(row: &QueryResult) -> Result<(Triple, Card), DbErr> {
    let text = |position: usize| row.try_get_by_index::<Option<String>>(position);
    let key = (text(1)?.unwrap_or_default(), text(2)?.unwrap_or_default(), text(3)?.unwrap_or_default());
    let card = Card {
        id: row.try_get_by_index(0)?,
        used: integer(text(4)?),
        allowed: integer(text(5)?),
        status: text(6)?,
        total: integer(text(7)?),
        generated: text(8)?.is_some_and(|value| !matches!(value.as_str(), "0" | "f" | "false" | "")),
        latest: Derived {
            score: number(text(9)?),
            percentage: number(text(10)?),
            time_taken: number(text(11)?),
            date: time(text(12)?),
        },
        first: Derived { score: number(text(13)?), date: time(text(14)?), ..Derived::default() },
        questions: 0,
        user: text(15)?,
        course: text(16)?,
    };
    Ok((key, card))
}

fn sitting(row: &QueryResult) -> Result<Sitting, DbErr> {
    let text = |position: usize| row.try_get_by_index::<Option<String>>(position);
    Ok(Sitting {
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

/// Returns a time whose order as text is its order in time: without zeros at the end of the seconds.
pub(crate) fn time(text: Option<String>) -> Option<String> {
    let text = text?.replace('T', " ");
    // MySQL's zero date means no date.
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
    fn equal_times_are_equal_texts_however_they_are_written() {
        let of = |text: &str| time(Some(text.to_owned()));
        assert_eq!(of("2024-05-01T10:00:00.500000"), of("2024-05-01 10:00:00.5"));
        assert_eq!(of("2024-05-01 10:00:00.000000"), of("2024-05-01 10:00:00"));
        assert!(of("2024-05-01 10:00:00") < of("2024-05-01 10:00:00.000001"));
        assert_eq!(of("0000-00-00 00:00:00"), None);
    }
}
