//! The result of reading a file.

use std::sync::Arc;

use crate::draft::{DraftAnswer, DraftDifficulty, DraftTextFormat, OptionOrder};
use crate::picture::{NotKept, Picture};

/// The sentence of the loss for a question to which its file gives marks of its own.
pub(crate) const OWN_MARKS_LOSS: &str = "Its own marks are left out: the subject's marking scheme applies.";

/// The maximum number of refused questions that [`ParsedFile::refused`] lists. Further refused questions are only
/// counted: in a file that is read in the wrong format, every line can be refused.
pub const MAX_REFUSED_LISTED: usize = 1_000;

/// The maximum number of characters of an id in [`ParsedFile::refused`]. A longer id is cut.
const MAX_REFUSED_ID_CHARS: usize = 128;

/// A question as its file states it, before anything checks it.
#[derive(Clone, Debug)]
pub struct ParsedQuestion {
    /// The line of the file on which the question begins, counted from 1. In a package, the number of the question.
    pub line: u32,
    /// The id of the question, if the file gives one.
    pub external_id: Option<String>,
    /// An id that is derived from the stem, the options and the embedded files, for use if the file gives no id.
    pub derived_id: String,
    /// The id that earlier versions of this software derived, which ignored embedded files. `None` if this earlier id
    /// is equal to `derived_id`.
    pub earlier_derived_id: Option<String>,
    /// The name of the question, if the file gives a name that differs from the id. Several questions can have the same
    /// name.
    pub name: Option<String>,
    /// The topic, if the file gives one.
    pub topic: Option<String>,
    /// The difficulty, if the file gives one.
    pub difficulty: Option<DraftDifficulty>,
    /// The markup language of the stem, the options and the explanation.
    pub text_format: DraftTextFormat,
    /// The text of the question, without its options.
    pub stem: String,
    /// The type of the question, with its options and its key.
    pub answer: DraftAnswer,
    /// The order in which a sitting shows the options, as the file states it. If the file states no order, the options
    /// are shuffled, unless an option points at other options ("All of the above"). Then all options keep their order,
    /// and a sentence in `losses` says so.
    pub option_order: OptionOrder,
    /// The text that explains the key to learners; `None` if the file gives none.
    pub explanation: Option<String>,
    /// The pictures that the texts show. A text names a picture by its hash: see `picture_hashes`.
    pub pictures: Vec<Picture>,
    /// The embedded files of the question. [`crate::read`] keeps their pictures in `pictures`, and then empties this
    /// list.
    pub(crate) files: Vec<EmbeddedFile>,
    /// Sentences for the author that say what a draft cannot hold, and what was read differently from the file.
    pub losses: Vec<String>,
}

/// The value of [`EmbeddedFile::part`] for a file in the explanation.
pub(crate) const EXPLANATION_PART: usize = usize::MAX;

/// A file that is embedded in a question, such as a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EmbeddedFile {
    /// The text of the question that shows the file: 0 is the stem, 1 is the first option, and so on.
    /// [`EXPLANATION_PART`] is the explanation.
    pub(crate) part: usize,
    /// The name by which the part refers to the file.
    pub(crate) name: String,
    /// The content as the question file encodes it, without white space. For a file of a package, the hash of its
    /// content.
    pub(crate) content: String,
    /// The folder of the file in Moodle, such as `/`.
    pub(crate) folder: String,
    /// The content of a file of a package, or the reason why it cannot be read. `None` if `content` has the content.
    pub(crate) bytes: Option<Result<Arc<[u8]>, NotKept>>,
    /// The name of a picture that is shown below the stem although no text has its address. `None` for any other file.
    pub(crate) shown_below: Option<String>,
}

/// An entry of a file that was refused, because it is not a question that a draft can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedQuestion {
    /// The line of the file on which the entry begins, counted from 1. In a package, the number of the entry.
    pub line: u32,
    /// The id of the entry in the file, or else its name, cut to 128 characters. `None` if the entry has neither id nor
    /// name.
    pub external_id: Option<String>,
    /// Sentences for the author: the reason, then what to do.
    pub reason: String,
}

/// The reason why a file as a whole cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableFile {
    /// The line of the file on which the problem is, counted from 1. It is 1 if the problem has no line.
    pub line: u32,
    /// Sentences for the author: the reason, then what to do.
    pub reason: String,
}

/// The questions of a file.
#[derive(Clone, Debug, Default)]
pub struct ParsedFile {
    /// The questions, in the order of the file.
    pub questions: Vec<ParsedQuestion>,
    /// The first [`MAX_REFUSED_LISTED`] entries that were refused, in the order of the file.
    pub refused: Vec<RefusedQuestion>,
    /// The number of all entries that were refused.
    pub refused_count: usize,
}

impl ParsedFile {
    /// Adds a question, or the reason why an entry was refused. After [`MAX_REFUSED_LISTED`] refused entries, only
    /// counts further refused entries. `external_id` is the id or the name of the entry, for the list of refused
    /// entries.
    pub(crate) fn add(
        &mut self,
        line: u32,
        external_id: Option<&str>,
        question: Result<ParsedQuestion, String>,
    ) {
        match question {
            Ok(question) => self.questions.push(question),
            Err(_) if self.refused.len() >= MAX_REFUSED_LISTED => self.refused_count += 1,
            Err(reason) => {
                self.refused_count += 1;
                let external_id = external_id.map(|id| id.chars().take(MAX_REFUSED_ID_CHARS).collect());
                self.refused.push(RefusedQuestion { line, external_id, reason });
            }
        }
    }
}
