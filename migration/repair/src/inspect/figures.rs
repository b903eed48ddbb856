//! What the rows say.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, DbErr};
use serde_json::{Map, Value, json};

use super::groups::{Group, Which, load};
use super::sittings::SittingFigures;
use super::{Reference, TableState};
use crate::error::RepairError;
use crate::sql::{Dialect, TableName, count, rows, same};
use crate::{NEW_KEY_COLUMNS, RUNS, SAMPLES};

/// Number of single wrong cards that one statement loads.
const WRONG_CARDS_PER_STATEMENT: usize = 1_000;

/// How often something was found, and the first few cases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finding {
    /// How many.
    pub count: i64,
    /// The first few.
    pub samples: Vec<Value>,
}

/// The numbers of an inspection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Rows in the table of cards.
    pub cards: i64,
    /// Rows in the log of merged cards.
    pub merged: i64,
    /// Groups of cards with the same purchase, subject and number.
    pub duplicates: Finding,
    /// Of these groups, those whose cards belong to several users or courses.
    pub owners: Finding,
    /// The cards of these groups beyond the first of each.
    pub surplus_cards: i64,
    /// Cards that no unique key holds, for a column of it is null.
    pub nulls: Finding,
    /// Numberings of a purchase's subject that do not run from 1 without a gap.
    pub gaps: Finding,
    /// Users who have the same subject through more than one purchase. None where that is lawful.
    pub overlaps: Option<Finding>,
    /// Entitlements whose cards are more or fewer than they say. None where there are no entitlements.
    pub missing: Option<Finding>,
    /// Rows that cannot follow a merged card, for the survivor has such a row already: the table with its
    /// key's name, and the cases.
    pub collisions: Vec<(String, Finding)>,
    /// The findings about sittings and questions.
    pub sittings: SittingFigures,
    /// The run of a repair that has begun and not ended.
    pub open_run: Option<i64>,
    /// The number of the next run.
    pub(crate) next_run: i64,
    /// The cards to repair, with their rows: duplicates, and single wrong cards.
    pub(crate) groups: Vec<Group>,
}

impl Figures {
    /// Returns the number of the run that a repair begins or continues.
    pub(crate) fn run(&self) -> i64 {
        self.open_run.unwrap_or(self.next_run)
    }
}

pub(super) async fn read(
    connection: &impl ConnectionTrait,
    state: &TableState,
) -> Result<Figures, RepairError> {
    let dialect = state.dialect();
    let cards = dialect.table(&state.table);
    let key = dialect.quote_all(NEW_KEY_COLUMNS);
    let whole = all_not_null(dialect, None);
    let finder = Finder { connection, dialect };

    let mut figures = Figures {
        cards: count(connection, format!("SELECT COUNT(*) FROM {cards}")).await?,
        ..Figures::default()
    };
    if state.log.is_some() {
        let log = dialect.table(&state.log_table());
        figures.merged = count(connection, format!("SELECT COUNT(*) FROM {log}")).await?;
    }
    // Where the key works there are none, and looking for them is a pass over the table.
    if state.new_key().is_none() {
        let groups = format!(
            "SELECT {key}, COUNT(*) AS cards FROM {cards} WHERE {whole} GROUP BY {key} HAVING COUNT(*) > 1"
        );
        figures.duplicates =
            finder.find(&groups, &["purchase_id", "subject_id", "test_number", "cards"]).await?;
    }
    if figures.duplicates.count > 0 {
        let surplus = dialect.integer("SUM(cards - 1)");
        let text = format!(
            "SELECT {surplus} FROM (SELECT COUNT(*) AS cards FROM {cards} WHERE {whole} GROUP BY {key} \
             HAVING COUNT(*) > 1) AS found"
        );
        figures.surplus_cards = count(connection, text).await?;
        figures.collisions = collisions(&finder, state).await?;
    }
    figures.sittings = super::sittings::read(&finder, state).await?;
    figures.groups = groups(connection, state, &figures).await?;
    figures.owners = owners(&figures.groups);
    (figures.open_run, figures.next_run) = runs(connection, state).await?;
    figures.nulls = finder
        .find(
            &format!("SELECT {}, {key} FROM {cards} WHERE NOT ({whole})", dialect.quote("id")),
            &["id", "purchase_id", "subject_id", "test_number"],
        )
        .await?;
    let (pair, number) = (dialect.quote_all(["purchase_id", "subject_id"]), dialect.quote("test_number"));
    figures.gaps = finder
        .find(
            &format!(
                "SELECT {pair}, COUNT(DISTINCT {number}) AS numbers, MIN({number}) AS first_number, \
                 MAX({number}) AS last_number FROM {cards} WHERE {whole} GROUP BY {pair} \
                 HAVING MIN({number}) <> 1 OR MAX({number}) <> COUNT(DISTINCT {number})"
            ),
            &["purchase_id", "subject_id", "numbers", "first_number", "last_number"],
        )
        .await?;
    if state.has_entitlements {
        figures.missing = Some(missing(&finder, state).await?);
    } else if state.has("user_id") {
        let (owner, purchase) = (dialect.quote_all(["user_id", "subject_id"]), dialect.quote("purchase_id"));
        let text = format!(
            "SELECT {owner}, COUNT(DISTINCT {purchase}) AS purchases FROM {cards} WHERE {whole} \
             GROUP BY {owner} HAVING COUNT(DISTINCT {purchase}) > 1"
        );
        figures.overlaps = Some(finder.find(&text, &["user_id", "subject_id", "purchases"]).await?);
    }
    Ok(figures)
}

