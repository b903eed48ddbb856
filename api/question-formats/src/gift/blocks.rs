//! The blocks of a GIFT file, and what the comments before a question say of it.

/// A part of a file.
pub(super) enum Block {
    /// What the questions below it are about.
    Category(String),
    /// What should be a question.
    Question(QuestionBlock),
}

pub(super) struct QuestionBlock {
    /// Where it begins, from 1.
    pub(super) line: u32,
    /// Where each line of its text is in the file: comments can stand between.
    lines: Vec<u32>,
    /// Without its comments.
    pub(super) text: String,
    /// Of `[id:…]` in its comments.
    pub(super) id: Option<String>,
    /// Of `[tag:…]` in its comments.
    pub(super) tags: Vec<String>,
}

pub(super) struct Blocks<'a> {
    lines: std::iter::Peekable<std::iter::Enumerate<std::str::Lines<'a>>>,
}

const CATEGORY: &str = "$CATEGORY:";

impl QuestionBlock {
    /// The line of the file that a place in its text is in.
    pub(super) fn line_of(&self, at: usize) -> u32 {
        let above = self.text[..at].matches('\n').count();
        self.lines.get(above).copied().unwrap_or(self.line)
    }
}

impl<'a> Blocks<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { lines: text.lines().enumerate().peekable() }
    }
}

impl Iterator for Blocks<'_> {
    type Item = Block;

    fn next(&mut self) -> Option<Block> {
        let mut block =
            QuestionBlock { line: 0, lines: Vec::new(), text: String::new(), id: None, tags: Vec::new() };
        while let Some((number, line)) = self.lines.peek().copied() {
            let bare = line.trim();
            let is_category = bare.starts_with(CATEGORY);
            if is_category && !block.text.is_empty() {
                break;
            }
            self.lines.next();
            if is_category {
                return Some(Block::Category(bare[CATEGORY.len()..].to_owned()));
            } else if let Some(comment) = bare.strip_prefix("//") {
                let (ids, tags) = marked(comment);
                block.id = ids.into_iter().last().or(block.id);
                block.tags.extend(tags);
            } else if !bare.is_empty() {
                block.lines.push(u32::try_from(number + 1).unwrap_or(u32::MAX));
                block.line = block.lines[0];
                block.text.push_str(line);
                block.text.push('\n');
            } else if block.text.is_empty() {
                // A comment by itself is of no question.
                block.id = None;
                block.tags.clear();
            } else {
                break;
            }
        }
        (!block.text.is_empty()).then_some(Block::Question(block))
    }
}

/// The ids and the tags of a comment: what stands between `[id:` or `[tag:` and the next bracket that is not escaped.
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

/// What stands before the bracket that closes, and where that ends.
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
