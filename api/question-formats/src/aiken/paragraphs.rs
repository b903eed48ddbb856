//! Finds out whether the text of a question continues below a blank line.

use super::labels;
use super::line::{self, Label};

/// The words that begin a part of a question: `Statement I: …`, `List-II:`, `S1: …`.
const PARTS: [&str; 24] = [
    "statement",
    "statements",
    "assertion",
    "reason",
    "list",
    "column",
    "given",
    "passage",
    "paragraph",
    "conclusion",
    "conclusions",
    "premise",
    "premises",
    "argument",
    "case",
    "data",
    "code",
    "situation",
    "s",
    "कथन",
    "अभिकथन",
    "कारण",
    "सूची",
    "गद्यांश",
];

/// The words at the beginning of headings.
const HEADINGS: [&str; 12] = [
    "section", "chapter", "part", "unit", "topic", "exercise", "set", "paper", "module", "lesson", "test",
    "level",
];

/// Phrases that refer to a text above the question.
const BACKWARD: [&str; 17] = [
    "the above",
    "given above",
    "mentioned above",
    "stated above",
    "shown above",
    "above statement",
    "statements above",
    "of above",
    "these statements",
    "the statements",
    "both statements",
    "two statements",
    "the given statements",
    "correct option",
    "correct code",
    "correct match",
    "correct combination",
];

/// Returns whether a text has a question mark.
pub(super) fn has_question_mark(text: &str) -> bool {
    text.contains(['?', '？', '؟'])
}

/// Returns whether a line begins a part of a question, such as `Statement I:`, `Assertion (A):`, `List-I:` or `- a
/// bullet`.
pub(super) fn begins_part(line: &str) -> bool {
    let is_bullet = line.strip_prefix(['-', '–', '—', '*', '•', '●', '▪', '◦', '‣', '➢', '→']);
    if is_bullet.is_some_and(|text| text.starts_with(char::is_whitespace))
        || line.starts_with(['•', '●', '▪'])
    {
        return true;
    }
    let line = line.trim_start_matches(['*', '_', '#', '(', '[']);
    let is_letter = |char: char| char.is_alphabetic() || ('\u{900}'..='\u{963}').contains(&char);
    let (word, rest) = line.split_at(line.find(|char| !is_letter(char)).unwrap_or(line.len()));
    let word = word.to_lowercase();
    if !PARTS.contains(&word.as_str()) {
        return false;
    }
    let rest = rest.trim_start_matches([' ', '-', '–', '(', '[', '.', '\u{a0}']);
    let label = rest.split(|char: char| !char.is_alphanumeric()).next().unwrap_or_default();
    let is_label = !label.is_empty()
        && (label.len() == 1 || label.chars().all(|char| char.is_ascii_digit() || "IVXivx".contains(char)));
    let after = if is_label { &rest[label.len()..] } else { rest };
    let after = after.trim_start_matches([')', ']', ' ', '*', '_']);
    let is_marked = after.starts_with([':', '：']) || (is_label && after.starts_with(['.', '-', '–', '—']));
    let is_header = is_label && after.is_empty();
    (is_marked || is_header) && (word != "s" || label.starts_with(|char: char| char.is_ascii_digit()))
}

/// Returns whether a line names a list, such as `List II` or `Column B (Unit)`.
pub(super) fn is_list_header(line: &str) -> bool {
    const LISTS: [&str; 6] = ["list", "column", "set", "group", "table", "सूची"];
    let word = line.split([' ', '-', '–', ':', '(']).next().unwrap_or_default().to_lowercase();
    LISTS.contains(&word.as_str()) && !has_question_mark(line)
}

/// Returns whether a line is a heading. A heading has at most four words, no question mark and no blank to fill, and
/// does not end like a sentence. A line without a letter or digit, such as a line of dashes, is also a heading.
pub(super) fn is_heading(line: &str) -> bool {
    let is_short = line.split_whitespace().count() <= 4;
    if !line.contains('_') && !line.contains(char::is_alphanumeric) {
        return true;
    }
    let is_blank_to_fill = line.contains("__") || line.contains("..") || line.contains('…');
    is_short
        && !has_question_mark(line)
        && !is_blank_to_fill
        && !line.ends_with(['.', ':', '：', '।', '。', '_', '=', '-', '–'])
}

/// Returns whether a line is a heading that begins with a word for headings, such as `Section B`.
fn is_named_heading(line: &str) -> bool {
    let word = line.split(|char: char| !char.is_alphanumeric()).next().unwrap_or_default().to_lowercase();
    is_heading(line.trim_end_matches([':', '.'])) && HEADINGS.contains(&word.as_str())
}

