//! Counts the problems in the rows, and loads the cards that a repair must correct.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, DbErr};

use super::duplicates::{collisions, has_whole_key, several_owners};
use super::finding::{Finding, FindingReader};
use super::load::{CardSelection, load, with_ids};
use super::rows::CardGroup;
use super::sitting_figures::SittingFigures;
use super::state::TableState;
use super::{question_figures, sitting_figures};
use crate::error::RepairError;
use crate::names::{NEW_KEY_COLUMNS, RUN_TABLE};
use crate::sql::count;

/// Maximum number of wrong cards without duplicates that one statement loads.
const WRONG_CARDS_PER_STATEMENT: usize = 1_000;

/// The counts of an inspection, and the cards that a repair must correct.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// The number of cards.
    pub cards: i64,
    /// The number of cards that repairs have merged into other cards. The log of merged cards lists them.
    pub merged_cards: i64,
    /// Groups of several cards with the same purchase, subject and test number.
    pub duplicates: Finding,
    /// Groups of duplicates with cards of several users or courses.
    pub several_owners: Finding,
    /// The number of duplicate cards beyond the first card of each group of duplicates.
    pub surplus_cards: i64,
    /// Cards that the new unique key does not cover, because their purchase, subject or test number is null.
    pub incomplete_keys: Finding,
    /// Purchased subjects whose card numbers do not run from 1 without a gap.
    pub number_gaps: Finding,
    /// Users who have the same subject through more than one purchase. `None` in the new schema, which allows several
    /// purchases of a subject, and if cards have no user.
    pub overlapping_purchases: Option<Finding>,
    /// Entitlements with more or fewer cards than they grant. `None` if there is no table of entitlements.
    pub wrong_card_counts: Option<Finding>,
    /// Rows that cannot move to the survivor of a merge, because a unique key of their table would refuse them there.
    /// Each entry has the table with its key, and the cases.
    pub collisions: Vec<(String, Finding)>,
    /// The findings about sittings and questions.
    pub sittings: SittingFigures,
    /// The number of a run that has begun and not ended. `None` if all runs have ended.
    pub open_run: Option<i64>,
    /// The number that the next new run gets.
    pub(crate) next_run: i64,
    /// The cards to repair, with their sittings: groups of duplicates, and wrong cards without duplicates.
    pub(crate) groups: Vec<CardGroup>,
}

impl Figures {
    /// Returns the number of the run that a repair begins or continues.
    pub(crate) fn run(&self) -> i64 {
        self.open_run.unwrap_or(self.next_run)
    }
}

/// Counts the problems in the rows, and loads the cards that a repair must correct.
pub(super) async fn read(
    connection: &impl ConnectionTrait,
    state: &TableState,
) -> Result<Figures, RepairError> {
    let dialect = state.dialect();
    let cards = dialect.table(&state.table);
    let reader = FindingReader { connection, dialect };
    let mut figures = Figures {
        cards: count(connection, format!("SELECT COUNT(*) FROM {cards}")).await?,
        ..Figures::default()
    };
    if state.merged_card_columns.is_some() {
        let merged = dialect.table(&state.merged_card_table());
        figures.merged_cards = count(connection, format!("SELECT COUNT(*) FROM {merged}")).await?;
    }
    // If the new key works, there are no duplicates. A search for them would read the whole table, so it is left out.
    if state.new_key().is_none() {
        duplicates(&reader, state, &mut figures).await?;
    }
    figures.sittings = sitting_figures::read(&reader, state).await?;
    if !state.has_entitlements {
        question_figures::question_sets(&reader, state, &mut figures.sittings).await?;
        question_figures::lost_references(&reader, state, &mut figures.sittings).await?;
    }
    figures.groups = groups(connection, state, &figures).await?;
    figures.several_owners = several_owners(&figures.groups);
    (figures.open_run, figures.next_run) = runs(connection, state).await?;
    card_numbers(&reader, state, &mut figures).await?;
    if state.has_entitlements {
        figures.wrong_card_counts = Some(wrong_card_counts(&reader, state).await?);
    } else if state.has("user_id") {
        figures.overlapping_purchases = Some(overlapping_purchases(&reader, state).await?);
    }
    Ok(figures)
}

/// Finds duplicate cards, and the rows that keep them from being merged.
async fn duplicates<C: ConnectionTrait>(
    reader: &FindingReader<'_, C>,
    state: &TableState,
    figures: &mut Figures,
) -> Result<(), DbErr> {
    let dialect = state.dialect();
    let (cards, key) = (dialect.table(&state.table), dialect.quote_all(NEW_KEY_COLUMNS));
    let whole = has_whole_key(dialect, None);
    let groups = format!(
        "SELECT {key}, COUNT(*) AS cards FROM {cards} WHERE {whole} GROUP BY {key} HAVING COUNT(*) > 1"
    );
    figures.duplicates = reader.find(&groups, &["purchase_id", "subject_id", "test_number", "cards"]).await?;
    if figures.duplicates.count > 0 {
        let surplus = dialect.integer("SUM(cards - 1)");
        let text = format!(
            "SELECT {surplus} FROM (SELECT COUNT(*) AS cards FROM {cards} WHERE {whole} GROUP BY {key} \
             HAVING COUNT(*) > 1) AS found"
        );
        figures.surplus_cards = count(reader.connection, text).await?;
        figures.collisions = collisions(reader, state).await?;
    }
    Ok(())
}

