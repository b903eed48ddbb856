//! The settings of a subject's tests: questions, time, marks, attempts and review.

mod blueprint;

use chrono::{DateTime, Utc};
use jishu_entity::subject::{self, GradingMethod, ReviewPolicy};
use jishu_entity::{SubjectId, UserId};
use jishu_service_macros::service_call;
use rust_decimal::Decimal;
use sea_orm::{
    ActiveEnum, ActiveModelTrait, ActiveValue::Set, DatabaseTransaction, EntityTrait, IntoActiveModel,
};

use super::Services;
use super::account::Author;
use super::audit::{self, StateChange};
use super::card_limits::MAX_ATTEMPTS_PER_CARD;
use super::scoring::Marks;
use crate::database::{WritePolicy, lock_subject};
use crate::error::{Error, Refusal};
pub(crate) use blueprint::count_questions;
use blueprint::questions_of;
pub use blueprint::{BlueprintPart, blueprint};

/// Maximum number of questions of a test.
pub const MAX_QUESTIONS_PER_TEST: i32 = 200;
/// Maximum number of parts of a blueprint.
pub const MAX_BLUEPRINT_PARTS: i32 = 50;
/// Maximum of the marks of a question, in hundredths. Negative marks have the same limit.
const MAX_MARKS_HUNDREDTHS: i32 = 1_000_00;
/// The allowed durations of a sitting.
const TIME_LIMIT_SECONDS: std::ops::RangeInclusive<i32> = 10..=86_400;

/// New values of settings. A setting of None keeps its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestSettingsChange {
    /// Marks for a correct answer.
    pub correct: Option<Decimal>,
    /// Marks for a wrong answer.
    pub wrong: Option<Decimal>,
    /// Marks for no answer.
    pub unanswered: Option<Decimal>,
    /// The number of questions of a test.
    pub questions_per_test: Option<i32>,
    /// The duration of a sitting, in seconds.
    pub time_limit_seconds: Option<i32>,
    /// The number of attempts of each card that is bought later.
    pub max_attempts: Option<i32>,
    /// The way in which the sittings of a card give its grade.
    pub grading_method: Option<GradingMethod>,
    /// The time from which learners see the key.
    pub review_policy: Option<ReviewPolicy>,
    /// The blueprint of a test. An empty one removes the blueprint.
    pub blueprint: Option<Vec<BlueprintPart>>,
}

/// A reason not to change the settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsRefusal {
    /// There is no such subject.
    #[error("There is no such subject.")]
    NotFound,
    /// The request changes no setting.
    #[error("Give something to change.")]
    NothingChanged,
    /// The marks are out of range, or have more than two decimal places.
    #[error("The setting \"{0}\" must be -1000.00 to 1000.00, with at most two decimal places.")]
    Marks(Setting),
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
    /// A number is out of range.
    #[error("The setting \"{setting}\" must be {least} to {most}; {given} was given.")]
    Range {
        /// The setting.
        setting: Setting,
        /// The minimum.
        least: i32,
        /// The maximum.
        most: i32,
        /// The number that was given.
        given: i64,
    },
    /// The blueprint and the number of questions disagree.
    #[error(
        "The parts of the blueprint have {parts} questions together, but the number of questions of a test is {given}. \
         Give only one of the two."
    )]
    Disagreement {
        /// The sum of the parts.
        parts: i64,
        /// The number of questions of a test.
        given: i32,
    },
    /// The subject has no such topic.
    #[error("The subject has no topic \"{0}\". Topics come with the questions that are imported.")]
    NoSuchTopic(String),
}

/// A setting of the tests of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Marks for a correct answer.
    Correct,
    /// Marks for a wrong answer.
    Wrong,
    /// Marks for no answer.
    Unanswered,
    /// The number of questions of a test.
    QuestionsPerTest,
    /// The duration of a sitting, in seconds.
    TimeLimit,
    /// The number of sittings of a card.
    MaxAttempts,
    /// The number of parts of the blueprint, or the sum of their questions.
    Blueprint,
    /// The number of questions of one part of the blueprint.
    BlueprintQuestions,
}

