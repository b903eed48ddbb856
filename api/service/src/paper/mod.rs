//! Papers. A paper is the list of questions of one test, which is a subject and a test number. All learners get the
//! same paper.
//!
//! The first start of a test makes its paper ([`compose`]). If the key of a question is corrected, the paper gets a new
//! revision, which sittings that start later use. Each sitting keeps the revision that it started with. A revision
//! never changes, so its questions, keys, marks and duration can be cached.

mod choose;
mod compose;
mod outline;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jishu_entity::question_version::{Difficulty, QuestionKind, TextFormat};
use jishu_entity::{
    PaperId, QuestionId, QuestionVersionId, TopicId, accepted_text, paper, paper_question, paper_revision,
    question_option, question_version, test_session, topic,
};
use jishu_service_macros::service_call;
use question_formats::OptionOrder;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use rust_decimal::Decimal;
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder};

use super::scoring::{AnswerKey, Marks, TextKey};
use crate::database::Database;
use crate::error::Fault;

pub use compose::{PaperRefusal, of_test};
pub use outline::{Outline, TestId, of_tests};

/// A revision of a paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PaperRevision {
    /// The paper.
    pub paper: PaperId,
    /// The number of the revision, from 1.
    pub revision: i32,
}

impl From<&test_session::Model> for PaperRevision {
    /// Returns the revision of the paper that a sitting uses.
    fn from(session: &test_session::Model) -> Self {
        Self { paper: session.paper_id, revision: session.paper_revision }
    }
}

/// A revision of a paper with its questions.
#[derive(Debug)]
pub struct Paper {
    /// The revision.
    pub id: PaperRevision,
    /// The row of the paper as it was read. Its `revision` was the latest revision at that time, and can be greater
    /// than the revision in `id`.
    pub row: paper::Model,
    /// The questions. The question of slot n has index n - 1.
    pub questions: Vec<PaperQuestion>,
    /// The names of the topics of the questions, by topic.
    pub topics: BTreeMap<TopicId, String>,
}

/// A question of a revision of a paper.
#[derive(Debug)]
pub struct PaperQuestion {
    /// The question.
    pub question_id: QuestionId,
    /// The topic.
    pub topic_id: TopicId,
    /// The difficulty.
    pub difficulty: Difficulty,
    /// The kind of the question, such as single choice.
    pub kind: QuestionKind,
    /// The format of the stem, the options and the explanation.
    pub text_format: TextFormat,
    /// The text of the question.
    pub stem: String,
    /// The options, in the author's order.
    pub options: Vec<String>,
    /// Whether a sitting shuffles the options, and which options then keep their positions.
    pub option_order: OptionOrder,
    /// The key: the correct options, the number with its tolerance, or the accepted texts.
    pub key: AnswerKey,
    /// The explanation of the correct answer; None if the question has none.
    pub explanation: Option<String>,
}

impl Paper {
    /// Returns the marks for a correct answer, a wrong answer and no answer.
    #[must_use]
    pub fn marks(&self) -> Marks {
        Marks::from(&self.row)
    }

    /// Finds the question of a slot. Returns None if the paper has no such slot.
    #[must_use]
    pub fn question(&self, slot: i32) -> Option<&PaperQuestion> {
        let index = usize::try_from(slot).ok()?.checked_sub(1)?;
        self.questions.get(index)
    }

    /// Returns the slots with their questions, in order.
    pub fn slots(&self) -> impl Iterator<Item = (i32, &PaperQuestion)> {
        (1..).zip(&self.questions)
    }

    /// Estimates the memory that the paper takes, in bytes.
    fn bytes(&self) -> usize {
        const BYTES_PER_QUESTION: usize = 400;
        const BYTES_PER_OPTION: usize = 24;
        self.questions.iter().fold(BYTES_PER_QUESTION, |bytes, question| {
            let options: usize = question.options.iter().map(|option| option.len() + BYTES_PER_OPTION).sum();
            let explanation = question.explanation.as_ref().map_or(0, String::len);
            let texts: usize = match &question.key {
                // The key has each accepted text twice: as the author wrote it, and prepared for comparisons.
                AnswerKey::Texts(key) => {
                    key.texts().iter().map(|text| 2 * (text.len() + BYTES_PER_OPTION)).sum()
                }
                AnswerKey::Options(_) | AnswerKey::Number { .. } => 0,
            };
            bytes + texts + BYTES_PER_QUESTION + question.stem.len() + explanation + options
        })
    }
}

