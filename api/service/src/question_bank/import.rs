//! Files of questions, read into the bank.

use std::collections::{HashMap, HashSet};

use jishu_entity::SubjectId;
use question_formats::{
    DraftQuestion, Format, ParsedFile, ParsedQuestion, RefusedQuestion, UnreadableFile, excerpt,
};

use super::answer_key::AnswerKey;
use super::check::{Defaults, InvalidQuestion, MAX_ID_CHARS, check, check_topic, unix_lines};
use super::correct::{self, MOST_REASON_CHARS};
use super::report::{ImportReport, Loss, MOST_REFUSED, RefusedImport};
use super::run_aside;
use super::store::{self, Batch};
use crate::account::Author;
use crate::clock::Clock;
use crate::database::{Database, WritePolicy};
use crate::error::Error;

/// How many questions are stored in one transaction.
const BATCH: usize = 250;
/// About how many bytes of text are stored in one transaction: a statement must fit in what MariaDB takes.
const BATCH_BYTES: usize = 4 << 20;

/// What to import.
#[derive(Clone, Debug)]
pub struct ImportRequest {
    /// The subject whose bank it is for.
    pub subject_id: SubjectId,
    /// What the text is written in; None to tell from the text.
    pub format: Option<Format>,
    /// The file.
    pub text: String,
    /// For what the file says nothing of.
    pub defaults: Defaults,
    /// Whether the name of a question that has no id is its id.
    pub names_are_ids: bool,
    /// The reason for correcting keys in fixed tests; None leaves those keys as they are.
    pub correct_keys: Option<String>,
    /// Only report what would be done.
    pub dry_run: bool,
    /// Who imports; None for the operator.
    pub actor: Option<Author>,
}

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How many questions are stored.
    pub done: usize,
    /// How many there are.
    pub of: usize,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportRefusal {
    /// There is no such subject.
    #[error("There is no such subject.")]
    SubjectNotFound,
    /// The text looks like none of the formats.
    #[error("This looks like none of GIFT, Aiken, Moodle XML and QTI 3.0. Say which format it is in.")]
    UnknownFormat,
    /// The file as a whole cannot be read.
    #[error("The file cannot be read, from line {line}: {reason}")]
    Unreadable {
        /// Where, from 1.
        line: u32,
        /// Why, and what to do, as a sentence.
        reason: String,
    },
    /// The file has no questions.
    #[error("The file has no questions in this format. Check which format it is in.")]
    Empty,
    /// Nothing is a question, and so much was refused that the format must be wrong.
    #[error(
        "More than {MOST_REFUSED} questions were refused, and there is no other, the first in line {}: {} Check which format the file is in.",
        .0.line, .0.reason
    )]
    TooManyRefused(RefusedImport),
    /// The topic for questions that name none.
    #[error("The topic for questions that name none cannot be used. {0}")]
    DefaultTopic(InvalidQuestion),
    /// The reason for correcting keys is missing or too long.
    #[error("Give a reason for correcting the keys in 1 to {MOST_REASON_CHARS} characters.")]
    Reason,
}

impl crate::error::Refusal for ImportRefusal {}

/// The text of a file, which must be in UTF-8; without the mark that some editors put at its start.
///
/// # Errors
/// With the line from which it is in something else.
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
        return Err(unreadable(nul, NUL));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        unreadable(
            error.valid_up_to(),
            "it is not in UTF-8. Save it in UTF-8, not in Latin-1 or Windows-1252.",
        )
    })?;
    Ok(text.trim_start_matches('\u{feff}'))
}

const NUL: &str = "it has a NUL byte, which a text cannot have. Remove it.";

