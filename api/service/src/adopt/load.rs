//! Reads the old purchases of a batch with their cards, sittings and answers, and the rows of jishu to which these
//! purchases refer.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use jishu_entity::{PurchaseId, QuestionId, SubjectId, UserId, course, entitlement, question, subject, user};
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QuerySelect, Value};

use super::cards::OldCard;
use super::old::{ANSWERS, CARDS, OldDatabase, OldRow, PURCHASES, QUESTIONS, SITTINGS};
use super::questions;
use super::sittings::{CardPaper, OldAnswer, OldSitting, PaperSlot};
use super::state::ROWS_TABLE;
use crate::database::{Database, MAX_IDS_PER_STATEMENT, sql};

/// A live entitlement in the new database. A later purchase of the same subject by the same user ends this entitlement.
#[derive(Clone, Copy, Debug)]
pub(super) struct LiveEntitlement {
    pub(super) purchase: PurchaseId,
    pub(super) granted_at: DateTime<Utc>,
}

/// The values of a carried subject that the adoption of purchases needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct CarriedSubject {
    pub(super) list_price: i64,
    pub(super) total_mock_tests: i32,
}

/// The old rows of a batch of purchases.
#[derive(Default)]
pub(super) struct OldPurchases {
    pub(super) purchases: Vec<OldRow>,
    /// The cards, by the id of their purchase.
    pub(super) cards: HashMap<i64, Vec<OldCard>>,
    /// The sittings, by the id of their card.
    pub(super) sittings: HashMap<i64, Vec<OldSitting>>,
    /// The answers, by the id of their sitting.
    pub(super) answers: HashMap<i64, Vec<OldAnswer>>,
    /// The questions of each card that has a sitting, by the id of the card.
    pub(super) papers: HashMap<i64, CardPaper>,
}

/// The rows of jishu to which a batch of purchases may refer. `live` has the live entitlements by user and subject.
#[derive(Default)]
pub(super) struct CarriedRows {
    pub(super) users: HashSet<i64>,
    pub(super) courses: HashSet<i64>,
    pub(super) subjects: HashMap<i64, CarriedSubject>,
    pub(super) live: HashMap<(i64, i64), LiveEntitlement>,
}

/// Reads up to `limit` old purchases with an id above `after`, and all that belongs to them. Returns None if there are
/// no more purchases.
pub(super) async fn old_purchases(
    old: &OldDatabase,
    database: &Database,
    after: i64,
    limit: u64,
) -> Result<Option<OldPurchases>, DbErr> {
    let purchases = old.rows_after(&PURCHASES, after, limit).await?;
    let Some(last) = purchases.last().map(OldRow::id) else { return Ok(None) };
    let range = || [Value::from(after), Value::from(last)];
    let of_cards = "c.purchase_id > ? AND c.purchase_id <= ?";
    let mut found = OldPurchases { purchases, ..OldPurchases::default() };

    let rest = "WHERE t.purchase_id > ? AND t.purchase_id <= ? ORDER BY t.id";
    for card in old.rows(&CARDS, rest, range()).await?.iter().map(OldCard::from) {
        found.cards.entry(card.purchase).or_default().push(card);
    }
    if !old.has(&CARDS) || !old.has(&SITTINGS) {
        return Ok(Some(found));
    }
    let rest = format!("JOIN {} c ON c.id = t.mock_test_id WHERE {of_cards} ORDER BY t.id", CARDS.name);
    for sitting in old.rows(&SITTINGS, &rest, range()).await?.iter().map(OldSitting::from) {
        found.sittings.entry(sitting.card).or_default().push(sitting);
    }
    let rest = format!(
        "JOIN {} s ON s.id = t.session_id JOIN {} c ON c.id = s.mock_test_id WHERE {of_cards} ORDER BY t.id",
        SITTINGS.name, CARDS.name
    );
    for row in old.rows(&ANSWERS, &rest, range()).await? {
        let answer = OldAnswer {
            question: row.integer("question_id"),
            selected: row.text("selected_answer").map(str::to_owned),
            time_taken: row.integer("time_taken"),
        };
        found.answers.entry(row.integer("session_id").unwrap_or_default()).or_default().push(answer);
    }
    let rest = format!(
        "JOIN {} c ON c.id = t.mock_test_id WHERE {of_cards} AND EXISTS (SELECT 1 FROM {} s WHERE s.mock_test_id = c.id) \
         ORDER BY t.id",
        CARDS.name, SITTINGS.name
    );
    let rows = old.rows(&QUESTIONS, &rest, range()).await?;
    found.papers = papers(database, &rows).await?;
    Ok(Some(found))
}