/// Maximum estimated memory of the cached papers, in bytes.
const MAX_CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// Estimated number of papers in a full cache.
const EXPECTED_PAPERS: usize = 1_000;

/// A cache of revisions of papers.
#[derive(Debug)]
pub struct Papers {
    database: Database,
    papers: Cache<PaperRevision, Arc<Paper>, PaperWeigher>,
}

/// Weighs cached papers by their estimated bytes.
#[derive(Clone, Debug)]
struct PaperWeigher;

impl Weighter<PaperRevision, Arc<Paper>> for PaperWeigher {
    fn weight(&self, _: &PaperRevision, paper: &Arc<Paper>) -> u64 {
        u64::try_from(paper.bytes()).unwrap_or(u64::MAX)
    }
}

impl Papers {
    /// Returns an empty cache.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database, papers: Cache::with_weighter(EXPECTED_PAPERS, MAX_CACHE_BYTES, PaperWeigher) }
    }

    /// Returns a revision of a paper that exists. Reads the revision from the database and caches it, if it is not
    /// cached.
    ///
    /// # Errors
    /// Fails if the database fails, or if the revision is missing or incomplete there.
    pub async fn get(&self, id: PaperRevision) -> Result<Arc<Paper>, Fault> {
        let load = async { Ok(Arc::new(load_revision(&self.database, id).await?)) };
        self.papers.get_or_insert_async(&id, load).await
    }

    /// Returns a revision from the cache, or reads it through `connection` without caching it. Use this function
    /// instead of [`Papers::get`] while holding a connection, because waiting for a second connection could block.
    pub(super) async fn get_through(
        &self,
        connection: &impl ConnectionTrait,
        id: PaperRevision,
    ) -> Result<Arc<Paper>, Fault> {
        match self.papers.get(&id) {
            Some(paper) => Ok(paper),
            None => Ok(Arc::new(load(connection, id).await?)),
        }
    }

    /// Returns the revision `newest` of a paper of which the caller has read the revision `paper`. Returns `paper`
    /// itself if no newer revision was made.
    pub(super) async fn newest_through(
        &self,
        connection: &impl ConnectionTrait,
        paper: &Arc<Paper>,
        newest: i32,
    ) -> Result<Arc<Paper>, Fault> {
        match newest > paper.id.revision {
            true => {
                let id = PaperRevision { paper: paper.id.paper, revision: newest };
                self.get_through(connection, id).await
            }
            false => Ok(Arc::clone(paper)),
        }
    }
}

/// Reads a revision of a paper from the database, without the cache.
#[service_call]
async fn load_revision(database: &Database, id: PaperRevision) -> Result<Paper, Fault> {
    load(database.reader(), id).await
}

async fn load(reader: &impl ConnectionTrait, id: PaperRevision) -> Result<Paper, Fault> {
    let row = paper::Entity::find_by_id(id.paper)
        .one(reader)
        .await?
        .filter(|row| id.revision <= row.revision)
        .ok_or_else(|| Fault::missing(format_args!("revision {} of paper {}", id.revision, id.paper)))?;
    let mut slots: BTreeMap<i32, (QuestionId, QuestionVersionId)> = paper_question::Entity::find()
        .filter(paper_question::Column::PaperId.eq(id.paper))
        .all(reader)
        .await?
        .into_iter()
        .map(|slot| (slot.slot, (slot.question_id, slot.version_id)))
        .collect();
    if id.revision > 1 {
        let changes = paper_revision::Entity::find()
            .filter(paper_revision::Column::PaperId.eq(id.paper))
            .filter(paper_revision::Column::Revision.lte(id.revision))
            .order_by_asc(paper_revision::Column::Revision);
        for change in changes.all(reader).await? {
            if let Some((_, version)) = slots.get_mut(&change.slot) {
                *version = change.version_id;
            }
        }
    }
    let slots: Vec<(QuestionId, QuestionVersionId)> = slots.into_values().collect();
    let versions: Vec<_> = slots.iter().map(|(_, version)| *version).collect();
    let mut options: HashMap<QuestionVersionId, Vec<question_option::Model>> = HashMap::new();
    let rows = question_option::Entity::find()
        .filter(question_option::Column::VersionId.is_in(versions.clone()))
        .order_by_asc(question_option::Column::VersionId)
        .order_by_asc(question_option::Column::Position);
    for option in rows.all(reader).await? {
        options.entry(option.version_id).or_default().push(option);
    }
    let mut said: HashMap<QuestionVersionId, question_version::Model> = question_version::Entity::find()
        .filter(question_version::Column::Id.is_in(versions))
        .all(reader)
        .await?
        .into_iter()
        .map(|version| (version.id, version))
        .collect();
    let short = said.values().filter(|version| version.kind == QuestionKind::ShortAnswer);
    let mut texts = accepted_texts(reader, short.map(|version| version.id).collect()).await?;
    let mut questions = Vec::with_capacity(slots.len());
    for (question_id, version_id) in slots {
        let version = said
            .remove(&version_id)
            .ok_or_else(|| Fault::missing(format_args!("version {version_id} of question {question_id}")))?;
        let options = options.remove(&version_id).unwrap_or_default();
        questions.push(question(version, options, texts.remove(&version_id).unwrap_or_default())?);
    }
    let topic_ids: Vec<_> = questions.iter().map(|question| question.topic_id).collect();
    let topics = topic::Entity::find().filter(topic::Column::Id.is_in(topic_ids)).all(reader).await?;
    let topics = topics.into_iter().map(|topic| (topic.id, topic.name)).collect();
    Ok(Paper { id, row, questions, topics })
}

