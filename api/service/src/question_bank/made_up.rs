//! Ids that are made of what questions ask.

use super::draft::{DraftAnswer, IdOrigin};
use super::hash::Hash;

/// The beginning of an id that was made up. Digits follow.
const MADE_UP: &str = "auto-";
/// The number of hexadecimal digits of an id that was made up.
const MADE_UP_DIGITS: usize = 32;

/// An embedded file of a question. The order is that of the parts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EmbeddedFile {
    /// The part that shows it: 0 for the stem, then the options from 1.
    pub(super) part: usize,
    /// The name by which the part refers to it.
    pub(super) name: String,
    /// The content as it stands in the file, without blanks.
    pub(super) content: String,
}

/// Whether an id was made up, and not given by an author.
pub(super) fn is_made_up(id: &str) -> bool {
    let digits = id.trim().strip_prefix(MADE_UP);
    digits.is_some_and(|digits| {
        digits.len() == MADE_UP_DIGITS && digits.chars().all(|char| char.is_ascii_hexdigit())
    })
}

/// An id for a question that has none, made of what it asks: its text, its options and its embedded files. The key is not
/// part of it: the same question with another key is refused rather than stored beside the first.
pub(super) fn made_up_id(
    stem: &str,
    answer: &DraftAnswer,
    mut files: Vec<EmbeddedFile>,
) -> (String, IdOrigin) {
    let words = || {
        let mut hash = Hash::default();
        hash.add(stem);
        answer.options().iter().for_each(|option| hash.add(&option.text));
        hash
    };
    let id = |hash: Hash| format!("{MADE_UP}{}", &hash.hex()[..MADE_UP_DIGITS]);
    files.retain(|file| !file.content.is_empty());
    if files.is_empty() {
        return (id(words()), IdOrigin::MadeUp { earlier: None });
    }
    let mut hash = words();
    hash.add("files");
    files.sort_unstable();
    for file in &files {
        [&file.part.to_string(), &file.name, &file.content].into_iter().for_each(|part| hash.add(part));
    }
    (id(hash), IdOrigin::MadeUp { earlier: Some(id(words())) })
}
