//! GIFT, the text format of Moodle. <https://docs.moodle.org/en/GIFT_format>
//!
//! Blank lines separate questions of the form `::title:: stem { answers }`. Comments after `//` can have an id in
//! `[id:…]` and tags in `[tag:…]`. If the answers are in the middle of a sentence, the stem has a blank in their place.
//! A line with `$CATEGORY:` gives the topic of the questions below it.

mod answers;
mod blocks;
mod text;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use write::write;

use crate::assemble::assemble;
use crate::category::Category;
use crate::draft::DraftTextFormat;
use crate::fence::FENCE_LOSS;
use crate::labels::{excerpt, read_identity, read_tags};
use crate::markup::{BLANK, COMMENTS_LOSS, QuestionTexts};
use crate::parsed::{ParsedFile, ParsedQuestion};
use crate::visible::visible_text;
use answers::{Answers, Surroundings};
use blocks::{Blocks, GiftBlock};
use text::{declared, find, find_brace, formatted, unescape};

const HOW_TO_ESCAPE: &str = "End the answers with }, and write braces in texts as \\{ and \\}.";

/// Returns whether a text looks like GIFT: it has a title, a category, or braces with the signs of answers. Other
/// braces do not count, because files in other formats also have braces.
pub(crate) fn looks_like(text: &str) -> bool {
    let is_marked = |line: &str| {
        let line = line.trim_start();
        line.starts_with("$CATEGORY:") || line.strip_prefix("::").is_some_and(|title| title.contains("::"))
    };
    if text.lines().any(is_marked) {
        return true;
    }
    let mut rest = text;
    while let Some(open) = find(rest, "{") {
        rest = &rest[open + 1..];
        // Take the text up to the next brace. If it has no sign of an answer, continue after this text.
        let inside = find_brace(rest).map_or(rest, |end| &rest[..end]);
        let word = inside.split('#').next().unwrap_or_default().trim().to_ascii_uppercase();
        let has_sign = inside.trim_start().starts_with(['=', '~', '#']) || find(inside, "~").is_some();
        if has_sign || matches!(word.as_str(), "" | "T" | "TRUE" | "F" | "FALSE") {
            return true;
        }
        rest = &rest[inside.len()..];
    }
    false
}

/// Reads the questions and the categories of a file. Refuses each block that can be read as neither, and still reads
/// the other blocks.
pub(crate) fn read(text: &str) -> ParsedFile {
    let mut parsed = ParsedFile::default();
    let mut category = Category::default();
    let mut had_fence = false;
    for block in Blocks::new(text) {
        match block {
            GiftBlock::Category(path) => category = Category::new(&path),
            GiftBlock::Question(block) => {
                let mut title = None;
                had_fence |= block.had_fence;
                let mut question = question(&block, &mut title);
                if let Ok(found) = &mut question {
                    category.apply(found);
                    found.losses.extend(std::mem::take(&mut had_fence).then(|| FENCE_LOSS.to_owned()));
                }
                parsed.add(block.line, block.id.as_deref().or(title.as_deref()), question);
            }
        }
    }
    parsed
}

