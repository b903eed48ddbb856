//! Reads questions for their authors, with keys, versions and corrections. So the functions take an [`Author`], except
//! [`find`], which reads only an id.

use std::collections::{BTreeSet, HashMap};

use jishu_entity::{
    QuestionId, QuestionVersionId, SubjectId, TopicId, UserId, question, question_correction,
    question_version, topic, user,
};
use question_formats::{DraftAnswer, OptionOrder};
use sea_orm::sea_query::{Expr, ExprTrait, Func, LikeExpr};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, IntoSimpleExpr, JoinType, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, RelationDef, Select, Value,
};

use super::comparable_key::{ComparableKey, keys};
use super::fixed_tests;
use super::read::{answers, current_versions};
use crate::account::Author;
use crate::database::sql;
use crate::error::Fault;
use crate::page::{self, Keyset, Page, PageRequest};
use crate::paper::option_order;

/// Maximum number of versions, and maximum number of corrections, that are read for each question.
const MAX_HISTORY: usize = 20;

/// One version of a question, with its key.
#[derive(Clone, Debug)]
pub struct AuthoredVersion {
    /// The stored version.
    pub row: question_version::Model,
    /// The name of the topic of this version.
    pub topic: String,
    /// The kind of the question with its options and its key.
    pub answer: DraftAnswer,
    /// Whether a sitting shuffles the options, and which options then keep their positions.
    pub option_order: OptionOrder,
}

/// A question with its current version.
#[derive(Clone, Debug)]
pub struct BankQuestion {
    /// The stored question.
    pub row: question::Model,
    /// The current version, which new tests use.
    pub current: AuthoredVersion,
    /// The number of fixed tests that ask the question.
    pub tests: usize,
    /// The number of fixed tests that ask the question with another key than its current version.
    pub tests_with_other_key: usize,
}

/// The conditions of a list of questions.
#[derive(Clone, Debug)]
pub struct QuestionFilter {
    /// The subject.
    pub subject_id: SubjectId,
    /// True selects archived questions, and false selects questions that are not archived.
    pub archived: bool,
    /// A text that the external id or the stem of the current version must contain. The case of the letters A to Z does
    /// not matter. For other letters it can matter, because SQLite and some settings of PostgreSQL do not convert their
    /// case. White space around the text is ignored. None or a blank text selects all questions.
    pub search: Option<String>,
}

/// Returns the query for the questions that meet the conditions of `listing`.
fn listed(listing: &QuestionFilter) -> Select<question::Entity> {
    let archived = question::Column::ArchivedAt;
    let mut select = question::Entity::find()
        .filter(question::Column::SubjectId.eq(listing.subject_id))
        .filter(if listing.archived { archived.is_not_null() } else { archived.is_null() });
    let search = listing.search.as_deref().map(str::trim).filter(|search| !search.is_empty());
    if let Some(search) = search {
        let version: RelationDef = question_version::Entity::belongs_to(question::Entity)
            .from(question_version::Column::QuestionId)
            .to(question::Column::Id)
            .into();
        let current =
            question::Column::CurrentVersion.into_expr().eq(question_version::Column::Version.into_expr());
        let has = |column: Expr| {
            let like = |text: &str| LikeExpr::new(format!("%{}%", escaped(text))).escape('!');
            Condition::any()
                .add(column.clone().like(like(search)))
                .add(Expr::expr(Func::lower(column)).like(like(&search.to_lowercase())))
        };
        let found = Condition::any()
            .add(has(question_version::Column::Stem.into_expr()))
            .add(has(question::Column::ExternalId.into_expr()));
        select = select.join(JoinType::InnerJoin, version.rev()).filter(current).filter(found);
    }
    select
}

/// Escapes the wildcards of LIKE in a text with `!`.
fn escaped(text: &str) -> String {
    text.replace('!', "!!").replace('%', "!%").replace('_', "!_")
}

/// Reads a page of the questions that meet the conditions of `listing`, in ascending order of their ids.
///
/// # Errors
/// Returns the database's error, or a fault if a question has no current version or a numeric key cannot be read.
pub async fn page(
    connection: &impl ConnectionTrait,
    _author: Author,
    listing: &QuestionFilter,
    request: PageRequest<i64>,
) -> Result<Page<BankQuestion>, Fault> {
    let keyset = Keyset { columns: vec![question::Column::Id.into_simple_expr()], descending: false };
    let found = page::fetch(connection, listed(listing), keyset, request, |id| vec![Value::from(id)]).await?;
    let rows = read(connection, found.rows).await?;
    Ok(Page { rows, has_previous: found.has_previous, has_next: found.has_next })
}

