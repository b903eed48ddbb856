//! Makes the papers of tests.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use jishu_entity::question_version::{Difficulty, QuestionKind, TextFormat};
use jishu_entity::{
    PaperId, QuestionId, QuestionVersionId, SubjectId, TopicId, blueprint_part, paper, paper_question,
    question, question_version, subject, topic,
};
use jishu_service_macros::service_call;
use sea_orm::sea_query::ExprTrait;
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, ConnectionTrait,
    DatabaseTransaction, DbErr, EntityTrait, Iterable, JoinType, QueryFilter, QueryOrder, QuerySelect,
    RelationDef, Select,
};

use super::choose::{Candidate, Part, choose};
use super::{Paper, PaperRevision};
use crate::Services;
use crate::database::{WritePolicy, lock_subject};
use crate::error::{Error, Fault, Refusal};

/// A reason not to make a paper. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum PaperRefusal {
    /// The bank has fewer questions than a part of the blueprint asks for.
    #[error(
        "This test cannot be sat yet: its subject has {found} of {wanted} questions{of}. An author must add questions."
    )]
    TooFewQuestions {
        /// The number of questions that were found for a part of the blueprint.
        found: usize,
        /// The number of questions that the part asks for.
        wanted: usize,
        /// The questions of the part, such as " of the topic Optics" or " that are hard". Empty if the part takes any
        /// question.
        of: String,
    },
}

impl Refusal for PaperRefusal {}

/// Returns the latest revision of the paper of a test. Makes the paper if the test has none.
///
/// # Errors
/// Refuses if the test has no paper and the bank has too few questions for one. Fails if the database fails.
#[service_call("paper.of_test")]
pub async fn of_test(
    services: &Services,
    subject_id: SubjectId,
    test_number: i32,
) -> Result<Arc<Paper>, Error<PaperRefusal>> {
    let id = match find(services.database.reader(), subject_id, test_number).await? {
        Some(id) => id,
        None => {
            // Count the questions before locking the subject. So requests for a paper that cannot be made do not block
            // other transactions.
            check_enough(services.database.reader(), subject_id).await?;
            let new = NewPaper { subject_id, test_number, seed: rand::random(), now: services.clock.now() };
            let policy = WritePolicy::idempotent("paper").retry_taken_keys();
            services
                .database
                .write_for(subject_id, policy, new, |transaction, new| Box::pin(make(transaction, new)))
                .await?
        }
    };
    Ok(services.papers.get(id).await?)
}

/// A paper that is about to be made.
struct NewPaper {
    subject_id: SubjectId,
    test_number: i32,
    seed: i64,
    now: DateTime<Utc>,
}

/// Finds the latest revision of the paper of a test. Returns None if the test has no paper.
async fn find(
    connection: &impl ConnectionTrait,
    subject: SubjectId,
    test_number: i32,
) -> Result<Option<PaperRevision>, DbErr> {
    let found: Option<(PaperId, i32)> = paper::Entity::find()
        .select_only()
        .columns([paper::Column::Id, paper::Column::Revision])
        .filter(paper::Column::SubjectId.eq(subject))
        .filter(paper::Column::TestNumber.eq(test_number))
        .into_tuple()
        .one(connection)
        .await?;
    Ok(found.map(|(paper, revision)| PaperRevision { paper, revision }))
}

/// Makes the paper of a test, or returns the paper that the test already has. Locks the row of the subject, so that its
/// papers are made one after another. So each paper prefers questions that earlier papers do not ask.
async fn make(
    transaction: &DatabaseTransaction,
    new: &NewPaper,
) -> Result<PaperRevision, Error<PaperRefusal>> {
    lock_subject(transaction, new.subject_id).await?;
    if let Some(id) = find(transaction, new.subject_id, new.test_number).await? {
        return Ok(id);
    }
    let (subject, chosen) = choose_questions(transaction, new.subject_id, new.seed).await?;
    let paper = paper::ActiveModel {
        id: NotSet,
        subject_id: Set(subject.id),
        test_number: Set(new.test_number),
        seed: Set(new.seed),
        marks_correct: Set(subject.marks_correct),
        marks_wrong: Set(subject.marks_wrong),
        marks_unanswered: Set(subject.marks_unanswered),
        time_limit_seconds: Set(subject.time_limit_seconds),
        revision: Set(1),
        created_at: Set(new.now),
    };
    let paper = paper.insert(transaction).await?;
    let rows = (1..).zip(chosen).map(|(slot, candidate)| paper_question::ActiveModel {
        paper_id: Set(paper.id),
        slot: Set(slot),
        question_id: Set(candidate.question_id),
        version_id: Set(candidate.version_id),
    });
    paper_question::Entity::insert_many(rows).exec_without_returning(transaction).await?;
    Ok(PaperRevision { paper: paper.id, revision: paper.revision })
}

