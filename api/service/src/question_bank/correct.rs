//! Corrects the key of a question, also in fixed tests.
//!
//! If a correction gives another key or explanation than the current version has, it makes a new version with the same
//! options. Each fixed test whose version has another key gets the version with the right key. Only sittings that start
//! later use this version: open and finished sittings keep the version that they started with.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use jishu_entity::{QuestionId, QuestionVersionId, question, question_version};
use jishu_service_macros::service_call;
use question_formats::{DraftAnswer, DraftOption, DraftQuestion};
use rust_decimal::Decimal;
use sea_orm::{DatabaseTransaction, DbErr, EntityTrait};

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
    let versions = current_versions(transaction, [id]).await?;
    let missing = || Fault::missing(format_args!("the current version of question {id}"));
    let version = versions.get(&id).ok_or_else(missing)?;
    let topic =
        topics(transaction, subject, &versions).await?.remove(&version.topic_id).ok_or_else(missing)?;
    let answer = answers(transaction, [version]).await?.remove(&version.id).ok_or_else(missing)?;
    let before = draft(row.external_id.clone(), topic, version, answer);
    if let NewKey::Options { version: Some(named), .. } = &correction.key
        && *named != version.id
        && !before.answer.options().is_empty()
    {
        return Err(refusal_of_other_version(transaction, id, *named).await?.into());
    }
    let mut with_explanation = before.clone();
    if let Some(explanation) = &correction.explanation {
        pictures::keep(transaction, &mut with_explanation, explanation)
            .await?
            .map_err(CorrectionRefusal::Explanation)?;
    }
    let after = corrected(with_explanation, correction)?;
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
