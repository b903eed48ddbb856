//! Ids that are derived from the content of questions.

use crate::draft::{DraftAnswer, DraftTextFormat, IdOrigin};
use crate::hash::ContentHash;
use crate::order::assumed_order;
use crate::parsed::{EXPLANATION_PART, EmbeddedFile, ParsedQuestion};

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

impl ParsedQuestion {
    /// Makes a question of plain texts that does not come from a file, with a derived id. If an option points at other
    /// options, all options keep their order.
    #[must_use]
    pub fn of_plain_text(stem: String, answer: DraftAnswer) -> Self {
        let options: Vec<String> = answer.options().iter().map(|option| option.text.clone()).collect();
        let mut question = Self {
            line: 0,
            external_id: None,
            derived_id: String::new(),
            earlier_derived_id: None,
            name: None,
            topic: None,
            difficulty: None,
            text_format: DraftTextFormat::Plain,
            stem,
            answer,
            option_order: assumed_order(&options, DraftTextFormat::Plain),
            explanation: None,
            pictures: Vec::new(),
            files: Vec::new(),
            losses: Vec::new(),
        };
        add_derived_id(&mut question, &[]);
        question
    }
}

/// Derives the ids of a question from its texts and embedded files, and stores them in the question. Call this function
/// before pictures are kept: the ids must not depend on which pictures are kept.
pub(crate) fn add_derived_id(question: &mut ParsedQuestion, files: &[EmbeddedFile]) {
    let clean = |text: &str| text.trim().replace("\r\n", "\n").replace('\r', "\n");
    let mut answer = question.answer.clone();
    if let DraftAnswer::Single(options) | DraftAnswer::Multiple(options) = &mut answer {
        options.iter_mut().for_each(|option| option.text = clean(&option.text));
    }
    let files = files.iter().filter(|file| file.part != EXPLANATION_PART).cloned().collect();
    let (id, origin) = derive_id(&clean(&question.stem), &answer, files);
    question.derived_id = id;
    question.earlier_derived_id = match origin {
        IdOrigin::Derived { earlier } => earlier,
        IdOrigin::Given => None,
    };
}

/// Derives an id from the stem, the options and the embedded files of a question. If there are files, the returned
/// origin has the id that earlier versions derived, without the files.
///
/// The id does not depend on the key. So a question with another key has the same id, and an import can refuse it
/// instead of storing it twice.
fn derive_id(stem: &str, answer: &DraftAnswer, mut files: Vec<EmbeddedFile>) -> (String, IdOrigin) {
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
