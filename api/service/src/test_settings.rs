//! How the tests of a subject are put together, timed, marked and reviewed.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use jishu_entity::question_version::Difficulty;
use jishu_entity::subject::{self, GradingMethod, ReviewPolicy};
use jishu_entity::{SubjectId, TopicId, UserId, blueprint_part, topic};
use rust_decimal::Decimal;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, DatabaseTransaction, DbErr, EntityTrait,
    IntoActiveModel, QueryFilter, QueryOrder,
};

use super::account::Author;
use super::scoring::Marks;
use super::{Services, audit};
use crate::database::{IsFailure, WriteOptions, lock_subject};

/// The most questions of a test.
pub const MOST_QUESTIONS: i32 = 200;
/// The most parts of a blueprint.
pub const MOST_PARTS: i32 = 50;
/// The most marks of a question, to either side of zero, in hundredths.
const MOST_MARKS: i32 = 1_000_00;
/// How long a sitting may take, in seconds.
const TIME_LIMIT: std::ops::RangeInclusive<i32> = 10..=86_400;

/// A part of a blueprint, as authors say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlueprintPart {
    /// Only questions of the topic of this name; none for any.
    pub topic: Option<String>,
    /// Only questions of this difficulty; none for any.
    pub difficulty: Option<Difficulty>,
    /// How many.
    pub questions: i32,
}

/// What is to be changed; what is none stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Marks for a correct answer.
    pub correct: Option<Decimal>,
    /// Marks for a wrong answer.
    pub wrong: Option<Decimal>,
    /// Marks for no answer.
    pub unanswered: Option<Decimal>,
    /// How many questions a test has.
    pub questions_per_test: Option<i32>,
    /// How long a sitting takes, in seconds.
    pub time_limit_seconds: Option<i32>,
    /// How often a card may be sat: of cards that are still to be bought.
    pub max_attempts: Option<i32>,
    /// Which sitting of a card counts.
    pub grading_method: Option<GradingMethod>,
    /// When the key is shown.
    pub review_policy: Option<ReviewPolicy>,
    /// What a test is made of; an empty one is none.
    pub blueprint: Option<Vec<BlueprintPart>>,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// There is no such subject.
    #[error("There is no such subject. Take its id from `course.subjects`.")]
    NotFound,
    /// Nothing is to be changed.
    #[error("Give something to change.")]
    NothingChanged,
    /// Marks that cannot be.
    #[error("`{0}` is -1000.00 to 1000.00 marks, with at most two decimal places.")]
    Marks(&'static str),
    /// A wrong answer or no answer would earn as much as a right one.
    #[error(
        "A correct answer must earn more than 0 marks, more than a wrong answer and more than no answer. These \
         settings give {correct} for a correct answer, {wrong} for a wrong answer and {unanswered} for no answer."
    )]
    Scheme {
        /// Marks for a correct answer.
        correct: Decimal,
        /// Marks for a wrong answer.
        wrong: Decimal,
        /// Marks for no answer.
        unanswered: Decimal,
    },
    /// A number out of its range.
    #[error("`{name}` is {least} to {most}; {given} was given.")]
    Range {
        /// The argument.
        name: &'static str,
        /// The least it may be.
        least: i32,
        /// The most it may be.
        most: i32,
        /// What was given.
        given: i64,
    },
    /// Both say how many questions a test has.
    #[error(
        "The parts of `blueprint` have {parts} questions together, and `questionsPerTest` says {given}. Leave one out."
    )]
    Disagreement {
        /// Of the parts.
        parts: i64,
        /// Of `questionsPerTest`.
        given: i32,
    },
    /// The subject has no such topic.
    #[error("The subject has no topic `{0}`. Topics come with the questions that are imported.")]
    NoSuchTopic(String),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbErr),
}

impl SettingsError {
    /// The argument it is about.
    #[must_use]
    pub fn argument(&self) -> &'static str {
        match self {
            Self::NotFound | Self::NothingChanged | Self::Database(_) => "subjectId",
            Self::Scheme { .. } => "correct",
            Self::Marks(name) | Self::Range { name, .. } => name,
            Self::Disagreement { .. } => "questionsPerTest",
            Self::NoSuchTopic(_) => "blueprint",
        }
    }
}