impl std::fmt::Display for Setting {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Correct => "marks for a correct answer",
            Self::Wrong => "marks for a wrong answer",
            Self::Unanswered => "marks for no answer",
            Self::QuestionsPerTest => "questions of a test",
            Self::TimeLimit => "time limit in seconds",
            Self::MaxAttempts => "attempts of a card",
            Self::Blueprint => "blueprint",
            Self::BlueprintQuestions => "questions of a part of the blueprint",
        })
    }
}

impl Refusal for SettingsRefusal {}

struct UpdateCommand {
    author: UserId,
    subject: SubjectId,
    change: TestSettingsChange,
    now: DateTime<Utc>,
}

/// Changes the settings of a subject's tests. Papers that exist keep their settings.
///
/// # Errors
/// See [`SettingsRefusal`].
#[service_call("test_settings.update")]
pub async fn update(
    services: &Services,
    author: Author,
    subject: SubjectId,
    change: TestSettingsChange,
) -> Result<(), Error<SettingsRefusal>> {
    if change == TestSettingsChange::default() {
        return Err(SettingsRefusal::NothingChanged.into());
    }
    check(&change)?;
    let command = UpdateCommand { author: author.id(), subject, change, now: services.clock.now() };
    let policy = WritePolicy::idempotent("test settings");
    services
        .database
        .write_for(subject, policy, command, |transaction, command| Box::pin(run(transaction, command)))
        .await?;
    // The settings are stored, so a failure here is no error. The catalogue is read again a few seconds later.
    if let Err(error) = services.catalog.reload().await {
        tracing::warn!(%error, "the catalogue could not be read after test settings were changed; it is read again soon");
    }
    Ok(())
}

/// Checks all settings except the marks, which [`scheme`] checks together with the stored ones.
pub(crate) fn check(change: &TestSettingsChange) -> Result<(), SettingsRefusal> {
    let range = |setting, value: Option<i32>, least, most| match value {
        Some(given) if !(least..=most).contains(&given) => {
            Err(SettingsRefusal::Range { setting, least, most, given: given.into() })
        }
        _ => Ok(()),
    };
    range(Setting::QuestionsPerTest, change.questions_per_test, 1, MAX_QUESTIONS_PER_TEST)?;
    range(
        Setting::TimeLimit,
        change.time_limit_seconds,
        *TIME_LIMIT_SECONDS.start(),
        *TIME_LIMIT_SECONDS.end(),
    )?;
    range(Setting::MaxAttempts, change.max_attempts, 1, MAX_ATTEMPTS_PER_CARD)?;
    let Some(parts) = &change.blueprint else { return Ok(()) };
    let given = i64::try_from(parts.len()).unwrap_or(i64::MAX);
    if given > i64::from(MAX_BLUEPRINT_PARTS) {
        return Err(SettingsRefusal::Range {
            setting: Setting::Blueprint,
            least: 0,
            most: MAX_BLUEPRINT_PARTS,
            given,
        });
    }
    for part in parts {
        range(Setting::BlueprintQuestions, Some(part.questions), 1, MAX_QUESTIONS_PER_TEST)?;
    }
    let questions = questions_of(parts);
    if questions > i64::from(MAX_QUESTIONS_PER_TEST) {
        let (setting, least) = (Setting::Blueprint, 1);
        return Err(SettingsRefusal::Range {
            setting,
            least,
            most: MAX_QUESTIONS_PER_TEST,
            given: questions,
        });
    }
    match change.questions_per_test {
        Some(given) if !parts.is_empty() && i64::from(given) != questions => {
            Err(SettingsRefusal::Disagreement { parts: questions, given })
        }
        _ => Ok(()),
    }
}

