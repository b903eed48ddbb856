//! The blocks of a file in GIFT, with the comments before each question.

/// A part of a file.
pub(super) enum GiftBlock {
    /// The path of the category of the questions below it.
    Category(String),
    /// Lines that should be a question.
    Question(QuestionBlock),
}

/// The lines of a question.
pub(super) struct QuestionBlock {
    /// The line of the file on which the block begins, counted from 1.
    pub(super) line: u32,
    /// The line of the file for each line of `text`. Comments can stand between them.
    lines: Vec<u32>,
    /// The lines without comments.
    pub(super) text: String,
    /// The id in `[id:…]` of its comments.
    pub(super) id: Option<String>,
    /// The tags in `[tag:…]` of its comments.
    pub(super) tags: Vec<String>,
}

/// Splits a file into blocks.
pub(super) struct Blocks<'a> {
    lines: std::iter::Peekable<std::iter::Enumerate<std::str::Lines<'a>>>,
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
        Self { lines: text.lines().enumerate().peekable() }
    }
}

impl Iterator for Blocks<'_> {
    type Item = GiftBlock;

    fn next(&mut self) -> Option<GiftBlock> {
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
                return Some(GiftBlock::Category(bare[CATEGORY.len()..].to_owned()));
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
                // A comment above a blank line belongs to no question.
                block.id = None;
                block.tags.clear();
            } else {
                break;
            }
        }
        (!block.text.is_empty()).then_some(GiftBlock::Question(block))
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

/// Returns the text before the closing bracket without its escapes, and the position after the bracket.
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
