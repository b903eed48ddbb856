//! The labels of lines below `ANSWER:`, such as `Explanation:`.

/// The kind of a note below `ANSWER:`, by its label.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Explanation,
    Topic,
    Difficulty,
    Other,
}

/// The words before a colon that are labels of notes below `ANSWER:`.
const LABELS: [(&str, Kind); 22] = [
    ("explanation", Kind::Explanation),
    ("feedback", Kind::Explanation),
    ("solution", Kind::Explanation),
    ("rationale", Kind::Explanation),
    ("topic", Kind::Topic),
    ("difficulty", Kind::Difficulty),
    ("level", Kind::Other),
    ("mark", Kind::Other),
    ("marks", Kind::Other),
    ("points", Kind::Other),
    ("hint", Kind::Other),
    ("reference", Kind::Other),
    ("ref", Kind::Other),
    ("source", Kind::Other),
    ("tag", Kind::Other),
    ("tags", Kind::Other),
    ("category", Kind::Other),
    ("chapter", Kind::Other),
    ("subject", Kind::Other),
    ("year", Kind::Other),
    ("id", Kind::Other),
    ("comment", Kind::Other),
];

/// Reads the kind and the text of a labelled line, such as `Explanation: so it is`. Returns `None` for a line without a
/// label.
pub(super) fn labelled(line: &str) -> Option<(Kind, &str)> {
    let (word, text) = line.split_once([':', '：'])?;
    let word = word.trim().to_ascii_lowercase();
    LABELS.iter().find(|(label, _)| *label == word).map(|(_, kind)| (*kind, text.trim()))
}

/// Returns whether a line is a note on a question.
pub(super) fn is_note(line: &str) -> bool {
    labelled(line).is_some()
}

/// Returns whether a line begins an explanation.
pub(super) fn is_explanation(line: &str) -> bool {
    matches!(labelled(line), Some((Kind::Explanation, _)))
}