/// Finds cards whose purchase, subject or test number is null, and gaps in the test numbers of cards.
async fn card_numbers<C: ConnectionTrait>(
    reader: &FindingReader<'_, C>,
    state: &TableState,
    figures: &mut Figures,
) -> Result<(), DbErr> {
    let dialect = state.dialect();
    let (cards, key) = (dialect.table(&state.table), dialect.quote_all(NEW_KEY_COLUMNS));
    let whole = has_whole_key(dialect, None);
    figures.incomplete_keys = reader
        .find(
            &format!("SELECT {}, {key} FROM {cards} WHERE NOT ({whole})", dialect.quote("id")),
            &["id", "purchase_id", "subject_id", "test_number"],
        )
        .await?;
    let (pair, number) = (dialect.quote_all(["purchase_id", "subject_id"]), dialect.quote("test_number"));
    figures.number_gaps = reader
        .find(
            &format!(
                "SELECT {pair}, COUNT(DISTINCT {number}) AS numbers, MIN({number}) AS first_number, \
                 MAX({number}) AS last_number FROM {cards} WHERE {whole} GROUP BY {pair} \
                 HAVING MIN({number}) <> 1 OR MAX({number}) <> COUNT(DISTINCT {number})"
            ),
            &["purchase_id", "subject_id", "numbers", "first_number", "last_number"],
        )
        .await?;
    Ok(())
}

/// Finds users who have a subject through more than one purchase.
async fn overlapping_purchases<C: ConnectionTrait>(
    reader: &FindingReader<'_, C>,
    state: &TableState,
) -> Result<Finding, DbErr> {
    let dialect = state.dialect();
    let (owner, purchase) = (dialect.quote_all(["user_id", "subject_id"]), dialect.quote("purchase_id"));
    let text = format!(
        "SELECT {owner}, COUNT(DISTINCT {purchase}) AS purchases FROM {cards} WHERE {whole} \
         GROUP BY {owner} HAVING COUNT(DISTINCT {purchase}) > 1",
        cards = dialect.table(&state.table),
        whole = has_whole_key(dialect, None),
    );
    reader.find(&text, &["user_id", "subject_id", "purchases"]).await
}

/// Loads the groups of duplicate cards, and then the cards without duplicates that disagree with their sittings.
async fn groups(
    connection: &impl ConnectionTrait,
    state: &TableState,
    figures: &Figures,
) -> Result<Vec<CardGroup>, DbErr> {
    let dialect = state.dialect();
    let mut groups = Vec::new();
    if figures.duplicates.count > 0 {
        let key = dialect.quote_all(NEW_KEY_COLUMNS);
        let on = NEW_KEY_COLUMNS.map(|name| format!("d.{name} = t.{name}", name = dialect.quote(name)));
        let condition = format!(
            "JOIN (SELECT {key} FROM {} WHERE {} GROUP BY {key} HAVING COUNT(*) > 1) AS d ON {}",
            dialect.table(&state.table),
            has_whole_key(dialect, None),
            on.join(" AND "),
        );
        groups =
            load(connection, state, &CardSelection { condition: &condition, ids: Vec::new(), lock: false })
                .await?;
    }
    let known: BTreeSet<i64> = groups.iter().flat_map(|group| &group.cards).map(|card| card.id).collect();
    let wrong: Vec<i64> = figures.sittings.wrong_cards.difference(&known).copied().collect();
    for piece in wrong.chunks(WRONG_CARDS_PER_STATEMENT) {
        let ids = piece.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let condition = with_ids(state, &ids);
        // Cards with the same purchase, subject and number are no duplicates if one of the three columns is null. So
        // each of the wrong cards becomes a group of its own.
        for group in
            load(connection, state, &CardSelection { condition: &condition, ids: Vec::new(), lock: false })
                .await?
        {
            for card in group.cards {
                let sittings =
                    group.sittings.iter().filter(|sitting| sitting.card == card.id).cloned().collect();
                groups.push(CardGroup { key: group.key.clone(), cards: vec![card], sittings });
            }
        }
    }
    Ok(groups)
}

/// Reads the number of the run that has not ended, and the number that the next new run gets.
async fn runs(connection: &impl ConnectionTrait, state: &TableState) -> Result<(Option<i64>, i64), DbErr> {
    if state.run_log_table(RUN_TABLE).is_none() {
        return Ok((None, 1));
    }
    let dialect = state.dialect();
    let (runs, run) =
        (dialect.table(&state.sibling_table(RUN_TABLE)), dialect.integer(&dialect.quote("repair_run")));
    let ended = dialect.quote("finished_at");
    let open = count(connection, format!("SELECT MAX({run}) FROM {runs} WHERE {ended} IS NULL")).await?;
    let last = count(connection, format!("SELECT MAX({run}) FROM {runs}")).await?;
    Ok(((open > 0).then_some(open), last + 1))
}

/// Finds entitlements with more or fewer cards than they grant.
async fn wrong_card_counts<C: ConnectionTrait>(
    reader: &FindingReader<'_, C>,
    state: &TableState,
) -> Result<Finding, DbErr> {
    let dialect = state.dialect();
    let name = |column: &str| dialect.quote(column);
    let entitlements = state.sibling_table("entitlements");
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
    reader.find(&text, &["purchase_id", "subject_id", "expected", "cards"]).await
}