/// The groups whose cards belong to several users or courses.
fn owners(groups: &[Group]) -> Finding {
    let found = || groups.iter().filter_map(|group| group.several().map(|several| (group, several)));
    let sample = |(group, several): (&Group, &str)| {
        let (purchase, subject, test) = group.key.clone();
        let cards: Vec<i64> = group.cards.iter().map(|card| card.id).collect();
        json!({
            "purchase_id": as_json(purchase),
            "subject_id": as_json(subject),
            "test_number": as_json(test),
            "cards": cards,
            "several": several,
        })
    };
    Finding {
        count: i64::try_from(found().count()).unwrap_or(i64::MAX),
        samples: found().take(SAMPLES).map(sample).collect(),
    }
}

/// Duplicates, then the cards that are wrong by themselves.
async fn groups(
    connection: &impl ConnectionTrait,
    state: &TableState,
    figures: &Figures,
) -> Result<Vec<Group>, DbErr> {
    let dialect = state.dialect();
    let mut groups = Vec::new();
    if figures.duplicates.count > 0 {
        let key = dialect.quote_all(NEW_KEY_COLUMNS);
        let on = NEW_KEY_COLUMNS.map(|name| format!("d.{name} = t.{name}", name = dialect.quote(name)));
        let condition = format!(
            "JOIN (SELECT {key} FROM {} WHERE {} GROUP BY {key} HAVING COUNT(*) > 1) AS d ON {}",
            dialect.table(&state.table),
            all_not_null(dialect, None),
            on.join(" AND "),
        );
        groups =
            load(connection, state, &Which { condition: &condition, ids: Vec::new(), lock: false }).await?;
    }
    let known: BTreeSet<i64> = groups.iter().flat_map(|group| &group.cards).map(|card| card.id).collect();
    let wrong: Vec<i64> = figures.sittings.wrong_cards.difference(&known).copied().collect();
    for piece in wrong.chunks(WRONG_CARDS_PER_STATEMENT) {
        let ids = piece.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let condition = super::groups::with_ids(state, &ids);
        // Cards without a complete key may share the rest of it; each is a group of its own.
        for group in
            load(connection, state, &Which { condition: &condition, ids: Vec::new(), lock: false }).await?
        {
            for card in group.cards {
                let sittings =
                    group.sittings.iter().filter(|sitting| sitting.card == card.id).cloned().collect();
                groups.push(Group { key: group.key.clone(), cards: vec![card], sittings });
            }
        }
    }
    Ok(groups)
}

/// Reads the run that has not ended, and the number of the next one.
async fn runs(connection: &impl ConnectionTrait, state: &TableState) -> Result<(Option<i64>, i64), DbErr> {
    if state.own(RUNS).is_none() {
        return Ok((None, 1));
    }
    let dialect = state.dialect();
    let (runs, run) = (dialect.table(&state.beside(RUNS)), dialect.integer(&dialect.quote("repair_run")));
    let ended = dialect.quote("finished_at");
    let open = count(connection, format!("SELECT MAX({run}) FROM {runs} WHERE {ended} IS NULL")).await?;
    let last = count(connection, format!("SELECT MAX({run}) FROM {runs}")).await?;
    Ok(((open > 0).then_some(open), last + 1))
}

async fn missing<C: ConnectionTrait>(finder: &Finder<'_, C>, state: &TableState) -> Result<Finding, DbErr> {
    let dialect = state.dialect();
    let name = |column: &str| dialect.quote(column);
    let entitlements: TableName = state.beside("entitlements");
    let text = format!(
        "SELECT e.{purchase}, e.{subject}, e.{expected} AS expected, COUNT(t.{id}) AS cards \
         FROM {entitlements} AS e LEFT JOIN {cards} AS t \
         ON t.{purchase} = e.{purchase} AND t.{subject} = e.{subject} \
         GROUP BY e.{purchase}, e.{subject}, e.{expected} HAVING COUNT(t.{id}) <> e.{expected}",
        purchase = name("purchase_id"),
        subject = name("subject_id"),
        expected = name("test_cards"),
        id = name("id"),
        entitlements = dialect.table(&entitlements),
        cards = dialect.table(&state.table),
    );
    finder.find(&text, &["purchase_id", "subject_id", "expected", "cards"]).await
}

