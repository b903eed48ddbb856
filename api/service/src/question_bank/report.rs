//! What became of a file: what was refused, and what was left behind.

/// So many refusals are told one by one, and the others counted: a file in another format is refused line by line.
pub const MOST_REFUSED: usize = question_formats::MAX_REFUSED_LISTED;

/// Something in a file that is not a question that the bank can hold, and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedImport {
    /// Where it begins, from 1.
    pub line: u32,
    /// What the file calls it, where it does.
    pub external_id: Option<String>,
    /// Why it was refused and what to do, as a sentence.
    pub reason: String,
    /// The next step, if each interface names it in its own words.
    pub advice: Option<Advice>,
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

/// Something that the other side has no place for: the question itself was carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Where the question begins in the file that was read, from 1; 0 where questions were written.
    pub line: u32,
    /// The question.
    pub external_id: String,
    /// What was left behind, as a sentence.
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

/// What an import did, or with a dry run would have done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// How many questions were new.
    pub created: u32,
    /// How many got a new version.
    pub updated: u32,
    /// How many were there as they are.
    pub unchanged: u32,
    /// What was refused, in the file's order: the first [`MOST_REFUSED`].
    pub refused: Vec<RefusedImport>,
    /// How many were refused.
    pub refused_count: usize,
    /// What was left behind, in the file's order.
    pub losses: Vec<Loss>,
    /// Other messages about imported questions, in the file's order.
    pub notices: Vec<Notice>,
    /// The number of questions whose key was corrected in fixed tests.
    pub corrected: u32,
}

impl ImportReport {
    /// Sorts refusals and notices by their lines, and cuts off the refusals beyond the maximum.
    pub(super) fn sort(&mut self) {
        self.refused.sort_by_key(|refusal| refusal.line);
        self.refused.truncate(MOST_REFUSED);
        self.notices.sort_by_key(|notice| notice.line);
    }
}