/// Converts marks to hundredths, or returns the stored ones if none are given.
fn hundredths(setting: Setting, marks: Option<Decimal>, before: i32) -> Result<i32, SettingsRefusal> {
    let Some(marks) = marks else { return Ok(before) };
    let hundredths =
        marks.checked_mul(Decimal::ONE_HUNDRED).filter(|hundredths| hundredths.fract().is_zero());
    hundredths
        .and_then(|hundredths| i32::try_from(hundredths).ok())
        .filter(|hundredths| (-MAX_MARKS_HUNDREDTHS..=MAX_MARKS_HUNDREDTHS).contains(hundredths))
        .ok_or(SettingsRefusal::Marks(setting))
}

/// Combines the new marks with the stored ones, and checks the resulting marking scheme.
pub(crate) fn scheme(change: &TestSettingsChange, before: &subject::Model) -> Result<Marks, SettingsRefusal> {
    let marks = Marks {
        correct: hundredths(Setting::Correct, change.correct, before.marks_correct)?,
        wrong: hundredths(Setting::Wrong, change.wrong, before.marks_wrong)?,
        unanswered: hundredths(Setting::Unanswered, change.unanswered, before.marks_unanswered)?,
    };
    if marks.favour_right_answers() {
        return Ok(marks);
    }
    let decimal = |hundredths: i32| Decimal::new(hundredths.into(), 2);
    Err(SettingsRefusal::Scheme {
        correct: decimal(marks.correct),
        wrong: decimal(marks.wrong),
        unanswered: decimal(marks.unanswered),
    })
}

/// Stores the new settings and an audit event.
async fn run(
    transaction: &DatabaseTransaction,
    command: &UpdateCommand,
) -> Result<(), Error<SettingsRefusal>> {
    if !lock_subject(transaction, command.subject).await? {
        return Err(SettingsRefusal::NotFound.into());
    }
    let subject = subject::Entity::find_by_id(command.subject)
        .one(transaction)
        .await?
        .ok_or(SettingsRefusal::NotFound)?;
    let before = blueprint::read(transaction, subject.id).await?;
    let change = &command.change;
    let mut questions = change.questions_per_test.unwrap_or(subject.questions_per_test);
    if let Some(parts) = &change.blueprint {
        blueprint::replace(transaction, subject.id, parts).await?;
        if !parts.is_empty() {
            questions = i32::try_from(questions_of(parts)).unwrap_or(MAX_QUESTIONS_PER_TEST);
        }
    } else if let Some(given) = change.questions_per_test {
        let parts = i64::from(count_questions(transaction, subject.id).await?);
        if parts != 0 && parts != i64::from(given) {
            return Err(SettingsRefusal::Disagreement { parts, given }.into());
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
    row.version = Set(subject.version + 1);
    let updated = row.update(transaction).await?;
    let (action, target) = ("subject.test_settings_changed", ("subjects", command.subject.0));
    let after = change.blueprint.as_ref().unwrap_or(&before);
    let change = StateChange::between(settings(&subject, &before), settings(&updated, after));
    audit::append_change(transaction, command.now, Some(command.author), action, target, &change).await?;
    Ok(())
}

/// Returns the settings as a JSON object, for the audit trail.
fn settings(subject: &subject::Model, blueprint: &[BlueprintPart]) -> serde_json::Value {
    serde_json::json!({
        "marksCorrect": subject.marks_correct,
        "marksWrong": subject.marks_wrong,
        "marksUnanswered": subject.marks_unanswered,
        "questionsPerTest": subject.questions_per_test,
        "timeLimitSeconds": subject.time_limit_seconds,
        "maxAttempts": subject.max_attempts,
        "gradingMethod": subject.grading_method.to_value(),
        "reviewPolicy": subject.review_policy.to_value(),
        "blueprint": blueprint::to_json(blueprint),
    })
}
