//! GIFT, Moodle's text format: blocks between blank lines, `::title:: stem { answers }`, `//` comments with `[id:…]` and
//! `[tag:…]`, `$CATEGORY:` lines. <https://docs.moodle.org/en/GIFT_format>

mod answers;
mod blocks;
mod text;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use write::write;

use crate::category;
use crate::draft::DraftAnswer;
use crate::labels::{read_identity, read_tags};
use crate::markup::{self, FormattedText};
use crate::parsed::{ParsedFile, ParsedQuestion};
use answers::Answers;
use blocks::{Block, Blocks};
use text::{declared, find, find_brace, formatted, unescape};

const ESCAPE: &str = "Close answers with }, and escape braces in texts as \\{ and \\}.";

/// Reads a whole text. What is no question is refused by itself.
pub(crate) fn read(text: &str) -> ParsedFile {
    let mut reading = ParsedFile::default();
    let mut topic = None;
    for block in Blocks::new(text) {
        match block {
            Block::Category(path) => topic = category::topic(&path),
            Block::Question(block) => {
                let mut title = None;
                let question = question(&block, &mut title)
                    .map(|found| ParsedQuestion { topic: topic.clone(), ..found });
                reading.add(block.line, block.id.as_deref().or(title.as_deref()), question);
            }
        }
    }
    reading
}

fn question(block: &blocks::QuestionBlock, title: &mut Option<String>) -> Result<ParsedQuestion, String> {
    let mut rest = block.text.trim();
    if let Some(after) = rest.strip_prefix("::") {
        let end = find(after, "::").ok_or("Its title does not end. Close it with ::.")?;
        *title = Some(unescape(after[..end].trim()));
        rest = &after[end + 2..];
    }
    let line = |at: usize| block.line_of(block.text.trim_end().len() - rest.len() + at);
    // As in Moodle, answers end with the first brace.
    let open = find_brace(rest).ok_or(
        "It has no answers in braces, and so is a description. Add { } with the answers, or take it out.",
    )?;
    if rest[open..].starts_with('}') {
        return Err(format!("A }} stands before its answers, in line {}. {ESCAPE}", line(open)));
    }
    let close =
        open + 1 + find_brace(&rest[open + 1..]).ok_or(format!("Its answers do not end. {ESCAPE}"))?;
    if rest[close..].starts_with('{') {
        return Err(format!("Its answers do not end before the next {{, in line {}. {ESCAPE}", line(close)));
    }
    let after = &rest[close + 1..];
    if let Some(brace) = find_brace(after) {
        return Err(format!(
            "After its answers another brace stands in line {}. Put a blank line between questions. {ESCAPE}",
            line(close + 1 + brace)
        ));
    }
    if !after.trim().is_empty() {
        return Err(
            "Text follows its answers: missing-word questions are not kept. Put the answers last.".to_owned()
        );
    }

    let mut losses = Vec::new();
    let (_, of_stem) = declared(&rest[..open], None);
    let inside = &rest[open + 1..close];
    let (inside, explanation) = match find(inside, "####") {
        Some(at) => (&inside[..at], Some(&inside[at + 4..])),
        None => (inside, None),
    };
    let mut pieces = vec![formatted(&rest[..open], None)];
    let explanation = explanation.map(|explanation| formatted(explanation, of_stem));
    let answers = answers::read(inside, of_stem, &mut losses)?;
    let options = match answers {
        Answers::Choice { multiple, options } => {
            let keys: Vec<bool> = options.iter().map(|(_, correct)| *correct).collect();
            pieces.extend(options.into_iter().map(|(piece, _)| piece));
            Some((multiple, keys))
        }
        Answers::Numeric { value, tolerance } => {
            return Ok(finish(block, title, pieces, explanation, losses, |_| DraftAnswer::Numeric {
                value,
                tolerance,
            }));
        }
    };
    Ok(finish(block, title, pieces, explanation, losses, |pieces| {
        let (multiple, keys) = options.unwrap_or_default();
        markup::choice(multiple, pieces, &keys)
    }))
}

fn finish(
    block: &blocks::QuestionBlock,
    title: &Option<String>,
    mut pieces: Vec<FormattedText>,
    explanation: Option<FormattedText>,
    mut losses: Vec<String>,
    answer: impl FnOnce(Vec<FormattedText>) -> DraftAnswer,
) -> ParsedQuestion {
    let has_explanation = explanation.is_some();
    pieces.extend(explanation);
    let text_format = markup::unify(&mut pieces, &mut losses);
    markup::tell_of_files(&pieces, &mut losses);
    let explanation = if has_explanation { pieces.pop().map(|piece| piece.text) } else { None };
    let mut pieces = pieces.into_iter();
    let stem = pieces.next().map(|piece| piece.text).unwrap_or_default();
    let answer = answer(pieces.collect());
    let difficulty = read_tags(block.tags.iter().map(String::as_str), &mut losses);
    let (external_id, name) = read_identity(block.id.as_deref(), title.as_deref());
    ParsedQuestion {
        line: block.line,
        external_id,
        name,
        topic: None,
        difficulty,
        text_format,
        stem,
        answer,
        explanation,
        files: Vec::new(),
        losses,
    }
}
