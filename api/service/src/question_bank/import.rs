//! Imports files of questions into the bank.

use std::collections::{HashMap, HashSet};

use jishu_entity::SubjectId;
use question_formats::{
    DraftQuestion, Format, ParsedFile, ParsedQuestion, RefusedQuestion, UnreadableFile, excerpt,
};

use super::check::{Defaults, InvalidQuestion, MAX_ID_CHARS, check, check_topic, unix_lines};
use super::comparable_key::ComparableKey;
use super::correct::{self, MAX_REASON_CHARS};
use super::plan::ImportOutcome;
use super::report::{ImportReport, Loss, MAX_REJECTIONS_REPORTED, RejectedQuestion};
use super::run_aside;
use super::store::{self, ImportBatch};
use crate::account::Author;
use crate::clock::Clock;
use crate::database::{Database, WritePolicy};
use crate::error::Error;

/// Maximum number of questions that one transaction stores.
const MAX_QUESTIONS_PER_TRANSACTION: usize = 250;
/// Maximum size of the texts that one transaction stores. MariaDB limits the size of a statement.
const MAX_BYTES_PER_TRANSACTION: usize = 4 << 20;

/// A request to import a file.
#[derive(Clone, Debug)]
pub struct ImportRequest {
    /// The subject of the bank.
    pub subject_id: SubjectId,
    /// The format of the file; None detects it.
    pub format: Option<Format>,
    /// The text of the file.
    pub text: String,
    /// Values for questions to which the file gives none.
    pub defaults: Defaults,
    /// Whether a question without an id gets its name as the id.
    pub names_are_ids: bool,
    /// The reason for correcting keys in fixed tests; None keeps these keys.
    pub correct_keys: Option<String>,
    /// Whether to report the result without storing anything.
    pub dry_run: bool,
    /// The author who imports; None for the operator.
    pub actor: Option<Author>,
}

/// The progress of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportProgress {
    /// The number of questions that were stored so far.
    pub done: usize,
    /// The number of all questions.
    pub total: usize,
}

/// A reason to refuse an import. Nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportRefusal {
    /// There is no such subject.
    #[error("There is no such subject.")]
    SubjectNotFound,
    /// The format of the text was not detected.
    #[error("The format of the file is not clear. Name it: GIFT, Aiken, Moodle XML or QTI 3.0.")]
    UnknownFormat,
    /// The file as a whole cannot be read.
    #[error("The file cannot be read, from line {line}: {reason}")]
    Unreadable {
        /// The line of the problem, from 1.
        line: u32,
        /// The reason and what to do about it, as sentences.
        reason: String,
    },
    /// The file has no questions.
    #[error("The file has no questions in this format. Check its format.")]
    Empty,
    /// All questions were rejected, and so many that the format must be wrong. The variant has the first one.
    #[error(
        "All questions were refused, more than {MAX_REJECTIONS_REPORTED} of them. Check the format of the file. The \
         first is in line {}: {}",
        .0.line, .0.reason
    )]
    TooManyRefused(RejectedQuestion),
    /// The default topic is not valid.
    #[error("The topic for questions without a topic cannot be used. {0}")]
    DefaultTopic(InvalidQuestion),
    /// The reason for correcting keys is missing or too long.
    #[error("Give a reason for correcting the keys in 1 to {MAX_REASON_CHARS} characters.")]
    Reason,
}

impl crate::error::Refusal for ImportRefusal {}

/// Returns the text of a file, which must be in UTF-8. Removes the byte order mark, which some editors put at the
/// start.
///
/// # Errors
/// Returns the line in which the file stops being UTF-8.
pub fn decode(bytes: &[u8]) -> Result<&str, ImportRefusal> {
    let unreadable = |at: usize, reason: &str| {
        let ends = bytes[..at].iter().zip(&bytes[1..]);
        let ends = ends.filter(|(byte, next)| **byte == b'\n' || **byte == b'\r' && **next != b'\n');
        let line = ends.count() + 1;
        ImportRefusal::Unreadable { line: u32::try_from(line).unwrap_or(u32::MAX), reason: reason.to_owned() }
    };
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(unreadable(0, "it is in UTF-16. Save it in UTF-8."));
    }
    if let Some(nul) = bytes.iter().position(|byte| *byte == 0) {
        return Err(unreadable(nul, NUL_BYTE_REASON));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        unreadable(
            error.valid_up_to(),
            "it is not in UTF-8. Save it in UTF-8, not in Latin-1 or Windows-1252.",
        )
    })?;
    Ok(text.trim_start_matches('\u{feff}'))
}