/// Makes the papers of cards from the rows of their questions. Leaves out questions that were not carried, and
/// questions that are in another subject now.
async fn papers(database: &Database, rows: &[OldRow]) -> Result<HashMap<i64, CardPaper>, DbErr> {
    let ids: Vec<i64> = rows.iter().map(OldRow::id).collect();
    let stored = stored_questions(database, &ids).await?;
    let mut papers: HashMap<i64, CardPaper> = HashMap::new();
    for row in rows {
        let subject = row.integer("subject_id").map(SubjectId);
        let question = stored.get(&row.id()).filter(|(_, of)| Some(*of) == subject);
        let (Some((question, subject)), Ok(draft)) = (question, questions::draft(row)) else { continue };
        let paper = papers.entry(row.integer("mock_test_id").unwrap_or_default()).or_default();
        // Several old questions of a card may be one question of the bank. A paper asks that question only once.
        if paper.slots.iter().all(|slot| slot.question != question.0) {
            let options = draft.answer.options().to_vec();
            paper.slots.push(PaperSlot {
                old_id: row.id(),
                question: question.0,
                subject: subject.0,
                options,
            });
        }
    }
    Ok(papers)
}

/// Finds the question of the bank for each of these old questions, with its subject. Leaves out old questions that were
/// not carried.
async fn stored_questions(
    database: &Database,
    ids: &[i64],
) -> Result<HashMap<i64, (QuestionId, SubjectId)>, DbErr> {
    let mut found = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(MAX_IDS_PER_STATEMENT) {
        let merged = merged(database, QUESTIONS.name, ids).await?;
        let now: BTreeMap<i64, i64> =
            ids.iter().map(|id| (*id, merged.get(id).copied().unwrap_or(*id))).collect();
        let rows: Vec<(QuestionId, SubjectId)> = question::Entity::find()
            .select_only()
            .columns([question::Column::Id, question::Column::SubjectId])
            .filter(question::Column::Id.is_in(now.values().copied()))
            .into_tuple()
            .all(database.reader())
            .await?;
        let subjects: HashMap<i64, SubjectId> =
            rows.into_iter().map(|(id, subject)| (id.0, subject)).collect();
        found.extend(
            now.into_iter().filter_map(|(old, new)| Some((old, (QuestionId(new), *subjects.get(&new)?)))),
        );
    }
    Ok(found)
}

/// Finds which of these old rows were merged. Returns the id of the row of jishu for each of them.
async fn merged(database: &Database, table: &str, ids: &[i64]) -> Result<HashMap<i64, i64>, DbErr> {
    use sea_orm::ConnectionTrait;

    let parameters = vec!["?"; ids.len()].join(", ");
    let text = format!(
        "SELECT old_id, new_id FROM {ROWS_TABLE} WHERE old_table = ? AND fate = 'merged' AND old_id IN ({parameters})"
    );
    let values = std::iter::once(table.into()).chain(ids.iter().map(|id| Value::from(*id)));
    let rows = database.reader().query_all_raw(sql(database.backend(), &text, values)).await?;
    rows.iter().map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))).collect()
}

/// Reads the rows of jishu to which these old purchases may refer.
pub(super) async fn carried_rows(database: &Database, purchases: &[OldRow]) -> Result<CarriedRows, DbErr> {
    let reader = database.reader();
    let owners: HashSet<i64> = purchases.iter().filter_map(|row| row.integer("user_id")).collect();
    let users: Vec<UserId> = user::Entity::find()
        .select_only()
        .column(user::Column::Id)
        .filter(user::Column::Id.is_in(owners.iter().copied()))
        .into_tuple()
        .all(reader)
        .await?;
    let courses = course::Entity::find().all(reader).await?;
    let subjects = subject::Entity::find().all(reader).await?;
    let live: Vec<(UserId, SubjectId, PurchaseId, DateTime<Utc>)> = entitlement::Entity::find()
        .select_only()
        .columns([
            entitlement::Column::UserId,
            entitlement::Column::SubjectId,
            entitlement::Column::PurchaseId,
            entitlement::Column::GrantedAt,
        ])
        .filter(entitlement::Column::UserId.is_in(owners.iter().copied()))
        .filter(entitlement::Column::EndedAt.is_null())
        .into_tuple()
        .all(reader)
        .await?;
    let carried = |row: &subject::Model| CarriedSubject {
        list_price: row.list_price,
        total_mock_tests: row.total_mock_tests,
    };
    let live = live.into_iter().map(|(user, subject, purchase, granted_at)| {
        ((user.0, subject.0), LiveEntitlement { purchase, granted_at })
    });
    Ok(CarriedRows {
        users: users.into_iter().map(|id| id.0).collect(),
        courses: courses.into_iter().map(|row| row.id.0).collect(),
        subjects: subjects.iter().map(|row| (row.id.0, carried(row))).collect(),
        live: live.collect(),
    })
}