/// Reads a question, or returns the reason why it is refused. Sets `title` before it reads the stem and the answers, so
/// that a refusal can name the question.
fn question(block: &blocks::QuestionBlock, title: &mut Option<String>) -> Result<ParsedQuestion, String> {
    let mut rest = block.text.trim();
    if let Some(after) = rest.strip_prefix("::") {
        let end = find(after, "::").ok_or("Its title does not end. End it with ::.")?;
        *title = Some(unescape(after[..end].trim()));
        rest = &after[end + 2..];
    }
    let line = |at: usize| block.line_of(block.text.trim_end().len() - rest.len() + at);
    // Take the first brace that is not escaped, "{" or "}". As in Moodle, the answers begin at the first "{". A "}"
    // before the answers is refused.
    let open = find_brace(rest).ok_or(
        "It has no answers in braces, so it is a description. Add the answers in { }, or remove it.",
    )?;
    if rest[open..].starts_with('}') {
        return Err(format!("Line {} has a }} before the answers. {HOW_TO_ESCAPE}", line(open)));
    }
    if rest[open + 1..].get(..5).is_some_and(|mark| mark.eq_ignore_ascii_case("mlang")) {
        return Err(format!(
            "Line {} has a mark of several languages ({{mlang}}), and its braces begin no answers. Keep one language, or \
             write braces in texts as \\{{ and \\}}.",
            line(open)
        ));
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
    check_titles(&rest[..open], line(0))?;
    check_below(&rest[..open], after)?;
    let mut losses = Vec::new();
    // In GIFT, a comment has a line of its own, but some authors also write a comment behind the answers.
    let is_comment = after.trim_start_matches([' ', '\t']).starts_with("//");
    let (comment, after) =
        if is_comment { after.split_once('\n').unwrap_or((after, "")) } else { ("", after) };
    losses.extend((!comment.is_empty()).then(|| COMMENTS_LOSS.to_owned()));
    let (before, stem_format) = declared(&rest[..open], None);
    // In Markdown, the blank `_____` at the start of a line could be a horizontal rule, so escape it.
    let is_at_start = before.is_empty() || rest[..open].ends_with('\n');
    let escape = if is_at_start && stem_format == Some(DraftTextFormat::Markdown) { "\\" } else { "" };
    let stem = match after.trim().is_empty() {
        true => rest[..open].to_owned(),
        false => [&rest[..open], escape, BLANK, after].concat(),
    };
    let inside = &rest[open + 1..close];
    let (inside, explanation) = match find(inside, "####") {
        Some(at) => (&inside[..at], Some(&inside[at + 4..])),
        None => (inside, None),
    };
    let mut tag_losses = Vec::new();
    let tags = read_tags(block.tags.iter().map(String::as_str), &mut tag_losses);
    let surroundings = Surroundings {
        stem_format,
        stands_apart: rest[..open].is_empty() || rest[..open].ends_with(char::is_whitespace),
        is_case_sensitive: tags.is_case_sensitive,
    };
    let Answers { key, options } = answers::read(inside, &surroundings, &mut losses)?;
    let texts = QuestionTexts {
        stem: formatted(&stem, None),
        options,
        explanation: explanation.map(|explanation| formatted(explanation, stem_format)),
    };
    let texts = texts.unify(&mut losses);
    losses.append(&mut tag_losses);
    let whole = assemble(key, texts, tags.order, &mut Vec::new(), &mut losses);
    let (external_id, name) = read_identity(block.id.as_deref(), title.as_deref());
    Ok(ParsedQuestion {
        line: block.line,
        external_id,
        derived_id: String::new(),
        earlier_derived_id: None,
        name,
        topic: None,
        difficulty: tags.difficulty,
        text_format: whole.text_format,
        stem: whole.stem,
        answer: whole.answer,
        option_order: whole.option_order,
        explanation: whole.explanation,
        pictures: Vec::new(),
        files: Vec::new(),
        losses,
    })
}

/// Refuses a stem in which a title is in a line below other text. Most likely, the text above the title does not belong
/// to the question. `line` is the line of the file in which the stem begins.
fn check_titles(stem: &str, line: u32) -> Result<(), String> {
    let is_title =
        |text: &str| text.trim_start().strip_prefix("::").is_some_and(|rest| find(rest, "::").is_some());
    let found = stem.trim_start().lines().skip(1).find(|text| is_title(text));
    found.map_or(Ok(()), |title| {
        Err(format!(
            "A title stands in its text, which begins in line {line}: \"{}\". Put a blank line above the title, or \
             remove the text above it.",
            excerpt(title)
        ))
    })
}

/// Refuses text in a line below the answers, unless it continues the sentence with the answers. Also refuses feedback
/// behind the closing brace.
fn check_below(stem: &str, after: &str) -> Result<(), String> {
    if after.trim_start().starts_with('#') {
        return Err(
            "Feedback stands behind its answers. Move it into the braces, after the answers.".to_owned()
        );
    }
    let text = visible_text(after, DraftTextFormat::Html);
    let is_below = after.trim_start_matches([' ', '\t']).starts_with('\n');
    let is_short = !text.chars().any(char::is_alphanumeric);
    let stem = visible_text(stem, DraftTextFormat::Html);
    let is_whole = stem.trim_end().ends_with(['.', '?', '!', ':', '।', '。', '？', '！', '：']);
    if is_below && is_whole && !is_short {
        return Err(format!(
            "Text stands in the line below its answers: \"{}\". Put a blank line above it, or move it above the \
             answers.",
            excerpt(&text)
        ));
    }
    Ok(())
}
