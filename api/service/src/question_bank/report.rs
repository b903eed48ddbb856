//! The report of an import: counts, rejected questions, losses and notices. Also the reasons to refuse an import.

use question_formats::{MAX_TOPIC_CHARS, RefusedQuestion};

use crate::error::Refusal;
use crate::reason;

/// Maximum number of rejected questions that a report lists. Further rejected questions are only counted. A file that
/// is read in the wrong format can have a rejected question in every line.
pub const MAX_REJECTIONS_REPORTED: usize = question_formats::MAX_REFUSED_LISTED;

/// A question of a file that was not imported, and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedQuestion {
    /// The line of the file on which the question begins, counted from 1. In a package, the number of the question.
    pub line: u32,
    /// The id that the file gives the question, or else the name of the question. None if the file gives no id and no
    /// name. Also None if the file gives no id, and the question is rejected because the bank has another key.
    pub external_id: Option<String>,
    /// The reason and what to do about it, as sentences.
    pub reason: String,
    /// The next step that each interface describes with the names of its own flags or fields. None if `reason` already
    /// says what to do.
    pub advice: Option<Advice>,
}

impl From<RefusedQuestion> for RejectedQuestion {
    fn from(RefusedQuestion { line, external_id, reason }: RefusedQuestion) -> Self {
        Self { line, external_id, reason, advice: None }
    }
}

/// The next step after a message to the author. Each interface describes the step with the names of its own flags or
/// fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Correct the key, so that new sittings of fixed tests use the key of the file.
    CorrectKey,
    /// If the question of the file and the question of the bank are the same, correct the key of the question of the
    /// bank. If not, give the question of the file an id.
    CorrectKeyOrGiveId,
    /// If the key of the file is right after all, import the file with a reason for correcting keys.
    CorrectKeyBack,
    /// Restore the archived question.
    Restore,
}

/// A part of a question that an import or an export left out or changed, or a warning about the question. In an export,
/// the part can be the whole question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The line of the imported file on which the question begins, counted from 1. In a package, the number of the
    /// question. It is 0 in an export.
    pub line: u32,
    /// The external id of the question.
    pub external_id: String,
    /// An explanation for the author, as sentences that name the part.
    pub text: String,
}

/// A message to the author about an imported question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The line of the file on which the question begins, counted from 1. In a package, the number of the question.
    pub line: u32,
    /// The external id of the question.
    pub external_id: String,
    /// The message, as a sentence.
    pub text: String,
    /// The next step that the message suggests.
    pub advice: Advice,
}

/// The result of an import, or of a dry run: the result that the import would have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// The number of new questions.
    pub created: u32,
    /// The number of questions that got a new version.
    pub updated: u32,
    /// The number of questions that the bank already had with the same content, and that got no new version.
    pub unchanged: u32,
    /// The rejected questions in the order of the file, at most [`MAX_REJECTIONS_REPORTED`].
    pub refused: Vec<RejectedQuestion>,
    /// The number of all rejected questions, listed or not.
    pub refused_count: usize,
    /// The parts of questions that were left out or changed, and warnings, in the order of the file.
    pub losses: Vec<Loss>,
    /// Other messages about imported questions, in the order of the file.
    pub notices: Vec<Notice>,
    /// The number of questions whose key was corrected in the bank or in fixed tests, or whose explanation was
    /// corrected in fixed tests. 0 if the import does not correct keys.
    pub corrected: u32,
}

impl ImportReport {
    /// Sorts rejected questions and notices by their lines. Drops the rejected questions after the first
    /// [`MAX_REJECTIONS_REPORTED`].
    pub(super) fn sort(&mut self) {
        self.refused.sort_by_key(|refusal| refusal.line);
        self.refused.truncate(MAX_REJECTIONS_REPORTED);
        self.notices.sort_by_key(|notice| notice.line);
    }
}

/// A reason to refuse an import. Nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportRefusal {
    /// There is no such subject.
    #[error("There is no such subject.")]
    SubjectNotFound,
    /// The format of the text was not recognised. The text in the variant names the kind of the file, if it is known,
    /// and says what to do.
    #[error("The format of the file was not recognised. {0}")]
    UnknownFormat(String),
    /// The file as a whole cannot be read.
    #[error("The file cannot be read, from line {line}: {reason}")]
    Unreadable {
        /// The line of the problem, from 1.
        line: u32,
        /// The reason and what to do about it, as sentences.
        reason: String,
    },
    /// The file has no questions in the format in which it was read.
    #[error(
        "The file has no questions in the format in which it was read. Check the file, and the format if you gave one."
    )]
    Empty,
    /// More than [`MAX_REJECTIONS_REPORTED`] questions were rejected and none was accepted, so the format is probably
    /// wrong.
    #[error(
        "More than {MAX_REJECTIONS_REPORTED} questions were refused, and none was accepted. Check the format of the \
         file. The first refused one is {first}: {reason}"
    )]
    TooManyRefused {
        /// The first rejected question, such as "the question in line 3".
        first: String,
        /// The reason and what to do about it, as sentences.
        reason: String,
    },
    /// The default topic is empty or too long, or has characters that a topic may not have.
    #[error(
        "The topic for questions without a topic cannot be used. Give 1 to {MAX_TOPIC_CHARS} characters, without \
         control characters, invisible characters and characters that change the writing direction."
    )]
    DefaultTopic,
    /// The reason for correcting keys is blank, too long, or has characters that a reason cannot have.
    #[error("Give a reason for correcting the keys: {}.", reason::rule())]
    Reason,
}

impl Refusal for ImportRefusal {}
