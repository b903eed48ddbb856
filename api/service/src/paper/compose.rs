//! Making a paper.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use jishu_entity::question_version::{Difficulty, QuestionKind, TextFormat};
use jishu_entity::{
    PaperId, QuestionId, QuestionVersionId, SubjectId, TopicId, blueprint_part, paper, paper_question,
    question, question_version, subject, topic,
};
use sea_orm::sea_query::ExprTrait;
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, ConnectionTrait,
    DatabaseTransaction, DbErr, EntityTrait, Iterable, JoinType, QueryFilter, QueryOrder, QuerySelect,
    RelationDef, Select,
};

use super::choose::{Candidate, Part, choose};
use super::{Paper, PaperRevision};
use crate::Services;
use crate::database::{IsFailure, WriteOptions, lock_subject};

/// Why there is no paper. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum PaperError {
    /// The bank has fewer questions than the blueprint asks for.
    #[error(
        "This test cannot be sat yet: its subject has {found} of {wanted} questions{of}. Whoever keeps the question \
         bank has to add some."
    )]
    TooFewQuestions {
        /// How many a part of the blueprint would get.
        found: usize,
        /// How many it asks for.
        wanted: usize,
        /// Which part: " of the topic Optics", " that are hard"; or empty.
        of: String,
    },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbErr),
}

impl IsFailure for PaperError {
    fn database_error(&self) -> Option<&DbErr> {
        match self {
            Self::Database(error) => Some(error),
            Self::TooFewQuestions { .. } => None,
        }
    }
}

/// Returns the paper of a test, in its latest revision. Makes the paper if there is none.
///
/// # Errors
/// When the bank has too few questions, or the database fails.
pub async fn of_test(
    services: &Services,
    subject_id: SubjectId,
    test_number: i32,
) -> Result<Arc<Paper>, PaperError> {
    let id = match find(services.database.reader(), subject_id, test_number).await? {
        Some(id) => id,
        None => {
            // Whoever starts a test that has no paper yet holds nobody up where there cannot be one.
            look(services.database.reader(), subject_id).await?;
            let test = Test { subject_id, test_number, seed: rand::random(), now: services.clock.now() };
            let options =
                WriteOptions { name: "paper", looks_before_it_writes: true, another_may_be_first: true };
            services
                .database
                .write_for(subject_id, options, test, |transaction, test| Box::pin(make(transaction, test)))
                .await?
        }
    };
    Ok(services.papers.get(id).await?)
}

struct Test {
    subject_id: SubjectId,
    test_number: i32,
    seed: i64,
    now: DateTime<Utc>,
}

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

/// The papers of a subject are made one after the other, so that each knows which questions the others have.
async fn make(transaction: &DatabaseTransaction, test: &Test) -> Result<PaperRevision, PaperError> {
    lock_subject(transaction, test.subject_id).await?;
    if let Some(id) = find(transaction, test.subject_id, test.test_number).await? {
        return Ok(id);
    }
    let (subject, chosen) = chosen(transaction, test.subject_id, test.seed).await?;
    let paper = paper::ActiveModel {
        id: NotSet,
        subject_id: Set(subject.id),
        test_number: Set(test.test_number),
        seed: Set(test.seed),
        marks_correct: Set(subject.marks_correct),
        marks_wrong: Set(subject.marks_wrong),
        marks_unanswered: Set(subject.marks_unanswered),
        time_limit_seconds: Set(subject.time_limit_seconds),
        revision: Set(1),
        created_at: Set(test.now),
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

/// Looks whether the bank has enough questions, by how many there are of each topic and difficulty: those of one stand for
/// each other, and a paper takes no more of them than it has slots.
async fn look(connection: &impl ConnectionTrait, subject: SubjectId) -> Result<(), PaperError> {
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

/// The questions of a paper that is made with this seed.
async fn chosen(
    connection: &impl ConnectionTrait,
    subject: SubjectId,
    seed: i64,
) -> Result<(subject::Model, Vec<Candidate>), PaperError> {
    let (subject, parts) = blueprint(connection, subject).await?;
    let candidates = candidates(connection, subject.id).await?;
    Ok((subject, fill(connection, &parts, candidates, seed).await?))
}

async fn blueprint(
    connection: &impl ConnectionTrait,
    subject: SubjectId,
) -> Result<(subject::Model, Vec<Part>), DbErr> {
    let subject = subject::Entity::find_by_id(subject)
        .one(connection)
        .await?
        .ok_or_else(|| DbErr::RecordNotFound(format!("subject {subject}")))?;
    let parts = parts(connection, &subject).await?;
    Ok((subject, parts))
}

/// Chooses, and names what there is too little of.
async fn fill(
    connection: &impl ConnectionTrait,
    parts: &[Part],
    candidates: Vec<Candidate>,
    seed: i64,
) -> Result<Vec<Candidate>, PaperError> {
    match choose(parts, candidates, seed) {
        Ok(chosen) => Ok(chosen),
        Err(lack) => {
            let part = parts[lack.part];
            let of = named(connection, part).await?;
            Err(PaperError::TooFewQuestions { found: lack.found, wanted: part.questions, of })
        }
    }
}

/// The blueprint; where there is none, one part of any questions.
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

/// The questions of a subject in their current versions, without columns.
fn current(subject: SubjectId) -> Select<question::Entity> {
    question::Entity::find()
        .select_only()
        .join(JoinType::InnerJoin, versions_of_question())
        .filter(
            question::Column::CurrentVersion.into_expr().eq(question_version::Column::Version.into_expr()),
        )
        .filter(question::Column::SubjectId.eq(subject))
        .filter(question::Column::ArchivedAt.is_null())
        // A question with an unknown word would keep every test of the subject from starting.
        .filter(question_version::Column::Difficulty.is_in(Difficulty::iter()))
        .filter(question_version::Column::Kind.is_in(QuestionKind::iter()))
        .filter(question_version::Column::TextFormat.is_in(TextFormat::iter()))
}

/// The questions that may be chosen.
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

/// Which questions a part is about, for people.
async fn named(connection: &impl ConnectionTrait, part: Part) -> Result<String, DbErr> {
    let mut named = match part.difficulty {
        None => String::new(),
        Some(Difficulty::Easy) => " that are easy".to_owned(),
        Some(Difficulty::Medium) => " of medium difficulty".to_owned(),
        Some(Difficulty::Hard) => " that are hard".to_owned(),
    };
    if let Some(topic) = part.topic_id
        && let Some(topic) = topic::Entity::find_by_id(topic).one(connection).await?
    {
        named = format!("{named} of the topic {}", topic.name);
    }
    Ok(named)
}