/// Returns whether a text refers to a text above it: it has a phrase such as "the above", and no list of its own.
fn points_back(text: &[&str]) -> bool {
    let has_list = text.iter().any(|line| Label::of(line).is_some() || begins_part(line));
    !has_list
        && text.iter().any(|line| {
            let line = line.to_lowercase();
            BACKWARD.iter().any(|phrase| line.contains(phrase))
        })
}

/// Returns the lines of a paragraph before its options.
fn stem<'t>(lines: &[&'t str]) -> Vec<&'t str> {
    let begins = |at: usize| {
        let letters = [at, at + 1].map(|at| lines.get(at).and_then(|text| line::letter(text)));
        letters == [Some('A'), Some('B')]
    };
    let end = (0..lines.len()).rfind(|at| begins(*at)).unwrap_or(lines.len());
    lines[..end].to_vec()
}

/// Returns whether the text above a blank line continues below it.
///
/// Headings and explanations do not continue. Unfinished sentences, lists and parts of questions continue, and so does
/// a text to which the text below the blank line refers. `run` is the number of options at the end of `above`.
pub(super) fn continues_below(above: &[&str], run: usize, below: &[&str]) -> bool {
    let [first, ..] = above else { return false };
    let text = &above[..above.len() - run];
    let below_text = stem(below);
    if labels::is_note(first) {
        return false;
    }
    if text.len() == 1 && is_named_heading(first) && run == 0 {
        return false;
    }
    if run > 1 {
        // `above` is either a question without its key, or a list to which the question below refers.
        let is_list = begins_list(below) || text.iter().any(|line| begins_part(line) || announces_list(line));
        let has_key = below.iter().any(|line| line::key(line, true).is_some());
        return points_back(&below_text)
            || (!text.iter().any(|line| has_question_mark(line)) && (is_list || !has_key));
    }
    is_unfinished(text, below)
        || first_label_is_of_list(first)
        || above.last().is_some_and(|last| line_continues_below(last, below))
}

/// Returns whether a line announces a list.
fn announces_list(line: &str) -> bool {
    let words = line.to_lowercase();
    line.ends_with([':', '：']) || words.contains("statements") || words.contains("match ")
}

/// Returns whether a text continues below a blank line. Checks only for signs that explanations and headings never
/// have.
pub(super) fn is_unfinished(text: &[&str], below: &[&str]) -> bool {
    let [first, others @ ..] = text else { return false };
    let below = stem(below);
    let is_numbered = Label::of(first).is_some_and(Label::is_number);
    points_back(&below)
        || text.iter().any(|line| begins_part(line))
        || (is_numbered && first.ends_with(['.', ',', ';', ':', '：', '।', '。']))
        || (text.iter().any(|line| has_question_mark(line))
            && !below.iter().any(|line| has_question_mark(line)))
        || others.iter().any(|line| Label::of(line).is_some())
        || text.last().is_some_and(|last| {
            last.ends_with([',', ';']) || (begins_list(&below) && !last.ends_with(['.', '।', '。', '!']))
        })
}

/// Returns whether the first two lines have the first two labels of a list inside a question, such as `I.` and `II.`,
/// or `P.` and `Q.`. The labels of options, `A.` and `B.`, do not count.
fn begins_list(lines: &[&str]) -> bool {
    let labels = [0, 1].map(|at| lines.get(at).and_then(|line| Label::of(line)));
    matches!(labels, [Some(one), Some(two)] if one.begins() && one.goes_on_with(two))
}

fn first_label_is_of_list(line: &str) -> bool {
    let is_heading = !line.ends_with(['.', ';', ',', ':']);
    Label::of(line).is_some_and(|label| !label.is_number()) && !is_heading
}

fn line_continues_below(last: &str, below: &[&str]) -> bool {
    if labels::is_note(last) {
        return false;
    }
    let is_heading = last.split_whitespace().count() <= 2;
    if last.ends_with([',', ';'])
        || (last.ends_with([':', '：']) && !is_heading)
        || first_label_is_of_list(last)
    {
        return true;
    }
    let Some(first) = below.first() else { return false };
    let labels: Vec<Label> = below.iter().map_while(|text| Label::of(text)).collect();
    let is_list = match labels.as_slice() {
        [one, two, ..] if one.goes_on_with(*two) => true,
        [one, ..] => !one.is_number(),
        [] => begins_part(first),
    };
    is_list || first.starts_with(char::is_lowercase)
}
