//! Reads and checks a file of questions before they are stored.

use std::collections::HashMap;

use question_formats::{
    DraftQuestion, Format, ParsedFile, ParsedQuestion, UnreadableFile, excerpt, explain_unknown,
    read_package_with, read_with,
};

use super::check::{Defaults, MAX_ID_CHARS, check, check_topic, unix_lines};
use super::comparable_key::ComparableKey;
use super::import_file::{ImportFile, decode};
use super::pictures::hash_of;
use super::report::{ImportRefusal, ImportReport, Loss, MAX_REJECTIONS_REPORTED, RejectedQuestion};
use crate::error::Error;
use crate::picture::AddressKey;

/// A file that was read and checked.
pub(super) struct PreparedFile {
    /// The questions that can be stored.
    pub(super) questions: Vec<DraftQuestion>,
    /// A report with the rejected questions and the losses.
    pub(super) report: ImportReport,
    /// The loss of the report that tells which names were left out; None if no name was left out.
    pub(super) names_loss: Option<Loss>,
}

/// Reads a file and checks its questions. The report lists the rejected questions. `known` has the hashes of the stored
/// pictures that the file shows, by their addresses on this server.
///
/// # Errors
/// Refuses the file if it cannot be read or has no questions, or if the default topic is not valid. Also refuses the
/// file if more than [`MAX_REJECTIONS_REPORTED`] questions are rejected and none is accepted.
pub(super) fn prepare(
    format: Option<Format>,
    file: &ImportFile,
    defaults: &Defaults,
    names_are_ids: bool,
    known: &HashMap<AddressKey, String>,
) -> Result<PreparedFile, Error<ImportRefusal>> {
    check_topic(&defaults.topic).map_err(|_| ImportRefusal::DefaultTopic)?;
    let ParsedFile { questions: parsed, refused, mut refused_count } = match file {
        ImportFile::Text(text) => read_text(format, text, known)?,
        ImportFile::Package(bytes) => {
            read_package_with(bytes, &|address| hash_of(known, address)).map_err(unreadable_file)?
        }
    };
    let rejected = refused.into_iter().map(RejectedQuestion::from);
    let mut report = ImportReport { refused: rejected.collect(), ..ImportReport::default() };
    let mut names = LeftOutNames::default();
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
        match checked.and_then(|question| seen.add(question, id.is_some(), file)) {
            Ok(question) => {
                let external_id = &question.external_id;
                names.leave_out(name, line, external_id, &mut report.losses);
                let loss = |text| Loss { line, external_id: external_id.clone(), text };
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
    let names_at = names.first.as_ref().map(|(at, _)| *at);
    names.report(&mut report.losses, names_are_ids);
    let names_loss = names_at.and_then(|at| report.losses.get(at)).cloned();
    report.refused_count = refused_count;
    report.sort();
    if questions.is_empty() {
        if refused_count > MAX_REJECTIONS_REPORTED {
            let RejectedQuestion { line, reason, .. } = report.refused.swap_remove(0);
            return Err(ImportRefusal::TooManyRefused { first: file.name_of_question(line), reason }.into());
        }
        if refused_count == 0 {
            return Err(ImportRefusal::Empty.into());
        }
    }
    Ok(PreparedFile { questions, report, names_loss })
}

/// Reads the questions of a text. Detects the format of the text if `format` is None.
fn read_text(
    format: Option<Format>,
    text: &str,
    known: &HashMap<AddressKey, String>,
) -> Result<ParsedFile, ImportRefusal> {
    // `decode` removes byte order marks at the start. A text that was joined from several files can have more byte
    // order marks inside, so remove these too.
    let text = decode(text.as_bytes())?.replace('\u{feff}', "");
    let text = unix_lines(&text);
    let format = format.or_else(|| Format::detect(&text)).ok_or_else(|| {
        let advice = "Say which format it is: GIFT, Aiken, Moodle XML or QTI.";
        ImportRefusal::UnknownFormat(explain_unknown(text.as_bytes()).unwrap_or(advice.to_owned()))
    })?;
    read_with(format, &text, &|address| hash_of(known, address)).map_err(unreadable_file)
}

fn unreadable_file(UnreadableFile { line, reason }: UnreadableFile) -> ImportRefusal {
    ImportRefusal::Unreadable { line, reason }
}

/// The line and the key of each question that was read from the file so far, by external id.
#[derive(Default)]
struct SeenQuestions {
    by_external_id: HashMap<String, (u32, ComparableKey)>,
}

impl SeenQuestions {
    /// Remembers a question, and returns it. If an earlier question of the file has the same external id, returns the
    /// reason to reject this question instead. `has_own_id` says whether the file gives the question an id.
    fn add(
        &mut self,
        question: DraftQuestion,
        has_own_id: bool,
        file: &ImportFile,
    ) -> Result<DraftQuestion, String> {
        let key = ComparableKey::from(&question.answer);
        let Some((first, first_key)) = self.by_external_id.get(&question.external_id) else {
            self.by_external_id.insert(question.external_id.clone(), (question.line, key));
            return Ok(question);
        };
        let first = file.name_of_question(*first);
        Err(match has_own_id {
            true => {
                format!("It has the same id as {first}. Give each question its own id, or remove one.")
            }
            false if first_key.agrees_with(&key) => {
                format!("It asks the same as {first}. Change or remove one of the two.")
            }
            false => format!(
                "It asks the same as {first}, with another key. Remove the wrong one, or give each question an id."
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

/// The names that the import leaves out, because the bank stores no names of questions. The report has one loss for all
/// these names, at the line of the first question whose name is left out.
#[derive(Default)]
struct LeftOutNames {
    count: usize,
    /// The index in `losses` of the loss for all names, and the first question name that was left out.
    first: Option<(usize, String)>,
}

impl LeftOutNames {
    /// Counts the name of a question, if it has one. At the first name, adds a loss without a text to `losses`.
    /// [`LeftOutNames::report`] writes this text.
    fn leave_out(&mut self, name: Option<String>, line: u32, external_id: &str, losses: &mut Vec<Loss>) {
        let Some(name) = name else { return };
        self.count += 1;
        if self.first.is_none() {
            self.first = Some((losses.len(), name));
            losses.push(Loss { line, external_id: external_id.to_owned(), text: String::new() });
        }
    }

    /// Writes the text of the loss that [`LeftOutNames::leave_out`] added. Does nothing if no name was left out.
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
        loss.text = format!(
            "The name \"{name}\"{others} {are} left out, because the bank stores no names of questions.{advice}"
        );
    }
}