/// Reads the accepted texts of versions in the author's order, by version. Sends no statement if `versions` is empty.
pub(super) async fn accepted_texts(
    connection: &impl ConnectionTrait,
    versions: Vec<QuestionVersionId>,
) -> Result<HashMap<QuestionVersionId, Vec<String>>, DbErr> {
    let mut texts: HashMap<QuestionVersionId, Vec<String>> = HashMap::new();
    if versions.is_empty() {
        return Ok(texts);
    }
    let rows = accepted_text::Entity::find()
        .filter(accepted_text::Column::VersionId.is_in(versions))
        .order_by_asc(accepted_text::Column::VersionId)
        .order_by_asc(accepted_text::Column::Position);
    for row in rows.all(connection).await? {
        texts.entry(row.version_id).or_default().push(row.text);
    }
    Ok(texts)
}

/// Reads from a version whether a sitting shuffles the options, and which options then keep their positions.
pub(super) fn option_order(version: &question_version::Model) -> OptionOrder {
    if version.keeps_options {
        return OptionOrder::kept();
    }
    let fixed = (0..63).filter(|position| version.fixed_options >> position & 1 == 1).collect();
    OptionOrder { shuffled: true, fixed }
}

fn question(
    version: question_version::Model,
    options: Vec<question_option::Model>,
    texts: Vec<String>,
) -> Result<PaperQuestion, Fault> {
    let key = match version.kind {
        QuestionKind::SingleChoice | QuestionKind::MultipleChoice => {
            let correct = options.iter().zip(0..).filter(|(option, _)| option.correct);
            AnswerKey::Options(correct.fold(0, |key, (_, position)| key | 1 << position))
        }
        QuestionKind::Numeric => AnswerKey::Number {
            value: number(version.id, version.numeric_value.as_deref())?,
            tolerance: number(version.id, version.numeric_tolerance.as_deref())?,
        },
        QuestionKind::ShortAnswer if texts.is_empty() => {
            return Err(Fault::Inconsistent(format!(
                "version {} of a question has no accepted text",
                version.id
            )));
        }
        QuestionKind::ShortAnswer => AnswerKey::Texts(TextKey::new(texts, version.is_case_sensitive)),
    };
    let option_order = option_order(&version);
    Ok(PaperQuestion {
        question_id: version.question_id,
        topic_id: version.topic_id,
        difficulty: version.difficulty,
        kind: version.kind,
        text_format: version.text_format,
        stem: version.stem,
        options: options.into_iter().map(|option| option.text).collect(),
        option_order,
        key,
        explanation: version.explanation,
    })
}

fn number(version: QuestionVersionId, text: Option<&str>) -> Result<Decimal, Fault> {
    text.and_then(|text| text.parse().ok()).ok_or_else(|| {
        Fault::Inconsistent(format!("version {version} of a question has no number for its key"))
    })
}
