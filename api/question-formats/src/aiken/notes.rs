//! Reads notes, which are the lines below `ANSWER:`: an explanation, a difficulty, a topic, and lines that a draft
//! cannot hold.

use crate::draft::DraftDifficulty;
use crate::labels::{difficulty, excerpt};

use super::labels::{Kind, labelled};
use super::line::{self, Label};
use super::paragraphs::{begins_part, is_unfinished};

/// The lines below `ANSWER:`, up to a blank line or the next question, which describe the question above.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) explanation: Option<String>,
    pub(super) topic: Option<String>,
    pub(super) difficulty: Option<DraftDifficulty>,
    /// Sentences that say which lines are left out.
    pub(super) losses: Vec<String>,
    /// The index of the line with a second `ANSWER:` for the same question; `None` if the question has only one key.
    pub(super) second_key: Option<usize>,
    /// The index of the first line that does not belong to the question.
    pub(super) end: usize,
}

impl Notes {
    /// Reads the notes from the line `start`, which is the line below `ANSWER:`. If the file is glued (see
    /// [`is_glued`]), a line without a label may begin another question.
    pub(super) fn read(lines: &[&str], start: usize, is_glued: bool) -> Self {
        let (end, has_question) = extent(lines, start, is_glued);
        let mut notes = Self::default();
        let mut texts: Vec<(Option<Kind>, Vec<&str>)> = Vec::new();
        let mut at = start;
        let text_start = end - unlabelled(&lines[start..end]).len();
        while at < end {
            match (labelled(lines[at]), texts.last_mut()) {
                (Some((kind, text)), _) => texts.push((Some(kind), vec![text])),
                // If another question follows without a blank line, a note ends before the text of that question.
                (None, Some((Some(_), text))) if has_question && at < text_start => text.push(lines[at]),
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
                excerpt(text)
            )),
            Some(_) => self.losses.push(format!(
                "\"{}\" below ANSWER: is left out. A question can store an explanation, one topic in one line, and \
                 the difficulty easy, medium or hard.",
                excerpt(text)
            )),
        }
    }
}

/// Returns the index of the blank line below the notes, or of the line after the key of another question, whichever
/// comes first. Also returns whether another question begins before this end.
fn extent(lines: &[&str], start: usize, is_glued: bool) -> (usize, bool) {
    let mut run = 0;
    for at in start..lines.len() {
        if lines[at].is_empty() {
            return (at, begins_question(lines, start, at, is_glued));
        }
        let is_next = at > start && line::letter(lines[at]) == ('A'..='Z').nth(run);
        let is_first = at > start && line::letter(lines[at]) == Some('A');
        if line::key(lines[at], run > 0).is_some() {
            return (at + 1, true);
        }
        run = if is_next { run + 1 } else { usize::from(is_first) };
    }
    (lines.len(), begins_question(lines, start, lines.len(), is_glued))
}

/// Returns whether a question begins in the lines from `start` to the blank line `end`. The question has options in
/// these lines, or it continues below the blank line, or the file is glued.
fn begins_question(lines: &[&str], start: usize, end: usize, is_glued: bool) -> bool {
    let text = unlabelled(&lines[start..end]);
    if text.is_empty() {
        return false;
    }
    let letters = |at: usize| [at, at + 1].map(|at| text.get(at).and_then(|text| line::letter(text)));
    if (1..text.len()).any(|at| letters(at) == [Some('A'), Some('B')]) {
        return true;
    }
    let Some(next) = (end..lines.len()).find(|at| !lines[*at].is_empty()) else { return false };
    if text.len() > 1 && line::option(lines[end - 1]).is_some() && line::key(lines[next], true).is_some() {
        return true;
    }
    let below: Vec<&str> = lines[next..].iter().copied().take_while(|line| !line.is_empty()).collect();
    // A question can have its text in one line and its options below a blank line.
    let letters = [next, next + 1].map(|at| lines.get(at).and_then(|text| line::letter(text)));
    is_glued || (text.len() == 1 && letters == [Some('A'), Some('B')]) || is_unfinished(text, &below)
}

/// Returns whether a file is glued: it has two keys in one paragraph, so its questions have no blank lines between
/// them.
pub(super) fn is_glued(lines: &[&str]) -> bool {
    let mut paragraphs = lines.split(|line| line.is_empty());
    paragraphs.any(|lines| {
        let keys = lines
            .windows(2)
            .filter(|pair| line::option(pair[0]).is_some() && line::key(pair[1], true).is_some());
        keys.count() > 1
    })
}

/// Returns the lines from the first line that belongs to no label. A list directly below a label belongs to this label.
fn unlabelled<'a, 't>(lines: &'a [&'t str]) -> &'a [&'t str] {
    let mut at = 0;
    while at < lines.len() {
        let Some((_, text)) = labelled(lines[at]) else { return &lines[at..] };
        at += 1;
        let announces = text.is_empty() || text.ends_with([':', '：']);
        let is_sentence = text.ends_with(['.', '।', '。']);
        let belongs_to_label =
            |line: &&&str| (Label::of(line).is_some() && !is_sentence) || (begins_part(line) && announces);
        if text.is_empty() && at < lines.len() && labelled(lines[at]).is_none() {
            at += 1;
        }
        at += lines[at..].iter().take_while(belongs_to_label).count();
    }
    &[]
}