/// The reason to refuse a file with a NUL byte.
const NUL_BYTE_REASON: &str = "it has a NUL byte, which a text cannot have. Remove it.";

/// Imports a file. Leaves out rejected questions, and stores the others in batches of a few hundred. Importing the same
/// file again, after a success or a failure, does not change the questions that are stored.
///
/// Calls `progress` at the start and after each batch.
///
/// # Errors
/// See [`ImportRefusal`]. If the database fails, some batches may be stored.
pub async fn import(
    database: &Database,
    clock: &dyn Clock,
    request: ImportRequest,
    progress: &(dyn Fn(ImportProgress) + Sync),
) -> Result<ImportReport, Error<ImportRefusal>> {
    let ImportRequest { subject_id, format, text, defaults, names_are_ids, correct_keys, dry_run, actor } =
        request;
    if correct_keys.as_deref().is_some_and(|text| correct::reason(text).is_none()) {
        return Err(ImportRefusal::Reason.into());
    }
    if !store::subject_exists(database.reader(), subject_id).await? {
        return Err(ImportRefusal::SubjectNotFound.into());
    }
    let PreparedFile { questions, mut report, names_line } =
        run_aside(move || prepare(format, &text, &defaults, names_are_ids)).await??;
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
            // Storing a batch compares it with the bank first, so a retry changes nothing.
            let policy = WritePolicy::idempotent("question_bank.import").retry_taken_keys();
            database
                .write(policy, batch, |transaction, batch| Box::pin(store::store(transaction, batch)))
                .await?
        };
        claimed.extend(outcome.claimed.iter().copied());
        add_outcome(&mut report, outcome, names_line);
        progress(ImportProgress { done, total });
    }
    report.sort();
    Ok(report)
}

/// Adds the outcome of a batch to the report.
fn add_outcome(report: &mut ImportReport, outcome: ImportOutcome, names_line: Option<u32>) {
    report.created += outcome.created;
    report.updated += outcome.updated;
    report.unchanged += outcome.unchanged;
    report.corrected += outcome.corrected;
    report.refused_count += outcome.refused.len();
    // Losses of rejected questions do not matter. The loss of names stays, because it is about the whole file.
    let lines: HashSet<u32> = outcome.refused.iter().map(|rejected| rejected.line).collect();
    report.losses.retain(|loss| Some(loss.line) == names_line || !lines.contains(&loss.line));
    report.refused.extend(outcome.refused);
    report.notices.extend(outcome.notices);
}

/// A file that was read and checked.
struct PreparedFile {
    /// The questions that can be stored.
    questions: Vec<DraftQuestion>,
    /// A report with the rejected questions and the losses.
    report: ImportReport,
    /// The line of the loss that reports left-out names.
    names_line: Option<u32>,
}

/// Reads and checks a text.
fn prepare(
    format: Option<Format>,
    text: &str,
    defaults: &Defaults,
    names_are_ids: bool,
) -> Result<PreparedFile, Error<ImportRefusal>> {
    check_topic(&defaults.topic).map_err(ImportRefusal::DefaultTopic)?;
    // A file that was joined from several files can also have byte order marks inside.
    let text = decode(text.as_bytes())?.replace('\u{feff}', "");
    let text = unix_lines(&text);
    let format = format.or_else(|| Format::detect(&text)).ok_or(ImportRefusal::UnknownFormat)?;
    let ParsedFile { questions: parsed, refused, mut refused_count } = question_formats::read(format, &text)
        .map_err(|UnreadableFile { line, reason }| ImportRefusal::Unreadable { line, reason })?;
    let rejected = |RefusedQuestion { line, external_id, reason }| RejectedQuestion {
        line,
        external_id,
        reason,
        advice: None,
    };
    let mut report =
        ImportReport { refused: refused.into_iter().map(rejected).collect(), ..ImportReport::default() };
    let mut names = Names::default();
    let mut seen = SeenQuestions::default();
    let mut questions = Vec::with_capacity(parsed.len());
    for mut found in parsed {
        let line = found.line;
        if names_are_ids {
            name_as_id(&mut found);
        }
        let (id, name) = (found.external_id.clone(), found.name.take());
        let losses = std::mem::take(&mut found.losses);
        let checked = check(found, defaults).map_err(|invalid| invalid.to_string());
        match checked.and_then(|question| seen.add(question, id.is_some())) {
            Ok(question) => {
                let external_id = &question.external_id;
                names.leave_out(name, line, external_id, &mut report.losses);
                let loss = |what| Loss { line, external_id: external_id.clone(), what };
                report.losses.extend(losses.into_iter().map(loss));
                questions.push(question);
            }
            Err(reason) => {
                refused_count += 1;
                let external_id = id.or(name).map(|id| id.chars().take(MAX_ID_CHARS).collect());
                report.refused.push(RejectedQuestion { line, external_id, reason, advice: None });
            }
        }
    }
    let names_line = names.first.as_ref().and_then(|(at, _)| report.losses.get(*at)).map(|loss| loss.line);
    names.report(&mut report.losses, names_are_ids);
    report.refused_count = refused_count;
    report.sort();
    if questions.is_empty() {
        if refused_count > MAX_REJECTIONS_REPORTED {
            return Err(ImportRefusal::TooManyRefused(report.refused.swap_remove(0)).into());
        }
        if refused_count == 0 {
            return Err(ImportRefusal::Empty.into());
        }
    }
    Ok(PreparedFile { questions, report, names_line })
}