/// A key of a child table that holds the reference admits one such row a card. Two cards that are merged may
/// each have it. Numbered rows are renumbered; for others there is no right answer here.
async fn collisions<C: ConnectionTrait>(
    finder: &Finder<'_, C>,
    state: &TableState,
) -> Result<Vec<(String, Finding)>, DbErr> {
    let mut found = Vec::new();
    let sittings = state.sittings();
    for (reference, column) in state.children() {
        let numbered = sittings
            .as_ref()
            .filter(|sittings| sittings.child.table == reference.table && sittings.child.column == column);
        for key in &reference.table_keys {
            let binds = key.unique && !key.partial && key.columns.iter().any(|name| same(name, column));
            let renumbered = numbered.is_some_and(|sittings| sittings.number_keys.contains(&key.name));
            if !binds || renumbered || key.columns.iter().any(String::is_empty) {
                continue;
            }
            let finding = collision(finder, state, reference, column, &key.columns).await?;
            if finding.count > 0 {
                found.push((format!("{} ({})", reference.table.name, key.columns.join(", ")), finding));
            }
        }
    }
    Ok(found)
}

async fn collision<C: ConnectionTrait>(
    finder: &Finder<'_, C>,
    state: &TableState,
    reference: &Reference,
    column: &str,
    key: &[String],
) -> Result<Finding, DbErr> {
    let dialect = state.dialect();
    let triple = NEW_KEY_COLUMNS.map(|name| format!("t.{}", dialect.quote(name))).join(", ");
    let others: Vec<_> = key
        .iter()
        .filter(|name| !same(name, column))
        .map(|name| format!("c.{}", dialect.quote(name)))
        .collect();
    let grouped = others.iter().map(|name| format!(", {name}")).collect::<String>();
    let known = others.iter().map(|name| format!(" AND {name} IS NOT NULL")).collect::<String>();
    let text = format!(
        "SELECT {triple}, COUNT(*) AS found_rows FROM {child} AS c JOIN {cards} AS t \
         ON t.{id} = c.{reference} WHERE {whole}{known} GROUP BY {triple}{grouped} HAVING COUNT(*) > 1",
        child = dialect.table(&reference.table),
        cards = dialect.table(&state.table),
        id = dialect.quote("id"),
        reference = dialect.quote(column),
        whole = all_not_null(dialect, Some("t")),
    );
    finder.find(&text, &["purchase_id", "subject_id", "test_number", "found_rows"]).await
}

fn all_not_null(dialect: Dialect, alias: Option<&str>) -> String {
    let name = |column| match alias {
        Some(alias) => format!("{alias}.{}", dialect.quote(column)),
        None => dialect.quote(column),
    };
    NEW_KEY_COLUMNS.map(|column| format!("{} IS NOT NULL", name(column))).join(" AND ")
}

pub(super) struct Finder<'c, C> {
    pub(super) connection: &'c C,
    pub(super) dialect: Dialect,
}

impl<C: ConnectionTrait> Finder<'_, C> {
    /// Counts the rows of `query` and reads the first few; `columns` are those it answers with.
    pub(super) async fn find(&self, query: &str, columns: &[&str]) -> Result<Finding, DbErr> {
        let count = count(self.connection, format!("SELECT COUNT(*) FROM ({query}) AS found")).await?;
        if count == 0 {
            return Ok(Finding::default());
        }
        let list =
            columns.iter().map(|column| self.dialect.text(&self.dialect.quote(column))).collect::<Vec<_>>();
        let order = self.dialect.quote_all(columns.iter().copied());
        let text =
            format!("SELECT {} FROM ({query}) AS found ORDER BY {order} LIMIT {SAMPLES}", list.join(", "));
        let mut samples = Vec::new();
        for row in rows(self.connection, text, []).await? {
            let mut sample = Map::new();
            for (position, column) in columns.iter().enumerate() {
                let value: Option<String> = row.try_get_by_index(position)?;
                sample.insert((*column).to_owned(), value.map_or(Value::Null, as_json));
            }
            samples.push(Value::Object(sample));
        }
        Ok(Finding { count, samples })
    }
}

/// A number where it is one.
fn as_json(text: String) -> Value {
    text.parse::<i64>().map_or(Value::String(text), Value::from)
}
