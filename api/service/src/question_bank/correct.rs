//! Corrects the key of a question, also in fixed tests.
//!
//! If a correction gives another key or explanation than the current version has, it makes a new version with the same
//! options. Each fixed test whose version has another key gets the version with the right key. Only sittings that start
//! later use this version: open and finished sittings keep the version that they started with.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use jishu_entity::{
    QuestionId, QuestionVersionId, paper_revision, question, question_correction, question_version,
};
use jishu_service_macros::service_call;
use question_formats::{DraftAnswer, DraftOption, DraftQuestion};
use rust_decimal::Decimal;
use sea_orm::{
    ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
};

use super::check::{InvalidQuestion, check_changed};
use super::comparable_key::{ComparableKey, keys};
use super::fixed_tests;
use super::insert::{NewVersion, advance, insert_versions};
use super::pictures;
use super::read::{answers, current_versions, draft, topics};
use super::record::{CorrectionAuthorship, KeyCorrection, record};
use crate::account::Author;
use crate::clock::Clock;
use crate::database::{Database, WritePolicy, lock_subject};
use crate::error::{Error, Fault, Refusal};
use crate::reason;

/// The right key of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewKey {
    /// Exactly these options are correct.
    Options {
        /// The version of the question to which these options belong; None for the current version.
        version: Option<QuestionVersionId>,
        /// The positions of the correct options in the author's order, from 0.
        positions: Vec<i32>,
    },
    /// A number is correct.
    Number {
        /// The number.
        value: Decimal,
        /// The largest allowed distance of an answer from the number; None keeps the present tolerance.
        tolerance: Option<Decimal>,
    },
    /// Exactly these texts are correct.
    Texts {
        /// The accepted texts. `*` stands for any characters, and `\*` for an asterisk.
        texts: Vec<String>,
        /// Whether capital and small letters differ; None keeps the present setting of the question.
        is_case_sensitive: Option<bool>,
    },
}

/// A correction of the key of a question, as an author requests it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// The question.
    pub question_id: QuestionId,
    /// The right key.
    pub key: NewKey,
    /// The new explanation of the key; None keeps the present explanation.
    pub explanation: Option<String>,
    /// The reason for the correction.
    pub reason: String,
    /// The author who corrects the key; None for the operator.
    pub by: Option<Author>,
}

/// The result of a correction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrected {
    /// The number of fixed tests whose new sittings use the corrected version because of this correction.
    pub tests: usize,
}

/// A reason to refuse a correction. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum CorrectionRefusal {
    /// There is no such question.
    #[error("There is no such question.")]
    NotFound,
    /// The current version of the question already has this key and this explanation, and so has every fixed test that
    /// asks it.
    #[error("The question, and every test that asks it, already has this key. Nothing to do.")]
    NothingChanged,
    /// Options or texts were given for a question that is answered with a number.
    #[error("The question is answered with a number. Give the number that is correct.")]
    WantsNumber,
    /// A number or texts were given for a question with options.
    #[error("The question has options. Name the correct options.")]
    WantsOptions,
    /// Options or a number were given for a question that is answered with a text.
    #[error("The question is answered with a text. Give the texts that are correct.")]
    WantsTexts,
    /// An option does not exist, or belongs to another question.
    #[error("One of the options does not belong to the question. Read its options again.")]
    NoSuchOption,
    /// The options belong to another version of the question than the current one.
    #[error("These options belong to an older version of the question. Read the question again.")]
    Outdated,
    /// The key does not fit the question.
    #[error("The key does not fit the question. {0}")]
    Key(InvalidQuestion),
    /// The explanation cannot be stored.
    #[error("The explanation cannot be stored. {0}")]
    Explanation(InvalidQuestion),
    /// The reason is blank, too long, or has characters that a reason cannot have.
    #[error("Give a reason for the correction: {}.", reason::rule())]
    Reason,
}

impl Refusal for CorrectionRefusal {}

/// A correction that [`run`] carries out.
struct CorrectCommand {
    correction: Correction,
    now: DateTime<Utc>,
}

/// Corrects the key of a question, also in fixed tests that ask it with another key. Records the correction with an
/// audit event.
///
/// # Errors
/// See [`CorrectionRefusal`].
#[service_call]
pub async fn correct(
    database: &Database,
    clock: &dyn Clock,
    correction: Correction,
) -> Result<Corrected, Error<CorrectionRefusal>> {
    let reason = reason::checked(&correction.reason).ok_or(CorrectionRefusal::Reason)?;
    let correction = Correction { reason, ..correction };
    let command = CorrectCommand { correction, now: clock.now() };
    // If the response to COMMIT was lost, a second run finds the correction of the first run, and returns its result.
    let policy = WritePolicy::idempotent("question.correct").retry_taken_keys();
    database.write(policy, command, |transaction, command| Box::pin(run(transaction, command))).await
}