/// Imports a file: what is refused is left out, and the rest is stored, some hundred questions at a time. Running it
/// again, after it ended or broke off, changes nothing that is there.
///
/// `progress` is told after each transaction.
///
/// # Errors
/// See [`ImportRefusal`]. A failed database can leave a part stored; nothing else does.
pub async fn import(
    database: &Database,
    clock: &dyn Clock,
    request: ImportRequest,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<ImportReport, Error<ImportRefusal>> {
    let ImportRequest { subject_id, format, text, defaults, names_are_ids, correct_keys, dry_run, actor } =
        request;
    if correct_keys.as_deref().is_some_and(|text| correct::reason(text).is_none()) {
        return Err(ImportRefusal::Reason.into());
    }
    if !store::subject_exists(database.reader(), subject_id).await? {
        return Err(ImportRefusal::SubjectNotFound.into());
    }
    let (questions, mut report, names_line) =
        run_aside(move || prepare(format, &text, &defaults, names_are_ids)).await??;
    let of = questions.len();
    let mut done = 0;
    progress(Progress { done, of });
    let mut claimed = HashSet::new();
    for questions in batches(questions) {
        done += questions.len();
        let (correct_keys, now) = (correct_keys.clone(), clock.now());
        let batch = Batch {
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
            // It looks at what is there, so that running it twice is running it once.
            let policy = WritePolicy::idempotent("question_bank.import").retry_taken_keys();
            database
                .write(policy, batch, |transaction, batch| Box::pin(store::store(transaction, batch)))
                .await?
        };
        report.created += outcome.created;
        report.updated += outcome.updated;
        report.unchanged += outcome.unchanged;
        report.corrected += outcome.corrected;
        report.refused_count += outcome.refused.len();
        // What a refused question would have lost is of no use. The loss of names is told of all questions.
        let lines: HashSet<u32> = outcome.refused.iter().map(|refusal| refusal.line).collect();
        report.losses.retain(|loss| Some(loss.line) == names_line || !lines.contains(&loss.line));
        report.refused.extend(outcome.refused);
        report.notices.extend(outcome.notices);
        claimed.extend(outcome.claimed);
        progress(Progress { done, of });
    }
    report.sort();
    Ok(report)
}

/// Reads and checks a text. Also returns the line at which the loss of names is told.
fn prepare(
    format: Option<Format>,
    text: &str,
    defaults: &Defaults,
    names_are_ids: bool,
) -> Result<(Vec<DraftQuestion>, ImportReport, Option<u32>), Error<ImportRefusal>> {
    check_topic(&defaults.topic).map_err(ImportRefusal::DefaultTopic)?;
    // Files that were put together have the mark of an editor within them, too.
    let text = decode(text.as_bytes())?.replace('\u{feff}', "");
    let text = unix_lines(&text);
    let format = format.or_else(|| Format::detect(&text)).ok_or(ImportRefusal::UnknownFormat)?;
    let ParsedFile { questions, refused, mut refused_count } = question_formats::read(format, &text)
        .map_err(|UnreadableFile { line, reason }| ImportRefusal::Unreadable { line, reason })?;
    let refused = refused.into_iter().map(|RefusedQuestion { line, external_id, reason }| RefusedImport {
        line,
        external_id,
        reason,
        advice: None,
    });
    let mut report = ImportReport { refused: refused.collect(), ..ImportReport::default() };
    let mut names = Names::default();
    let mut seen: HashMap<String, (u32, AnswerKey)> = HashMap::new();
    let mut accepted = Vec::with_capacity(questions.len());
    for mut found in questions {
        let line = found.line;
        if names_are_ids {
            name_as_id(&mut found);
        }
        let (id, name) = (found.external_id.clone(), found.name.take());
        let losses = std::mem::take(&mut found.losses);
        let refusal = match check(found, defaults) {
            Ok(question) => match seen.get(&question.external_id) {
                Some((first, key))
                    if id.is_none() && !key.agrees_with(&AnswerKey::from(&question.answer)) =>
                {
                    format!(
                        "It asks the same as the question in line {first}, with another key. Remove the wrong one, or give \
                     each an id."
                    )
                }
                Some((first, _)) if id.is_none() => {
                    format!("It asks the same as the question in line {first}. Change one, or remove it.")
                }
                Some((first, _)) => format!(
                    "It has the same id as the question in line {first}. Give each its own id, or remove one."
                ),
                None => {
                    seen.insert(question.external_id.clone(), (line, AnswerKey::from(&question.answer)));
                    let external_id = &question.external_id;
                    names.leave_out(name, line, external_id, &mut report.losses);
                    let loss = |what| Loss { line, external_id: external_id.clone(), what };
                    report.losses.extend(losses.into_iter().map(loss));
                    accepted.push(question);
                    continue;
                }
            },
            Err(invalid) => invalid.to_string(),
        };
        refused_count += 1;
        let external_id = id.or(name).map(|id| id.chars().take(MAX_ID_CHARS).collect());
        report.refused.push(RefusedImport { line, external_id, reason: refusal, advice: None });
    }
    let names_line = names.first.as_ref().and_then(|(at, _)| report.losses.get(*at)).map(|loss| loss.line);
    names.tell(&mut report.losses, names_are_ids);
    report.refused_count = refused_count;
    report.sort();
    if accepted.is_empty() {
        if refused_count > MOST_REFUSED {
            return Err(ImportRefusal::TooManyRefused(report.refused.swap_remove(0)).into());
        }
        if refused_count == 0 {
            return Err(ImportRefusal::Empty.into());
        }
    }
    Ok((accepted, report, names_line))
}

/// Takes the name of a question that has no id for one, if it is as short as one.
fn name_as_id(found: &mut ParsedQuestion) {
    let fits = |name: &String| name.chars().count() <= MAX_ID_CHARS;
    if found.external_id.is_none() && found.name.as_ref().is_some_and(fits) {
        found.external_id = found.name.take();
    }
}

/// The names that are left out. That is told once for a file, where the first is.
#[derive(Default)]
struct Names {
    count: usize,
    first: Option<(usize, String)>,
}

impl Names {
    fn leave_out(&mut self, name: Option<String>, line: u32, external_id: &str, losses: &mut Vec<Loss>) {
        let Some(name) = name else { return };
        self.count += 1;
        if self.first.is_none() {
            self.first = Some((losses.len(), name));
            losses.push(Loss { line, external_id: external_id.to_owned(), what: String::new() });
        }
    }

    fn tell(self, losses: &mut [Loss], names_are_ids: bool) {
        let Some((at, name)) = self.first else { return };
        let Some(loss) = losses.get_mut(at) else { return };
        let name = excerpt(&name);
        let others = match self.count - 1 {
            0 => String::new(),
            1 => ", and that of another question,".to_owned(),
            others => format!(", and those of {others} other questions,"),
        };
        let advice = match names_are_ids {
            true => "",
            false => {
                " Where none has an id and no two have the same name, names can be taken for ids (`namesAreIds`, `--names-are-ids`)."
            }
        };
        let are = if self.count == 1 { "is" } else { "are" };
        loss.what = format!("The name \"{name}\"{others} {are} left out: questions have an id only.{advice}");
    }
}

/// Returns about how many bytes of text a question has.
fn text_bytes(question: &DraftQuestion) -> usize {
    let options: usize = question.answer.options().iter().map(|option| option.text.len()).sum();
    question.stem.len() + question.explanation.as_ref().map_or(0, String::len) + options
}

/// Splits questions into parts that one transaction can store.
fn batches(questions: Vec<DraftQuestion>) -> Vec<Vec<DraftQuestion>> {
    let mut batches: Vec<Vec<DraftQuestion>> = Vec::new();
    let mut size = 0;
    for question in questions {
        size += text_bytes(&question);
        match batches.last_mut() {
            Some(batch) if batch.len() < BATCH && size <= BATCH_BYTES => batch.push(question),
            _ => {
                size = text_bytes(&question);
                batches.push(vec![question]);
            }
        }
    }
    batches
}