/// Checks that the bank has enough questions for a paper, and returns a refusal if not. Reads only the number of
/// questions of each topic and difficulty, and chooses from stand-ins for these questions. A paper takes at most as
/// many questions of one topic and difficulty as it has slots, so more stand-ins are not needed.
async fn check_enough(
    connection: &impl ConnectionTrait,
    subject: SubjectId,
) -> Result<(), Error<PaperRefusal>> {
    let (_, parts) = blueprint(connection, subject).await?;
    let slots: usize = parts.iter().map(|part| part.questions).sum();
    let counts: Vec<(TopicId, Difficulty, i64)> = current(subject)
        .column(question_version::Column::TopicId)
        .column(question_version::Column::Difficulty)
        .column_as(question::Column::Id.count(), "questions")
        .group_by(question_version::Column::TopicId)
        .group_by(question_version::Column::Difficulty)
        .into_tuple()
        .all(connection)
        .await?;
    let of_each = counts.into_iter().flat_map(|(topic_id, difficulty, questions)| {
        let questions = usize::try_from(questions).unwrap_or_default();
        std::iter::repeat_n((topic_id, difficulty), questions.min(slots))
    });
    let stand_ins = (1..).zip(of_each).map(|(number, (topic_id, difficulty))| Candidate {
        question_id: QuestionId(number),
        version_id: QuestionVersionId(number),
        topic_id,
        difficulty,
        uses: 0,
    });
    fill(connection, &parts, stand_ins.collect(), 0).await.map(drop)
}

/// Chooses the questions of a new paper of a subject by the seed. Also returns the row of the subject.
async fn choose_questions(
    connection: &impl ConnectionTrait,
    subject: SubjectId,
    seed: i64,
) -> Result<(subject::Model, Vec<Candidate>), Error<PaperRefusal>> {
    let (subject, parts) = blueprint(connection, subject).await?;
    let candidates = candidates(connection, subject.id).await?;
    Ok((subject, fill(connection, &parts, candidates, seed).await?))
}

/// Reads a subject with the parts of its blueprint.
async fn blueprint(
    connection: &impl ConnectionTrait,
    subject: SubjectId,
) -> Result<(subject::Model, Vec<Part>), Fault> {
    let subject = subject::Entity::find_by_id(subject)
        .one(connection)
        .await?
        .ok_or_else(|| Fault::missing(format_args!("subject {subject}")))?;
    let parts = parts(connection, &subject).await?;
    Ok((subject, parts))
}

/// Chooses questions for the parts of a blueprint from the candidates. If a part lacks questions, returns a refusal
/// that describes this part.
async fn fill(
    connection: &impl ConnectionTrait,
    parts: &[Part],
    candidates: Vec<Candidate>,
    seed: i64,
) -> Result<Vec<Candidate>, Error<PaperRefusal>> {
    match choose(parts, candidates, seed) {
        Ok(chosen) => Ok(chosen),
        Err(shortage) => {
            let part = parts[shortage.part];
            let of = describe(connection, part).await?;
            Err(PaperRefusal::TooFewQuestions { found: shortage.found, wanted: part.questions, of }.into())
        }
    }
}