/// The lines and keys of the questions of a file so far, by their external ids.
#[derive(Default)]
struct SeenQuestions {
    by_external_id: HashMap<String, (u32, ComparableKey)>,
}

impl SeenQuestions {
    /// Remembers a question, and returns it. If the file has a question with the same id before it, returns a message.
    fn add(&mut self, question: DraftQuestion, has_own_id: bool) -> Result<DraftQuestion, String> {
        let key = ComparableKey::from(&question.answer);
        let Some((first, first_key)) = self.by_external_id.get(&question.external_id) else {
            self.by_external_id.insert(question.external_id.clone(), (question.line, key));
            return Ok(question);
        };
        Err(match has_own_id {
            true => {
                format!(
                    "It has the same id as the question in line {first}. Give each its own id, or remove one."
                )
            }
            false if first_key.agrees_with(&key) => {
                format!("It asks the same as the question in line {first}. Change one, or remove it.")
            }
            false => format!(
                "It asks the same as the question in line {first}, with another key. Remove the wrong one, or give \
                 each an id."
            ),
        })
    }
}

/// Makes the name of a question its id, if the question has no id and the name is short enough.
fn name_as_id(found: &mut ParsedQuestion) {
    let fits = |name: &String| name.chars().count() <= MAX_ID_CHARS;
    if found.external_id.is_none() && found.name.as_ref().is_some_and(fits) {
        found.external_id = found.name.take();
    }
}

/// The names that are left out. The report has one loss for all of them, at the line of the first.
#[derive(Default)]
struct Names {
    count: usize,
    /// The index of the loss, and the first name.
    first: Option<(usize, String)>,
}

impl Names {
    /// Counts a name, and adds an empty loss for the first one.
    fn leave_out(&mut self, name: Option<String>, line: u32, external_id: &str, losses: &mut Vec<Loss>) {
        let Some(name) = name else { return };
        self.count += 1;
        if self.first.is_none() {
            self.first = Some((losses.len(), name));
            losses.push(Loss { line, external_id: external_id.to_owned(), what: String::new() });
        }
    }

    /// Writes the message of the loss.
    fn report(self, losses: &mut [Loss], names_are_ids: bool) {
        let Some((at, name)) = self.first else { return };
        let Some(loss) = losses.get_mut(at) else { return };
        let name = excerpt(&name);
        let others = match self.count - 1 {
            0 => String::new(),
            1 => " and the name of another question".to_owned(),
            others => format!(" and the names of {others} other questions"),
        };
        let advice = match names_are_ids {
            true => "",
            false => {
                " If no question has an id and no two have the same name, import the file with the names as ids."
            }
        };
        let are = if self.count == 1 { "is" } else { "are" };
        loss.what =
            format!("The name \"{name}\"{others} {are} left out, because questions have no names.{advice}");
    }
}

/// Estimates the size of a question's texts in bytes.
fn text_bytes(question: &DraftQuestion) -> usize {
    let options: usize = question.answer.options().iter().map(|option| option.text.len()).sum();
    question.stem.len() + question.explanation.as_ref().map_or(0, String::len) + options
}

/// Splits questions into batches that one transaction can store.
fn batches(questions: Vec<DraftQuestion>) -> Vec<Vec<DraftQuestion>> {
    let mut batches: Vec<Vec<DraftQuestion>> = Vec::new();
    let mut size = 0;
    for question in questions {
        size += text_bytes(&question);
        match batches.last_mut() {
            Some(batch)
                if batch.len() < MAX_QUESTIONS_PER_TRANSACTION && size <= MAX_BYTES_PER_TRANSACTION =>
            {
                batch.push(question)
            }
            _ => {
                size = text_bytes(&question);
                batches.push(vec![question]);
            }
        }
    }
    batches
}