/// Corrects the key in a transaction.
async fn run(
    transaction: &DatabaseTransaction,
    command: &CorrectCommand,
) -> Result<Corrected, Error<CorrectionRefusal>> {
    let CorrectCommand { correction, now } = command;
    let id = correction.question_id;
    let find = || question::Entity::find_by_id(id).one(transaction);
    let subject = find().await?.ok_or(CorrectionRefusal::NotFound)?.subject_id;
    lock_subject(transaction, subject).await?;
    // Read the question again under the lock, because another transaction may have changed it before the lock was
    // taken.
    let row = find().await?.ok_or(CorrectionRefusal::NotFound)?;
    if let Some(stored) = find_stored(transaction, command, &row).await? {
        return Ok(stored);
    }
    let versions = current_versions(transaction, [id]).await?;
    let missing = || Fault::missing(format_args!("the current version of question {id}"));
    let version = versions.get(&id).ok_or_else(missing)?;
    let before = read_draft(transaction, &row, version).await?;
    if let NewKey::Options { version: Some(named), .. } = &correction.key
        && *named != version.id
        && !before.answer.options().is_empty()
    {
        return Err(refusal_of_other_version(transaction, id, *named).await?.into());
    }
    let after = apply(transaction, before.clone(), correction).await?;
    let key = ComparableKey::from(&after.answer);
    let is_new =
        !key.agrees_with(&ComparableKey::from(&before.answer)) || after.explanation != before.explanation;

    let mut slots = fixed_tests::slots(transaction, subject, &[id]).await?;
    let keys = keys(transaction, &slots.iter().map(|slot| slot.version).collect::<BTreeSet<_>>()).await?;
    slots.retain(|slot| {
        keys.get(&slot.version).is_none_or(|other| {
            !other.key.agrees_with(&key)
                || (correction.explanation.is_some() && other.explanation != after.explanation)
        })
    });
    let previous = match slots.first() {
        _ if is_new => version.id,
        Some(stale) => stale.version,
        None => return Err(CorrectionRefusal::NothingChanged.into()),
    };
    let mut target = version.id;
    if is_new {
        let new = NewVersion { draft: &after, question: id, number: row.current_version + 1 };
        let inserted = insert_versions(transaction, subject, *now, &[new]).await?;
        target = inserted.get(&id).copied().ok_or_else(missing)?;
        advance(transaction, vec![id]).await?;
    }
    let tests = slots.len();
    let authorship =
        CorrectionAuthorship { by: correction.by.map(Author::id), reason: &correction.reason, now: *now };
    record(transaction, authorship, &[KeyCorrection { question: id, previous, version: target, slots }])
        .await?;
    Ok(Corrected { tests })
}

/// Returns the result of this command if an earlier run of it has stored its correction, otherwise None. The caller
/// must have locked the row of the subject.
///
/// The table has no id of the command. But a correction of the same question at the same microsecond, by the same
/// author, with the same reason, key and explanation is the correction of this command.
async fn find_stored(
    transaction: &DatabaseTransaction,
    command: &CorrectCommand,
    question: &question::Model,
) -> Result<Option<Corrected>, Error<CorrectionRefusal>> {
    let CorrectCommand { correction, now } = command;
    let by = correction.by.map(Author::id);
    let stored = question_correction::Entity::find()
        .filter(question_correction::Column::QuestionId.eq(question.id))
        .filter(question_correction::Column::CorrectedAt.eq(*now))
        .order_by_asc(question_correction::Column::Id)
        .all(transaction)
        .await?;
    for row in stored {
        let is_same_request = row.corrected_by == by && row.reason == correction.reason.trim();
        if is_same_request && has_result(transaction, correction, question, &row).await? {
            let slots = paper_revision::Entity::find()
                .filter(paper_revision::Column::CorrectionId.eq(row.id))
                .count(transaction)
                .await?;
            return Ok(Some(Corrected { tests: usize::try_from(slots).unwrap_or(usize::MAX) }));
        }
    }
    Ok(None)
}

/// Tells whether the version of a stored correction has the key and the explanation that `correction` gives.
async fn has_result(
    transaction: &DatabaseTransaction,
    correction: &Correction,
    question: &question::Model,
    stored: &question_correction::Model,
) -> Result<bool, Error<CorrectionRefusal>> {
    if let NewKey::Options { version: Some(named), .. } = &correction.key
        && *named != stored.previous_version_id
        && *named != stored.version_id
    {
        return Ok(false);
    }
    let version = question_version::Entity::find_by_id(stored.version_id).one(transaction).await?;
    let missing = || Fault::missing(format_args!("version {}", stored.version_id));
    let before = read_draft(transaction, question, &version.ok_or_else(missing)?).await?;
    match apply(transaction, before.clone(), correction).await {
        Ok(after) => Ok(ComparableKey::from(&after.answer).agrees_with(&ComparableKey::from(&before.answer))
            && (correction.explanation.is_none() || after.explanation == before.explanation)),
        Err(Error::Refused(_)) => Ok(false),
        Err(failed) => Err(failed),
    }
}