impl IsFailure for SettingsError {
    fn database_error(&self) -> Option<&DbErr> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}

struct Command {
    author: UserId,
    subject: SubjectId,
    change: Change,
    now: DateTime<Utc>,
}

/// Changes how the tests of a subject are. Papers that were made stay as they are.
///
/// # Errors
/// See [`SettingsError`].
pub async fn update(
    services: &Services,
    author: Author,
    subject: SubjectId,
    change: Change,
) -> Result<(), SettingsError> {
    if change == Change::default() {
        return Err(SettingsError::NothingChanged);
    }
    check(&change)?;
    let command = Command { author: author.id(), subject, change, now: services.clock.now() };
    let options =
        WriteOptions { name: "test settings", looks_before_it_writes: true, another_may_be_first: false };
    services
        .database
        .write_for(subject, options, command, |transaction, command| Box::pin(run(transaction, command)))
        .await?;
    // What was stored is stored: the catalogue is read again in a moment anyway.
    if let Err(error) = services.catalog.reload().await {
        tracing::warn!(%error, "the catalogue could not be read again");
    }
    Ok(())
}

fn check(change: &Change) -> Result<(), SettingsError> {
    let range = |name, value: Option<i32>, least, most| match value {
        Some(given) if !(least..=most).contains(&given) => {
            Err(SettingsError::Range { name, least, most, given: given.into() })
        }
        _ => Ok(()),
    };
    range("questionsPerTest", change.questions_per_test, 1, MOST_QUESTIONS)?;
    range("timeLimitSeconds", change.time_limit_seconds, *TIME_LIMIT.start(), *TIME_LIMIT.end())?;
    range("maxAttempts", change.max_attempts, 1, 1_000)?;
    let Some(parts) = &change.blueprint else { return Ok(()) };
    let given = i64::try_from(parts.len()).unwrap_or(i64::MAX);
    if given > i64::from(MOST_PARTS) {
        return Err(SettingsError::Range { name: "blueprint", least: 0, most: MOST_PARTS, given });
    }
    for part in parts {
        range("blueprint.questions", Some(part.questions), 1, MOST_QUESTIONS)?;
    }
    let questions = questions_of(parts);
    if questions > i64::from(MOST_QUESTIONS) {
        let (name, least) = ("blueprint", 1);
        return Err(SettingsError::Range { name, least, most: MOST_QUESTIONS, given: questions });
    }
    match change.questions_per_test {
        Some(given) if !parts.is_empty() && i64::from(given) != questions => {
            Err(SettingsError::Disagreement { parts: questions, given })
        }
        _ => Ok(()),
    }
}

fn questions_of(parts: &[BlueprintPart]) -> i64 {
    parts.iter().map(|part| i64::from(part.questions)).sum()
}

fn hundredths(name: &'static str, marks: Option<Decimal>, before: i32) -> Result<i32, SettingsError> {
    let Some(marks) = marks else { return Ok(before) };
    let hundredths =
        marks.checked_mul(Decimal::ONE_HUNDRED).filter(|hundredths| hundredths.fract().is_zero());
    hundredths
        .and_then(|hundredths| i32::try_from(hundredths).ok())
        .filter(|hundredths| (-MOST_MARKS..=MOST_MARKS).contains(hundredths))
        .ok_or(SettingsError::Marks(name))
}

/// Checks the new marks together: each may come from the change or from the subject.
fn scheme(change: &Change, before: &subject::Model) -> Result<Marks, SettingsError> {
    let marks = Marks {
        correct: hundredths("correct", change.correct, before.marks_correct)?,
        wrong: hundredths("wrong", change.wrong, before.marks_wrong)?,
        unanswered: hundredths("unanswered", change.unanswered, before.marks_unanswered)?,
    };
    if marks.favour_right_answers() {
        return Ok(marks);
    }
    let decimal = |hundredths: i32| Decimal::new(hundredths.into(), 2);
    Err(SettingsError::Scheme {
        correct: decimal(marks.correct),
        wrong: decimal(marks.wrong),
        unanswered: decimal(marks.unanswered),
    })
}

