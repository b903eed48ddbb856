//! Lines below `ANSWER:`: an explanation, a difficulty, a topic, and lines that a question cannot store.

use jishu_entity::question_version::Difficulty;

use super::super::{difficulty, short};
use super::line;

/// The lines below `ANSWER:`, up to a blank line or the next question, which describe the question above.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) explanation: Option<String>,
    pub(super) topic: Option<String>,
    pub(super) difficulty: Option<Difficulty>,
    /// Sentences that say which lines are left out.
    pub(super) losses: Vec<String>,
    /// The index of the line with a second `ANSWER:`.
    pub(super) second_key: Option<usize>,
    /// The index of the first line that does not belong to the question.
    pub(super) end: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Explanation,
    Topic,
    Difficulty,
    Other,
}

/// Words that may precede a colon below `ANSWER:`.
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

/// Reads the kind and the text of a labelled line, such as `Explanation: so it is`.
fn labelled(line: &str) -> Option<(Kind, &str)> {
    let (word, text) = line.split_once([':', '：'])?;
    let word = word.trim().to_ascii_lowercase();
    LABELS.iter().find(|(label, _)| *label == word).map(|(_, kind)| (*kind, text.trim()))
}

/// Whether this line describes a question and is not part of one.
pub(super) fn is_note(line: &str) -> bool {
    labelled(line).is_some()
}

impl Notes {
    /// Reads the lines from this one on, which is the line below `ANSWER:`.
    pub(super) fn read(lines: &[&str], start: usize) -> Self {
        let (end, has_question) = extent(lines, start);
        let mut notes = Self::default();
        let mut texts: Vec<(Option<Kind>, Vec<&str>)> = Vec::new();
        let mut at = start;
        while at < end {
            match (labelled(lines[at]), texts.last_mut()) {
                (Some((kind, text)), _) => texts.push((Some(kind), vec![text])),
                // If another question follows, a note is one line, or one line below its label.
                (None, Some((Some(_), text))) if has_question && text == &[""] => text.push(lines[at]),
                (None, _) if has_question => break,
                (None, Some((_, text))) => text.push(lines[at]),
                (None, None) => texts.push((None, vec![lines[at]])),
            }
            at += 1;
        }
        notes.end = at;
        if at < end && line::key(lines[at], false).is_some() {
            notes.second_key = Some(at);
            notes.end = end;
        }
        for (kind, text) in texts {
            notes.take(kind, text.join("\n").trim());
        }
        notes
    }

    fn take(&mut self, kind: Option<Kind>, text: &str) {
        match kind {
            _ if text.is_empty() => {}
            Some(Kind::Explanation) => match &mut self.explanation {
                Some(explanation) => {
                    explanation.push('\n');
                    explanation.push_str(text);
                }
                None => self.explanation = Some(text.to_owned()),
            },
            Some(Kind::Topic) if self.topic.is_none() && !text.contains('\n') => {
                self.topic = Some(text.to_owned());
            }
            Some(Kind::Difficulty) if difficulty(text).is_some() => self.difficulty = difficulty(text),
            None => self.losses.push(format!(
                "\"{}\" below ANSWER: is left out. If it explains the key, write Explanation: before it.",
                short(text)
            )),
            Some(_) => self
                .losses
                .push(format!("\"{}\" below ANSWER: is left out: a question cannot store it.", short(text))),
        }
    }
}

/// Finds the end of the lines from here on, which is a blank line or the key of another question. Also returns
/// whether another question begins in them.
fn extent(lines: &[&str], start: usize) -> (usize, bool) {
    let is_option = |at: usize| at > start && line::option(lines[at]).is_some();
    for at in start..lines.len() {
        if lines[at].is_empty() {
            return (at, begins_question(lines, start, at));
        }
        if line::key(lines[at], at > start && is_option(at - 1)).is_some() {
            return (at + 1, true);
        }
    }
    (lines.len(), false)
}

/// Whether a question begins in lines that end at a blank one, and continues below it.
fn begins_question(lines: &[&str], start: usize, end: usize) -> bool {
    if end == start {
        return false;
    }
    let Some(next) = (end..lines.len()).find(|at| !lines[*at].is_empty()) else { return false };
    if end - 1 > start && line::option(lines[end - 1]).is_some() {
        return line::key(lines[next], true).is_some();
    }
    // The text of a question is in one line, and its options are below a blank line.
    let letters = [next, next + 1].map(|at| lines.get(at).and_then(|text| line::letter(text)));
    end == start + 1 && !is_note(lines[start]) && letters == [Some('A'), Some('B')]
}