/// Reads a version of a question as a draft, without pictures.
async fn read_draft(
    transaction: &DatabaseTransaction,
    question: &question::Model,
    version: &question_version::Model,
) -> Result<DraftQuestion, Fault> {
    let missing = || {
        Fault::missing(format_args!(
            "the topic or the answer of the question version with the id {}",
            version.id
        ))
    };
    let versions = HashMap::from([(question.id, version.clone())]);
    let mut topics = topics(transaction, question.subject_id, &versions).await?;
    let topic = topics.remove(&version.topic_id).ok_or_else(missing)?;
    let answer = answers(transaction, [version]).await?.remove(&version.id).ok_or_else(missing)?;
    Ok(draft(question.external_id.clone(), topic, version, answer))
}

/// Returns a question with the key and the explanation of a correction, or the refusal of a correction that does not
/// fit.
async fn apply(
    transaction: &DatabaseTransaction,
    mut question: DraftQuestion,
    correction: &Correction,
) -> Result<DraftQuestion, Error<CorrectionRefusal>> {
    if let Some(explanation) = &correction.explanation {
        pictures::keep(transaction, &mut question, explanation)
            .await?
            .map_err(CorrectionRefusal::Explanation)?;
    }
    Ok(corrected(question, correction)?)
}

/// Returns the refusal of a key whose options do not belong to the current version: [`CorrectionRefusal::Outdated`] if
/// they belong to another version of the question, otherwise [`CorrectionRefusal::NoSuchOption`].
async fn refusal_of_other_version(
    transaction: &DatabaseTransaction,
    question: QuestionId,
    version: QuestionVersionId,
) -> Result<CorrectionRefusal, DbErr> {
    let version = question_version::Entity::find_by_id(version).one(transaction).await?;
    Ok(match version {
        Some(version) if version.question_id == question => CorrectionRefusal::Outdated,
        _ => CorrectionRefusal::NoSuchOption,
    })
}

/// Returns the question with the key of a correction, or the refusal of a key that does not fit. The options keep their
/// positions, so answers to older versions remain comparable.
fn corrected(
    mut question: DraftQuestion,
    correction: &Correction,
) -> Result<DraftQuestion, CorrectionRefusal> {
    match (&mut question.answer, &correction.key) {
        (
            DraftAnswer::Single(options) | DraftAnswer::Multiple(options),
            NewKey::Options { positions, .. },
        ) => {
            mark(options, positions)?;
        }
        (DraftAnswer::Numeric { value, tolerance }, NewKey::Number { value: new, tolerance: around }) => {
            *value = *new;
            *tolerance = around.unwrap_or(*tolerance);
        }
        (
            DraftAnswer::ShortAnswer { texts, is_case_sensitive },
            NewKey::Texts { texts: new, is_case_sensitive: case },
        ) => {
            texts.clone_from(new);
            *is_case_sensitive = case.unwrap_or(*is_case_sensitive);
        }
        (DraftAnswer::Numeric { .. }, _) => return Err(CorrectionRefusal::WantsNumber),
        (DraftAnswer::ShortAnswer { .. }, _) => return Err(CorrectionRefusal::WantsTexts),
        (DraftAnswer::Single(_) | DraftAnswer::Multiple(_), _) => {
            return Err(CorrectionRefusal::WantsOptions);
        }
    }
    check_changed(question).map_err(|invalid| match invalid {
        InvalidQuestion::ExplanationTooLong
        | InvalidQuestion::TextTooLong
        | InvalidQuestion::FileNotKept(_)
        | InvalidQuestion::ControlCharacter(_) => CorrectionRefusal::Explanation(invalid),
        invalid => CorrectionRefusal::Key(invalid),
    })
}

/// Marks the options at these positions as correct, and all other options as wrong. Refuses a position without an
/// option.
fn mark(options: &mut [DraftOption], positions: &[i32]) -> Result<(), CorrectionRefusal> {
    options.iter_mut().for_each(|option| option.correct = false);
    for position in positions {
        let option = usize::try_from(*position).ok().and_then(|at| options.get_mut(at));
        option.ok_or(CorrectionRefusal::NoSuchOption)?.correct = true;
    }
    Ok(())
}