async fn run(transaction: &DatabaseTransaction, command: &Command) -> Result<(), SettingsError> {
    if !lock_subject(transaction, command.subject).await? {
        return Err(SettingsError::NotFound);
    }
    let subject = subject::Entity::find_by_id(command.subject)
        .one(transaction)
        .await?
        .ok_or(SettingsError::NotFound)?;
    let change = &command.change;
    let mut questions = change.questions_per_test.unwrap_or(subject.questions_per_test);
    if let Some(parts) = &change.blueprint {
        replace_blueprint(transaction, subject.id, parts).await?;
        if !parts.is_empty() {
            questions = i32::try_from(questions_of(parts)).unwrap_or(MOST_QUESTIONS);
        }
    } else if let Some(given) = change.questions_per_test {
        let parts = i64::from(blueprint_questions(transaction, subject.id).await?);
        if parts != 0 && parts != i64::from(given) {
            return Err(SettingsError::Disagreement { parts, given });
        }
    }
    let mut row = subject.clone().into_active_model();
    let marks = scheme(change, &subject)?;
    row.marks_correct = Set(marks.correct);
    row.marks_wrong = Set(marks.wrong);
    row.marks_unanswered = Set(marks.unanswered);
    row.questions_per_test = Set(questions);
    row.time_limit_seconds = Set(change.time_limit_seconds.unwrap_or(subject.time_limit_seconds));
    row.max_attempts = Set(change.max_attempts.unwrap_or(subject.max_attempts));
    row.grading_method = Set(change.grading_method.unwrap_or(subject.grading_method));
    row.review_policy = Set(change.review_policy.unwrap_or(subject.review_policy));
    row.update(transaction).await?;
    let (action, target) = ("subject.test_settings_changed", ("subjects", command.subject.0));
    audit::append(transaction, command.now, Some(command.author), action, target).await?;
    Ok(())
}

async fn replace_blueprint(
    transaction: &DatabaseTransaction,
    subject: SubjectId,
    parts: &[BlueprintPart],
) -> Result<(), SettingsError> {
    let topics: HashMap<String, TopicId> = topic::Entity::find()
        .filter(topic::Column::SubjectId.eq(subject))
        .all(transaction)
        .await?
        .into_iter()
        .map(|topic| (topic.name, topic.id))
        .collect();
    let mut rows = Vec::with_capacity(parts.len());
    for (position, part) in (0..).zip(parts) {
        let topic_id = match &part.topic {
            None => None,
            Some(name) => match topics.get(name) {
                Some(id) => Some(*id),
                None => return Err(SettingsError::NoSuchTopic(name.clone())),
            },
        };
        rows.push(blueprint_part::ActiveModel {
            subject_id: Set(subject),
            position: Set(position),
            topic_id: Set(topic_id),
            difficulty: Set(part.difficulty),
            questions: Set(part.questions),
        });
    }
    blueprint_part::Entity::delete_many()
        .filter(blueprint_part::Column::SubjectId.eq(subject))
        .exec(transaction)
        .await?;
    if !rows.is_empty() {
        blueprint_part::Entity::insert_many(rows).exec_without_returning(transaction).await?;
    }
    Ok(())
}

async fn blueprint_questions(transaction: &DatabaseTransaction, subject: SubjectId) -> Result<i32, DbErr> {
    let parts = blueprint_part::Entity::find().filter(blueprint_part::Column::SubjectId.eq(subject));
    Ok(parts.all(transaction).await?.iter().map(|part| part.questions).sum())
}

/// What the tests of a subject are made of; empty where they have any of its questions.
///
/// # Errors
/// The database's.
pub async fn blueprint(services: &Services, subject: SubjectId) -> Result<Vec<BlueprintPart>, DbErr> {
    let parts = blueprint_part::Entity::find()
        .find_also_related(topic::Entity)
        .filter(blueprint_part::Column::SubjectId.eq(subject))
        .order_by_asc(blueprint_part::Column::Position)
        .all(services.database.reader())
        .await?;
    Ok(parts
        .into_iter()
        .map(|(part, topic)| BlueprintPart {
            topic: topic.map(|topic| topic.name),
            difficulty: part.difficulty,
            questions: part.questions,
        })
        .collect())
}
