//! Ids that are derived from the content of questions.

use crate::draft::{DraftAnswer, IdOrigin};
use crate::hash::ContentHash;
use crate::parsed::EmbeddedFile;

/// The prefix of a derived id. Hexadecimal digits follow.
const PREFIX: &str = "auto-";
/// The number of hexadecimal digits of a derived id.
const DIGITS: usize = 32;

/// Returns whether an id has the form of a derived id. Exported files contain such ids.
#[must_use]
pub fn is_derived_id(id: &str) -> bool {
    let digits = id.trim().strip_prefix(PREFIX);
    digits.is_some_and(|digits| digits.len() == DIGITS && digits.chars().all(|char| char.is_ascii_hexdigit()))
}

/// Derives an id for a question that has none from its stem, its options and its embedded files.
///
/// The key does not count: the same question with another key has the same id, so that an import can refuse it
/// instead of storing it twice.
pub(crate) fn derive_id(
    stem: &str,
    answer: &DraftAnswer,
    mut files: Vec<EmbeddedFile>,
) -> (String, IdOrigin) {
    let hash_texts = || {
        let mut hash = ContentHash::default();
        hash.add(stem);
        answer.options().iter().for_each(|option| hash.add(&option.text));
        hash
    };
    let id = |hash: ContentHash| format!("{PREFIX}{}", &hash.hex()[..DIGITS]);
    files.retain(|file| !file.content.is_empty());
    if files.is_empty() {
        return (id(hash_texts()), IdOrigin::Derived { earlier: None });
    }
    let mut hash = hash_texts();
    hash.add("files");
    files.sort_unstable_by(|one, other| {
        (one.part, &one.name, &one.content).cmp(&(other.part, &other.name, &other.content))
    });
    for file in &files {
        [&file.part.to_string(), &file.name, &file.content].into_iter().for_each(|part| hash.add(part));
    }
    (id(hash), IdOrigin::Derived { earlier: Some(id(hash_texts())) })
}
