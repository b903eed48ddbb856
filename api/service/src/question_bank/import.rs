//! Imports files of questions into the bank.

use std::collections::HashSet;

use jishu_entity::SubjectId;
use jishu_service_macros::service_call;
use question_formats::{DraftQuestion, Format};

use super::check::Defaults;
use super::import_file::ImportFile;
use super::plan::{ImportBatch, ImportOutcome};
use super::prepare::{PreparedFile, prepare};
use super::report::{ImportRefusal, ImportReport, Loss};
use super::{pictures, run_aside};
use super::{read, store};
use crate::account::Author;
use crate::clock::Clock;
use crate::database::{Database, WritePolicy};
use crate::error::Error;
use crate::reason;

/// Maximum number of questions of a batch, which is stored in one transaction.
const MAX_QUESTIONS_PER_TRANSACTION: usize = 250;
/// Maximum size of the texts and pictures of a batch in bytes, because MariaDB limits the size of a statement. A
/// question with more bytes is a batch of its own.
const MAX_BYTES_PER_TRANSACTION: usize = 4 << 20;

/// A request to import a file.
#[derive(Clone, Debug)]
pub struct ImportRequest {
    /// The subject of the bank.
    pub subject_id: SubjectId,
    /// The format of the file; None detects it.
    pub format: Option<Format>,
    /// The content of the file.
    pub file: ImportFile,
    /// The topic and the difficulty of questions to which the file gives none.
    pub defaults: Defaults,
    /// Whether a question without an id gets its name as the id, if the name is short enough.
    pub names_are_ids: bool,
    /// The reason for correcting keys, also in fixed tests; None keeps the keys of fixed tests.
    pub correct_keys: Option<String>,
    /// Whether this is a dry run, which reports the result without storing anything.
    pub dry_run: bool,
    /// The author who imports; None for the operator.
    pub actor: Option<Author>,
}

/// The progress of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportProgress {
    /// The number of questions of finished batches. A dry run only compares them with the bank.
    pub done: usize,
    /// The number of questions that the file has, without those that the checks of the file rejected.
    pub total: usize,
}

/// Imports a file of questions. Leaves out rejected questions, which the report lists. Stores the other questions in
/// batches of at most 250, each in its own transaction. Importing the same file again, after a success or a failure,
/// stores no question twice.
///
/// Calls `progress` at the start and after each batch.
///
/// # Errors
/// See [`ImportRefusal`]. If the database fails, the batches before the failure stay stored.
#[service_call]
pub async fn import(
    database: &Database,
    clock: &dyn Clock,
    request: ImportRequest,
    progress: &(dyn Fn(ImportProgress) + Sync),
) -> Result<ImportReport, Error<ImportRefusal>> {
    let ImportRequest { subject_id, format, file, defaults, names_are_ids, correct_keys, dry_run, actor } =
        request;
    let correct_keys =
        correct_keys.map(|text| reason::checked(&text).ok_or(ImportRefusal::Reason)).transpose()?;
    if !read::subject_exists(database.reader(), subject_id).await? {
        return Err(ImportRefusal::SubjectNotFound.into());
    }
    let (file, shown) = run_aside(move || {
        let shown = pictures::addresses_in(&file);
        (file, shown)
    })
    .await?;
    let known = pictures::known(database.reader(), shown).await?;
    let PreparedFile { questions, mut report, names_loss } =
        run_aside(move || prepare(format, &file, &defaults, names_are_ids, &known)).await??;
    let total = questions.len();
    let mut done = 0;
    progress(ImportProgress { done, total });
    let mut claimed = HashSet::new();
    for questions in batches(questions) {
        done += questions.len();
        let (correct_keys, now) = (correct_keys.clone(), clock.now());
        let batch = ImportBatch {
            subject_id,
            actor: actor.map(Author::id),
            now,
            questions,
            correct_keys,
            claimed: claimed.clone(),
        };
        let outcome = if dry_run {
            store::compare(database.reader(), &batch).await?
        } else {
            // Storing a batch first compares it with the bank. So a retry after a lost COMMIT stores nothing twice.
            let policy = WritePolicy::idempotent("question_bank.import").retry_taken_keys();
            database
                .write(policy, batch, |transaction, batch| Box::pin(store::store(transaction, batch)))
                .await?
        };
        claimed.extend(outcome.claimed.iter().copied());
        add_outcome(&mut report, outcome, names_loss.as_ref());
        progress(ImportProgress { done, total });
    }
    report.sort();
    Ok(report)
}

/// Adds the outcome of a batch to the report. `names_loss` is the loss that tells which names were left out.
fn add_outcome(report: &mut ImportReport, outcome: ImportOutcome, names_loss: Option<&Loss>) {
    report.created += outcome.created;
    report.updated += outcome.updated;
    report.unchanged += outcome.unchanged;
    report.corrected += outcome.corrected;
    report.refused_count += outcome.refused.len();
    // A report has no losses of rejected questions. Several questions of a file can begin on the same line, but each
    // has an external id of its own. `names_loss` stays, because it is about the names in the whole file.
    let refused: HashSet<String> = outcome.refused_ids.into_iter().collect();
    report.losses.retain(|loss| Some(loss) == names_loss || !refused.contains(&loss.external_id));
    report.refused.extend(outcome.refused);
    report.notices.extend(outcome.notices);
}

/// Returns the size of a question's stem, options, explanation and pictures in bytes.
fn bytes(question: &DraftQuestion) -> usize {
    let pictures: usize = question.pictures.iter().map(|picture| picture.bytes.len()).sum();
    question.texts().map(str::len).sum::<usize>() + pictures
}

/// Splits questions into batches. Each batch has at most [`MAX_QUESTIONS_PER_TRANSACTION`] questions and
/// [`MAX_BYTES_PER_TRANSACTION`] bytes, or only one question.
fn batches(questions: Vec<DraftQuestion>) -> Vec<Vec<DraftQuestion>> {
    let mut batches: Vec<Vec<DraftQuestion>> = Vec::new();
    let mut size = 0;
    for question in questions {
        size += bytes(&question);
        match batches.last_mut() {
            Some(batch)
                if batch.len() < MAX_QUESTIONS_PER_TRANSACTION && size <= MAX_BYTES_PER_TRANSACTION =>
            {
                batch.push(question);
            }
            _ => {
                size = bytes(&question);
                batches.push(vec![question]);
            }
        }
    }
    batches
}
