//! The report of an import: counts, rejected questions, losses and notices.

use question_formats::RefusedQuestion;

use super::check::InvalidQuestion;
use crate::error::Refusal;
use crate::reason::MAX_REASON_CHARS;

/// Maximum number of rejected questions in a report. The others are only counted: in a file of another format, every
/// line may be one.
pub const MAX_REJECTIONS_REPORTED: usize = question_formats::MAX_REFUSED_LISTED;

/// A question of a file that was not imported, and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedQuestion {
    /// The line of the file in which the question begins, from 1.
    pub line: u32,
    /// The id or the name of the question in the file, if it has one.
    pub external_id: Option<String>,
    /// The reason and what to do about it, as sentences.
    pub reason: String,
    /// The next step, if there is one that each interface names in its own words.
    pub advice: Option<Advice>,
}

impl From<RefusedQuestion> for RejectedQuestion {
    fn from(RefusedQuestion { line, external_id, reason }: RefusedQuestion) -> Self {
        Self { line, external_id, reason, advice: None }
    }
}

/// The next step after a message. Each interface names it in its own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Correct the key, so that new sittings of fixed tests use the key of the file.
    CorrectKey,
    /// Correct the key if both questions are the same. If not, give the new one an id.
    CorrectKeyOrGiveId,
    /// If the key of the file is right after all, import the file with a reason for correcting keys.
    CorrectKeyBack,
    /// Restore the archived question.
    Restore,
}

/// A part of a question that was left out. The question itself was imported or exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The line of the imported file in which the question begins, from 1; 0 in an export.
    pub line: u32,
    /// The external id of the question.
    pub external_id: String,
    /// The part that was left out, as a sentence.
    pub what: String,
}

/// A message to the author about an imported question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The line of the file in which the question begins, from 1.
    pub line: u32,
    /// The external id of the question.
    pub external_id: String,
    /// The message, as a sentence.
    pub text: String,
    /// The next step.
    pub advice: Advice,
}

/// The result of an import, or the result that it would have if this was a dry run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// The number of new questions.
    pub created: u32,
    /// The number of questions that got a new version.
    pub updated: u32,
    /// The number of questions that the bank already had with the same content.
    pub unchanged: u32,
    /// The rejected questions in the order of the file, at most [`MAX_REJECTIONS_REPORTED`].
    pub refused: Vec<RejectedQuestion>,
    /// The number of all rejected questions.
    pub refused_count: usize,
    /// The parts that were left out, in the order of the file.
    pub losses: Vec<Loss>,
    /// Other messages about imported questions, in the order of the file.
    pub notices: Vec<Notice>,
    /// The number of questions whose key was corrected in fixed tests.
    pub corrected: u32,
}

impl ImportReport {
    /// Sorts rejected questions and notices by their lines, and drops the rejected questions beyond the maximum.
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
    /// The format of the text was not detected. The sentences name the kind of the file, if it is known, and say
    /// what to do.
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
    /// The file has no questions.
    #[error("The file has no questions in this format. Check its format.")]
    Empty,
    /// All questions were rejected, and so many that the format must be wrong. The variant has the first one.
    #[error(
        "More than {MAX_REJECTIONS_REPORTED} questions were refused, and no other was found. Check the format of the \
         file. The first question is in line {}: {}",
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

impl Refusal for ImportRefusal {}