/// Reads the parts of a subject's blueprint, in order. Without a blueprint, returns one part of `questions_per_test`
/// questions of any topic and difficulty.
async fn parts(connection: &impl ConnectionTrait, subject: &subject::Model) -> Result<Vec<Part>, DbErr> {
    let count = |questions| usize::try_from(questions).unwrap_or_default();
    let parts: Vec<_> = blueprint_part::Entity::find()
        .filter(blueprint_part::Column::SubjectId.eq(subject.id))
        .order_by_asc(blueprint_part::Column::Position)
        .all(connection)
        .await?
        .into_iter()
        .map(|part| Part {
            topic_id: part.topic_id,
            difficulty: part.difficulty,
            questions: count(part.questions),
        })
        .collect();
    if parts.is_empty() {
        let questions = count(subject.questions_per_test);
        return Ok(vec![Part { topic_id: None, difficulty: None, questions }]);
    }
    Ok(parts)
}

/// Returns a query, still without columns, for the current versions of the subject's questions that are not archived.
fn current(subject: SubjectId) -> Select<question::Entity> {
    question::Entity::find()
        .select_only()
        .join(JoinType::InnerJoin, versions_of_question())
        .filter(
            question::Column::CurrentVersion.into_expr().eq(question_version::Column::Version.into_expr()),
        )
        .filter(question::Column::SubjectId.eq(subject))
        .filter(question::Column::ArchivedAt.is_null())
        // Leave out questions with a difficulty, a kind or a text format that this release does not know. Reading such
        // a question would fail, and so no new paper of the subject could be used.
        .filter(question_version::Column::Difficulty.is_in(Difficulty::iter()))
        .filter(question_version::Column::Kind.is_in(QuestionKind::iter()))
        .filter(question_version::Column::TextFormat.is_in(TextFormat::iter()))
}

/// Reads the questions that a new paper of a subject can ask, with the number of papers that already ask each.
async fn candidates(connection: &impl ConnectionTrait, subject: SubjectId) -> Result<Vec<Candidate>, DbErr> {
    let uses: HashMap<QuestionId, i64> = paper_question::Entity::find()
        .select_only()
        .column(paper_question::Column::QuestionId)
        .column_as(paper_question::Column::Slot.count(), "uses")
        .join(JoinType::InnerJoin, paper_of_question())
        .filter(paper::Column::SubjectId.eq(subject))
        .group_by(paper_question::Column::QuestionId)
        .into_tuple()
        .all(connection)
        .await?
        .into_iter()
        .collect();
    let rows: Vec<(QuestionId, QuestionVersionId, TopicId, Difficulty)> = current(subject)
        .column(question::Column::Id)
        .column(question_version::Column::Id)
        .column(question_version::Column::TopicId)
        .column(question_version::Column::Difficulty)
        .into_tuple()
        .all(connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(|(question_id, version_id, topic_id, difficulty)| Candidate {
            question_id,
            version_id,
            topic_id,
            difficulty,
            uses: uses.get(&question_id).copied().unwrap_or_default(),
        })
        .collect())
}

fn paper_of_question() -> RelationDef {
    paper_question::Entity::belongs_to(paper::Entity)
        .from(paper_question::Column::PaperId)
        .to(paper::Column::Id)
        .into()
}

fn versions_of_question() -> RelationDef {
    let question: RelationDef = question_version::Entity::belongs_to(question::Entity)
        .from(question_version::Column::QuestionId)
        .to(question::Column::Id)
        .into();
    question.rev()
}

/// Describes the questions of a part for a message, such as " that are hard of the topic Optics". Returns an empty text
/// for a part that takes any question.
async fn describe(connection: &impl ConnectionTrait, part: Part) -> Result<String, DbErr> {
    let mut description = match part.difficulty {
        None => String::new(),
        Some(Difficulty::Easy) => " that are easy".to_owned(),
        Some(Difficulty::Medium) => " of medium difficulty".to_owned(),
        Some(Difficulty::Hard) => " that are hard".to_owned(),
    };
    if let Some(topic) = part.topic_id
        && let Some(topic) = topic::Entity::find_by_id(topic).one(connection).await?
    {
        description = format!("{description} of the topic {}", topic.name);
    }
    Ok(description)
}
