//! Ids, names, tags and difficulties, which several formats write in the same way.

use crate::draft::DraftDifficulty;

/// The maximum number of characters of a text that a message quotes.
const MAX_EXCERPT_CHARS: usize = 60;

/// Returns the name of a difficulty in tags and notes.
pub(crate) fn difficulty_name(difficulty: DraftDifficulty) -> &'static str {
    match difficulty {
        DraftDifficulty::Easy => "easy",
        DraftDifficulty::Medium => "medium",
        DraftDifficulty::Hard => "hard",
    }
}

/// Returns the difficulty with this name, in capital or small letters.
pub(crate) fn difficulty(name: &str) -> Option<DraftDifficulty> {
    [DraftDifficulty::Easy, DraftDifficulty::Medium, DraftDifficulty::Hard]
        .into_iter()
        .find(|difficulty| difficulty_name(*difficulty).eq_ignore_ascii_case(name.trim()))
}

/// Finds the difficulty in tags such as `difficulty:hard`. Adds a loss for each other tag.
pub(crate) fn read_tags<'a>(
    tags: impl IntoIterator<Item = &'a str>,
    losses: &mut Vec<String>,
) -> Option<DraftDifficulty> {
    let mut found = None;
    for tag in tags {
        match tag.trim().split_once(':') {
            Some((key, value)) if key.eq_ignore_ascii_case("difficulty") && difficulty(value).is_some() => {
                found = difficulty(value);
            }
            _ => losses.push(format!("The tag \"{}\" is left out: questions have no tags.", excerpt(tag))),
        }
    }
    found
}

/// Trims the id and the name of a question. Drops a text that is empty, and a name that equals the id.
pub(crate) fn read_identity(id: Option<&str>, name: Option<&str>) -> (Option<String>, Option<String>) {
    let filled = |text: Option<&str>| text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let (id, name) = (filled(id), filled(name));
    let name = name.filter(|name| Some(name) != id.as_ref());
    (id, name)
}

/// Returns the beginning of a text on one line, to quote it in a message.
#[must_use]
pub fn excerpt(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let text = lines.join(" ");
    match text.char_indices().nth(MAX_EXCERPT_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
