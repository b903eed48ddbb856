//! GIFT, the text format of Moodle. <https://docs.moodle.org/en/GIFT_format>
//!
//! Blank lines separate questions of the form `::title:: stem { answers }`. Comments after `//` can have an id and tags,
//! `[id:…]` and `[tag:…]`. A line with `$CATEGORY:` gives the topic of the questions below it.

mod answers;
mod blocks;
mod text;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use write::write;

use crate::category;
use crate::labels::{read_identity, read_tags};
use crate::markup::{self, QuestionTexts};
use crate::parsed::{ParsedFile, ParsedQuestion};
use answers::Answers;
use blocks::{Blocks, GiftBlock};
use text::{declared, find, find_brace, formatted, unescape};

const HOW_TO_ESCAPE: &str = "End the answers with }, and write braces in texts as \\{ and \\}.";

/// Reads a whole file. Blocks that are not questions are refused one by one.
pub(crate) fn read(text: &str) -> ParsedFile {
    let mut parsed = ParsedFile::default();
    let mut topic = None;
    for block in Blocks::new(text) {
        match block {
            GiftBlock::Category(path) => topic = category::topic(&path),
            GiftBlock::Question(block) => {
                let mut title = None;
                let question = question(&block, &mut title)
                    .map(|found| ParsedQuestion { topic: topic.clone(), ..found });
                parsed.add(block.line, block.id.as_deref().or(title.as_deref()), question);
            }
        }
    }
    parsed
}

/// Reads a question. Sets the title as soon as it is read, so that a refusal can name the question.
fn question(block: &blocks::QuestionBlock, title: &mut Option<String>) -> Result<ParsedQuestion, String> {
    let mut rest = block.text.trim();
    if let Some(after) = rest.strip_prefix("::") {
        let end = find(after, "::").ok_or("Its title does not end. End it with ::.")?;
        *title = Some(unescape(after[..end].trim()));
        rest = &after[end + 2..];
    }
    let line = |at: usize| block.line_of(block.text.trim_end().len() - rest.len() + at);
    // Moodle ends the answers at the first brace, too.
    let open = find_brace(rest).ok_or(
        "It has no answers in braces, so it is a description. Add the answers in { }, or remove it.",
    )?;
    if rest[open..].starts_with('}') {
        return Err(format!("Line {} has a }} before the answers. {HOW_TO_ESCAPE}", line(open)));
    }
    let close =
        open + 1 + find_brace(&rest[open + 1..]).ok_or(format!("Its answers do not end. {HOW_TO_ESCAPE}"))?;
    if rest[close..].starts_with('{') {
        return Err(format!("Line {} has another {{ before the answers end. {HOW_TO_ESCAPE}", line(close)));
    }
    let after = &rest[close + 1..];
    if let Some(brace) = find_brace(after) {
        return Err(format!(
            "Line {} has another brace after the answers. Put a blank line between questions. {HOW_TO_ESCAPE}",
            line(close + 1 + brace)
        ));
    }
    if !after.trim().is_empty() {
        return Err(
            "Text follows its answers, but missing-word questions cannot be stored. Move the answers to the end.".to_owned()
        );
    }

    let mut losses = Vec::new();
    let (_, stem_format) = declared(&rest[..open], None);
    let inside = &rest[open + 1..close];
    let (inside, explanation) = match find(inside, "####") {
        Some(at) => (&inside[..at], Some(&inside[at + 4..])),
        None => (inside, None),
    };
    let Answers { key, options } = answers::read(inside, stem_format, &mut losses)?;
    let texts = QuestionTexts {
        stem: formatted(&rest[..open], None),
        options,
        explanation: explanation.map(|explanation| formatted(explanation, stem_format)),
    };
    let texts = texts.unify(&mut losses);
    let all = [&texts.stem].into_iter().chain(&texts.options).chain(&texts.explanation);
    if all.into_iter().any(|text| markup::refers_to_file(text)) {
        losses.push(markup::FILES_LOSS.to_owned());
    }
    let difficulty = read_tags(block.tags.iter().map(String::as_str), &mut losses);
    let (external_id, name) = read_identity(block.id.as_deref(), title.as_deref());
    Ok(ParsedQuestion {
        line: block.line,
        external_id,
        name,
        topic: None,
        difficulty,
        text_format: texts.format,
        stem: texts.stem,
        answer: key.with_options(texts.options),
        explanation: texts.explanation,
        files: Vec::new(),
        losses,
    })
}