/// Counts the questions that meet the conditions of `listing`.
///
/// # Errors
/// Returns the database's error.
pub async fn count(
    connection: &impl ConnectionTrait,
    _author: Author,
    listing: &QuestionFilter,
) -> Result<u64, DbErr> {
    listed(listing).count(connection).await
}

/// Reads the questions with these ids, including archived questions, in no particular order. Leaves out ids that do not
/// exist.
///
/// # Errors
/// Returns the database's error, or a fault if a question has no current version or a numeric key cannot be read.
pub async fn by_ids(
    connection: &impl ConnectionTrait,
    _author: Author,
    ids: impl IntoIterator<Item = QuestionId>,
) -> Result<Vec<BankQuestion>, Fault> {
    let rows = question::Entity::find().filter(question::Column::Id.is_in(ids)).all(connection).await?;
    read(connection, rows).await
}

/// Returns the id of the question with this external id in a subject, or None if the subject has no such question.
///
/// # Errors
/// Returns the database's error.
pub async fn find(
    connection: &impl ConnectionTrait,
    subject: SubjectId,
    external_id: &str,
) -> Result<Option<QuestionId>, DbErr> {
    question::Entity::find()
        .select_only()
        .column(question::Column::Id)
        .filter(question::Column::SubjectId.eq(subject))
        .filter(question::Column::ExternalId.eq(external_id))
        .into_tuple()
        .one(connection)
        .await
}

/// Loads the current versions of questions, and counts the fixed tests that ask them.
async fn read(
    connection: &impl ConnectionTrait,
    rows: Vec<question::Model>,
) -> Result<Vec<BankQuestion>, Fault> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let current = current_versions(connection, rows.iter().map(|row| row.id)).await?;
    let mut current: HashMap<QuestionId, AuthoredVersion> =
        load_versions(connection, current.into_values().collect())
            .await?
            .into_iter()
            .map(|version| (version.row.question_id, version))
            .collect();
    let mut slots = Vec::new();
    for subject in rows.iter().map(|row| row.subject_id).collect::<BTreeSet<_>>() {
        let of_subject = rows.iter().filter(|row| row.subject_id == subject);
        let ids: Vec<QuestionId> = of_subject.map(|row| row.id).collect();
        slots.extend(fixed_tests::slots(connection, subject, &ids).await?);
    }
    let keys = keys(connection, &slots.iter().map(|slot| slot.version).collect()).await?;
    let authored = |row: question::Model| {
        let missing = || Fault::missing(format_args!("the current version of question {}", row.id));
        let current = current.remove(&row.id).ok_or_else(missing)?;
        let key = ComparableKey::from(&current.answer);
        let of_question = || slots.iter().filter(|slot| slot.question == row.id);
        let has_other = |version| keys.get(&version).is_some_and(|other| !other.key.agrees_with(&key));
        let tests_with_other_key = of_question().filter(|slot| has_other(slot.version)).count();
        Ok(BankQuestion { tests: of_question().count(), row, current, tests_with_other_key })
    };
    rows.into_iter().map(authored).collect()
}

/// Loads the topics, the options and the keys of versions.
async fn load_versions(
    connection: &impl ConnectionTrait,
    rows: Vec<question_version::Model>,
) -> Result<Vec<AuthoredVersion>, Fault> {
    let topics: HashMap<TopicId, String> = topic::Entity::find()
        .filter(topic::Column::Id.is_in(rows.iter().map(|row| row.topic_id)))
        .all(connection)
        .await?
        .into_iter()
        .map(|topic| (topic.id, topic.name))
        .collect();
    let mut answers = answers(connection, &rows).await?;
    let authored = |row: question_version::Model| {
        let topic = topics.get(&row.topic_id).cloned().unwrap_or_default();
        let missing = || Fault::missing(format_args!("the answer of version {}", row.id));
        let answer = answers.remove(&row.id).ok_or_else(missing)?;
        let option_order = option_order(&row);
        Ok(AuthoredVersion { row, topic, answer, option_order })
    };
    rows.into_iter().map(authored).collect()
}

