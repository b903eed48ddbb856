//! Checks and stores the settings of a subject's tests: questions, blueprint, time, marks, attempts, grades and review.

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

/// Maximum number of questions in a test.
pub const MAX_QUESTIONS_PER_TEST: i32 = 200;
/// Maximum number of parts in a blueprint.
pub const MAX_BLUEPRINT_PARTS: i32 = 50;
/// Maximum of the marks for a question, in hundredths of a mark. The minimum is the same number with a minus sign.
const MAX_MARKS_HUNDREDTHS: i32 = 1_000_00;
/// The allowed time limits of a sitting, in seconds.
const TIME_LIMIT_SECONDS: std::ops::RangeInclusive<i32> = 10..=86_400;

/// New values for the settings of a subject's tests. None leaves a setting as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestSettingsChange {
    /// The marks for a correct answer, with at most two decimal places.
    pub correct: Option<Decimal>,
    /// The marks for a wrong answer, with at most two decimal places.
    pub wrong: Option<Decimal>,
    /// The marks for no answer, with at most two decimal places.
    pub unanswered: Option<Decimal>,
    /// The number of questions in a test.
    pub questions_per_test: Option<i32>,
    /// The time limit of a sitting, in seconds.
    pub time_limit_seconds: Option<i32>,
    /// The maximum number of attempts of cards that are bought after the change.
    pub max_attempts: Option<i32>,
    /// The way in which the grade of a card is computed from its sittings.
    pub grading_method: Option<GradingMethod>,
    /// The rule about when learners see the keys after a sitting.
    pub review_policy: Option<ReviewPolicy>,
    /// The blueprint of the tests. An empty list removes the blueprint.
    pub blueprint: Option<Vec<BlueprintPart>>,
}

/// A reason not to change the settings. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum SettingsRefusal {
    /// There is no such subject.
    #[error("There is no such subject.")]
    NotFound,
    /// The request changes no setting.
    #[error("The request changes no setting. Give at least one setting.")]
    NothingChanged,
    /// The marks are out of range, or have more than two decimal places.
    #[error("The setting \"{0}\" must be -1000.00 to 1000.00, with at most two decimal places.")]
    Marks(Setting),
    /// A correct answer would earn no marks, or not more than a wrong answer or no answer.
    #[error(
        "A correct answer must earn more than 0 marks, more than a wrong answer and more than no answer. These \
         settings give {correct} for a correct answer, {wrong} for a wrong answer and {unanswered} for no answer."
    )]
    Scheme {
        /// The marks for a correct answer that the change would lead to.
        correct: Decimal,
        /// The marks for a wrong answer that the change would lead to.
        wrong: Decimal,
        /// The marks for no answer that the change would lead to.
        unanswered: Decimal,
    },
    /// A number is out of range.
    #[error("The setting \"{setting}\" must be {least} to {most}; {given} was given.")]
    Range {
        /// The setting that is out of range.
        setting: Setting,
        /// The minimum.
        least: i32,
        /// The maximum.
        most: i32,
        /// The number that was given.
        given: i64,
    },
    /// The sum of the questions in the blueprint is not the number of questions in a test.
    #[error(
        "The parts of the blueprint have {parts} questions together, but the number of questions of a test is {given}. \
         Make the two numbers equal, or remove the blueprint."
    )]
    Disagreement {
        /// The sum of the questions of all parts of the blueprint.
        parts: i64,
        /// The number of questions in a test.
        given: i32,
    },
    /// A part of the blueprint names a topic that the subject does not have.
    #[error(
        "The blueprint names the topic \"{0}\", which the subject does not have. Correct the name of the topic, or \
         import questions with this topic first."
    )]
    NoSuchTopic(String),
}

/// A setting of the tests of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// The marks for a correct answer.
    Correct,
    /// The marks for a wrong answer.
    Wrong,
    /// The marks for no answer.
    Unanswered,
    /// The number of questions in a test.
    QuestionsPerTest,
    /// The time limit of a sitting, in seconds.
    TimeLimit,
    /// The maximum number of attempts of a card.
    MaxAttempts,
    /// The blueprint. [`SettingsRefusal::Range`] names it if its number of parts is out of range.
    Blueprint,
    /// The sum of the questions in all parts of the blueprint.
    BlueprintSum,
    /// The number of questions in one part of the blueprint.
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
            Self::Blueprint => "number of parts of the blueprint",
            Self::BlueprintSum => "questions of all parts of the blueprint",
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

/// Changes the settings of a subject's tests, and reads the catalogue again. Papers that were made before keep their
/// settings.
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
    // The settings are stored, so the update succeeds even if reading the catalogue fails. The catalogue is read again
    // a few seconds later.
    if let Err(error) = services.catalog.reload().await {
        tracing::warn!(%error, "the catalogue could not be read after test settings were changed; it is read again soon");
    }
    Ok(())
}

/// Checks the numbers of a change and the size of its blueprint, but not its marks. [`scheme`] checks the marks
/// together with the stored marks.
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
        let (setting, least) = (Setting::BlueprintSum, 1);
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

/// Converts marks to hundredths of a mark, and checks them. Returns the stored marks `before` if `marks` is None.
fn hundredths(setting: Setting, marks: Option<Decimal>, before: i32) -> Result<i32, SettingsRefusal> {
    let Some(marks) = marks else { return Ok(before) };
    let hundredths =
        marks.checked_mul(Decimal::ONE_HUNDRED).filter(|hundredths| hundredths.fract().is_zero());
    hundredths
        .and_then(|hundredths| i32::try_from(hundredths).ok())
        .filter(|hundredths| (-MAX_MARKS_HUNDREDTHS..=MAX_MARKS_HUNDREDTHS).contains(hundredths))
        .ok_or(SettingsRefusal::Marks(setting))
}

/// Returns the marks after a change: the new marks, and the stored marks `before` where the change has none. Refuses
/// marks that are out of range or do not favour correct answers.
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

/// Stores the new settings, adds 1 to the version of the subject, and appends an audit event. A blueprint with parts
/// also sets the number of questions of a test. Refuses a new number of questions that disagrees with the stored
/// blueprint.
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

/// Returns the settings of a subject's tests as a JSON object, for the audit trail.
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
