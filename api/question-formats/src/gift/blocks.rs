//! Splits a file in GIFT into blocks: categories and questions with the comments above them.

use crate::fence;

/// A block of a file: a line with a category, or the lines of a question.
pub(super) enum GiftBlock {
    /// The path of the category, which applies to the questions below it.
    Category(String),
    /// Lines that should be a question.
    Question(QuestionBlock),
}

/// The lines of a question.
pub(super) struct QuestionBlock {
    /// The line of the file on which the block begins, counted from 1.
    pub(super) line: u32,
    /// For each line of `text`, its line number in the file. Comments between the lines are not in `text`.
    lines: Vec<u32>,
    /// The lines of the question, without comments.
    pub(super) text: String,
    /// The last id in `[id:…]` of the comments above or in the question; `None` if they name no id.
    pub(super) id: Option<String>,
    /// The tags in `[tag:…]` of the comments above or in the question.
    pub(super) tags: Vec<String>,
    /// Whether a code fence was left out since the previous question.
    pub(super) had_fence: bool,
}

/// An iterator over the blocks of a file.
pub(super) struct Blocks<'a> {
    lines: Vec<&'a str>,
    /// The index of the next line.
    at: usize,
    /// Whether the next line is inside a code fence around questions.
    is_fenced: bool,
    /// Whether a code fence was left out since the last block with a question.
    had_fence: bool,
}

const CATEGORY: &str = "$CATEGORY:";

impl QuestionBlock {
    /// Returns the line of the file for a position in `text`.
    pub(super) fn line_of(&self, at: usize) -> u32 {
        let above = self.text[..at].matches('\n').count();
        self.lines.get(above).copied().unwrap_or(self.line)
    }
}

impl<'a> Blocks<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { lines: text.lines().collect(), at: 0, is_fenced: false, had_fence: false }
    }

    /// Returns whether the next line is a code fence (```` ``` ````) around questions, as chat programs write it, and
    /// not a fence around code in a question. `text` is the text of the current block so far.
    fn is_outer_fence(&self, text: &str) -> bool {
        let Some(language) = fence::language(self.lines[self.at]) else { return false };
        if self.is_fenced {
            let is_end = text.is_empty() || text.trim_end().ends_with('}');
            return language.is_empty() && is_end;
        }
        let mut below =
            self.lines[self.at + 1..].iter().map(|line| line.trim()).filter(|line| !line.is_empty());
        let begins_question = |line: &str| line.starts_with("::") || line.starts_with(CATEGORY);
        if language.eq_ignore_ascii_case("gift") || below.clone().next().is_some_and(begins_question) {
            return true;
        }
        // A fence around code in a question closes above the answers. So if a brace comes before the next fence, this
        // fence is around questions.
        let next = below.find(|line| line.contains('{') || fence::language(line).is_some());
        text.is_empty() && next.is_some_and(|line| fence::language(line).is_none())
    }
}

impl Iterator for Blocks<'_> {
    type Item = GiftBlock;

    fn next(&mut self) -> Option<GiftBlock> {
        let mut block = QuestionBlock {
            line: 0,
            lines: Vec::new(),
            text: String::new(),
            id: None,
            tags: Vec::new(),
            had_fence: false,
        };
        while let Some(line) = self.lines.get(self.at).copied() {
            let bare = line.trim();
            let is_category = bare.starts_with(CATEGORY);
            let is_fence = self.is_outer_fence(&block.text);
            if (is_category || is_fence) && !block.text.is_empty() {
                break;
            }
            self.at += 1;
            if is_fence {
                self.is_fenced = !self.is_fenced;
                self.had_fence |= self.is_fenced;
            } else if is_category {
                return Some(GiftBlock::Category(bare[CATEGORY.len()..].to_owned()));
            } else if let Some(comment) = bare.strip_prefix("//") {
                let (ids, tags) = marked(comment);
                block.id = ids.into_iter().last().or(block.id);
                block.tags.extend(tags);
            } else if !bare.is_empty() {
                block.lines.push(u32::try_from(self.at).unwrap_or(u32::MAX));
                block.line = block.lines[0];
                block.text.push_str(line);
                block.text.push('\n');
            } else if block.text.is_empty() {
                // A comment above a blank line belongs to no question.
                block.id = None;
                block.tags.clear();
            } else {
                break;
            }
        }
        if block.text.is_empty() {
            return None;
        }
        block.had_fence = std::mem::take(&mut self.had_fence);
        Some(GiftBlock::Question(block))
    }
}

/// Returns the ids and the tags of a comment: the texts in `[id:…]` and `[tag:…]`.
fn marked(comment: &str) -> (Vec<String>, Vec<String>) {
    let (mut ids, mut tags) = (Vec::new(), Vec::new());
    let mut rest = comment;
    while let Some(start) = rest.find('[') {
        rest = &rest[start + 1..];
        let (found, opened) = match (rest.strip_prefix("id:"), rest.strip_prefix("tag:")) {
            (Some(opened), _) => (&mut ids, opened),
            (_, Some(opened)) => (&mut tags, opened),
            _ => continue,
        };
        let Some((value, end)) = bracketed(opened) else { break };
        found.push(value);
        rest = &opened[end..];
    }
    (ids, tags)
}

/// Returns the text before the closing bracket without its escapes, and the position after the bracket. Returns `None`
/// if the bracket does not close.
fn bracketed(text: &str) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            ']' => return Some((value, at + 1)),
            '\\' => value.extend(chars.next().map(|(_, char)| char)),
            char => value.push(char),
        }
    }
    None
}