/// Reads the newest versions of each of these questions, at most [`MAX_HISTORY`] for each question, the newest first.
///
/// # Errors
/// Returns the database's error, or a fault if the number of a numeric key is missing or cannot be read.
pub async fn versions(
    connection: &impl ConnectionTrait,
    _author: Author,
    questions: impl IntoIterator<Item = QuestionId>,
) -> Result<HashMap<QuestionId, Vec<AuthoredVersion>>, Fault> {
    let rows = question_version::Entity::find()
        .filter(question_version::Column::Id.is_in(newest(connection, "question_versions", questions).await?))
        .order_by_desc(question_version::Column::Version)
        .all(connection)
        .await?;
    let mut versions: HashMap<QuestionId, Vec<AuthoredVersion>> = HashMap::new();
    for version in load_versions(connection, rows).await? {
        versions.entry(version.row.question_id).or_default().push(version);
    }
    Ok(versions)
}

/// Reads the ids of the newest rows of each of these questions in `table`, which is `question_versions` or
/// `question_corrections`. Reads at most [`MAX_HISTORY`] rows for each question.
async fn newest(
    connection: &impl ConnectionTrait,
    table: &str,
    questions: impl IntoIterator<Item = QuestionId>,
) -> Result<Vec<i64>, DbErr> {
    let questions: Vec<Value> = questions.into_iter().map(Value::from).collect();
    if questions.is_empty() {
        return Ok(Vec::new());
    }
    let placeholders = vec!["?"; questions.len()].join(", ");
    let text = format!(
        "SELECT newest.id FROM (SELECT id, ROW_NUMBER() OVER (PARTITION BY question_id ORDER BY id DESC) AS age \
         FROM {table} WHERE question_id IN ({placeholders})) newest WHERE newest.age <= {MAX_HISTORY}"
    );
    let rows = connection.query_all_raw(sql(connection.get_database_backend(), &text, questions)).await?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect()
}

/// A correction of the key of a question, for authors.
#[derive(Clone, Debug)]
pub struct AuthoredCorrection {
    /// The stored correction.
    pub row: question_correction::Model,
    /// The number of the version whose key was wrong.
    pub previous_version: i32,
    /// The number of the version with the right key.
    pub version: i32,
    /// The name of the author who corrected the key; None if the operator corrected it.
    pub by: Option<String>,
}

/// Reads the newest corrections of each of these questions, at most [`MAX_HISTORY`] for each question, the newest
/// first.
///
/// # Errors
/// Returns the database's error.
pub async fn corrections(
    connection: &impl ConnectionTrait,
    _author: Author,
    questions: impl IntoIterator<Item = QuestionId>,
) -> Result<HashMap<QuestionId, Vec<AuthoredCorrection>>, DbErr> {
    let rows = question_correction::Entity::find()
        .filter(
            question_correction::Column::Id
                .is_in(newest(connection, "question_corrections", questions).await?),
        )
        .order_by_desc(question_correction::Column::Id)
        .all(connection)
        .await?;
    let ids = rows.iter().flat_map(|row| [row.previous_version_id, row.version_id]);
    let numbers: Vec<(QuestionVersionId, i32)> = question_version::Entity::find()
        .select_only()
        .columns([question_version::Column::Id, question_version::Column::Version])
        .filter(question_version::Column::Id.is_in(ids))
        .into_tuple()
        .all(connection)
        .await?;
    let names: Vec<(UserId, String)> = user::Entity::find()
        .select_only()
        .columns([user::Column::Id, user::Column::Name])
        .filter(user::Column::Id.is_in(rows.iter().filter_map(|row| row.corrected_by)))
        .into_tuple()
        .all(connection)
        .await?;
    let numbers: HashMap<_, _> = numbers.into_iter().collect();
    let names: HashMap<_, _> = names.into_iter().collect();
    let number = |id: &QuestionVersionId| numbers.get(id).copied().unwrap_or_default();
    let mut corrections: HashMap<QuestionId, Vec<AuthoredCorrection>> = HashMap::new();
    for row in rows {
        let correction = AuthoredCorrection {
            previous_version: number(&row.previous_version_id),
            version: number(&row.version_id),
            by: row.corrected_by.and_then(|by| names.get(&by).cloned()),
            row,
        };
        corrections.entry(correction.row.question_id).or_default().push(correction);
    }
    Ok(corrections)
}
