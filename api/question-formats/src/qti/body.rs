//! The texts of an item.

use crate::draft::DraftTextFormat;
use crate::labels::excerpt;
use roxmltree::Node;

use super::content::{Content, elements, shown, text};
use super::processing;
use crate::markup::{self, FormattedText};
use crate::xml::{child, children};

/// Elements that learners see without any text.
const SHOWN: [&str; 10] =
    ["img", "math", "svg", "object", "audio", "video", "iframe", "embed", "canvas", "picture"];
/// Where in a text its answer belongs.
const BLANK: &str = "_____";

/// What an item says.
pub(super) struct Body {
    pub(super) stem: String,
    pub(super) options: Vec<String>,
    pub(super) explanation: Option<String>,
    pub(super) text_format: DraftTextFormat,
    pub(super) marks: Marks,
}

/// What our own items say of themselves in `data-` attributes.
#[derive(Default)]
pub(super) struct Marks {
    pub(super) external_id: Option<String>,
    pub(super) topic: Option<String>,
    pub(super) difficulty: Option<String>,
}

pub(super) fn read(
    item: Node<'_, '_>,
    body: Node<'_, '_>,
    interaction: Node<'_, '_>,
    source: &str,
    losses: &mut Vec<String>,
) -> Result<Body, String> {
    let marked = children(body, "div").find(|div| div.attribute("data-text-format").is_some());
    let declared = marked.and_then(|div| div.attribute("data-text-format"));
    let mut content = Content::new(source);
    content.check_interaction(interaction);
    let around = content.around(body, interaction);
    let stem = match marked {
        Some(div) => {
            check_beside(body, div, interaction)?;
            piece(div, &mut content, declared)
        }
        None => stem(body, interaction, &around, &mut content),
    };
    let attribute = |name| marked.and_then(|div| div.attribute(name)).map(str::to_owned);
    let marks = Marks {
        external_id: attribute("data-external-id"),
        topic: attribute("data-topic"),
        difficulty: attribute("data-difficulty"),
    };
    let mut pieces = vec![stem];
    for choice in children(interaction, "qti-simple-choice") {
        pieces.push(piece(choice, &mut content, declared));
    }
    let mut feedback = children(item, "qti-modal-feedback");
    let explanation = match (feedback.next(), feedback.next()) {
        (Some(only), None) => {
            if !processing::is_for_all(item, only) {
                losses.push("That its feedback is for some answers only is left out: as its explanation it is for all.".to_owned());
            }
            Some(piece(child(only, "qti-content-body").unwrap_or(only), &mut content, declared))
        }
        (Some(_), Some(_)) => {
            losses.push(
                "Its feedback is left out: it depends on the answer, and an explanation does not.".to_owned(),
            );
            None
        }
        _ => None,
    };
    if let Some(unknown) = content.unknown {
        return Err(format!("It has {}, which is not understood. Take it out.", excerpt(&unknown)));
    }
    losses.extend(content.losses.into_iter().map(str::to_owned));
    let has_explanation = explanation.is_some();
    pieces.extend(explanation);
    // What is declared has one format already.
    let text_format = markup::unify(&mut pieces, losses);
    let explanation = if has_explanation { pieces.pop().map(|piece| piece.text) } else { None };
    let mut pieces = pieces.into_iter().map(|piece| piece.text);
    Ok(Body {
        stem: pieces.next().unwrap_or_default(),
        options: pieces.collect(),
        explanation,
        text_format,
        marks,
    })
}

/// Refuses what else an item says whose text is declared to stand in one place.
fn check_beside(body: Node<'_, '_>, div: Node<'_, '_>, interaction: Node<'_, '_>) -> Result<(), String> {
    let is_in = |node: &Node<'_, '_>, other: Node<'_, '_>| {
        other.range().start <= node.range().start && node.range().start < other.range().end
    };
    let mut beside = shown(body).filter(|node| !is_in(node, div) && !is_in(node, interaction));
    if beside.any(says_something) || child(interaction, "qti-prompt").is_some() {
        return Err("It says more than what stands in its data-text-format. Put that there, too.".to_owned());
    }
    Ok(())
}

/// Whether learners see a node without what is in it.
fn says_something(node: Node<'_, '_>) -> bool {
    if node.is_text() {
        return !is_blank(node);
    }
    let name = node.tag_name().name();
    // Elements with a hyphen are anybody's own.
    let is_own = name.contains('-') && !name.starts_with("qti-");
    is_own || SHOWN.contains(&name)
}

fn is_blank(node: Node<'_, '_>) -> bool {
    node.text().is_none_or(|text| text.trim().is_empty())
}

/// Text on one line: as in HTML, its blanks are those of who laid out the file.
fn laid_out(text: &str) -> String {
    text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// An element's content, in the format that the item declares for all of them. Where it declares none, HTML as it was
/// written where it has elements, and else its text; a paragraph around all of it is no part of it then.
fn piece(node: Node<'_, '_>, content: &mut Content<'_>, declared: Option<&str>) -> FormattedText {
    let html = content.html(node);
    match declared {
        None => of_markup(node, &html),
        Some("plain") => FormattedText { text: text(node), format: DraftTextFormat::Plain },
        Some("markdown") => FormattedText { text: text(node), format: DraftTextFormat::Markdown },
        Some(_) => FormattedText { text: html, format: DraftTextFormat::Html },
    }
}

fn of_markup(node: Node<'_, '_>, html: &str) -> FormattedText {
    match elements(node).collect::<Vec<_>>().as_slice() {
        [] => FormattedText { text: laid_out(&text(node)), format: DraftTextFormat::Plain },
        [only]
            if only.tag_name().name() == "p"
                && elements(*only).next().is_none()
                && node.children().all(|node| !node.is_text() || is_blank(node)) =>
        {
            FormattedText { text: laid_out(&text(*only)), format: DraftTextFormat::Plain }
        }
        _ => FormattedText { text: html.trim().to_owned(), format: DraftTextFormat::Html },
    }
}

/// What stands around the interaction, and its prompt.
fn stem(
    body: Node<'_, '_>,
    interaction: Node<'_, '_>,
    around: &[String; 2],
    content: &mut Content<'_>,
) -> FormattedText {
    let prompt = child(interaction, "qti-prompt").map(|prompt| piece(prompt, content, None));
    let cut = interaction.range();
    let has_before = shown(body).filter(|node| node.range().start < cut.start).any(says_something);
    let has_after = shown(body).filter(|node| cut.end <= node.range().start).any(says_something);
    let is_in_text = has_after && interaction.tag_name().name() == "qti-text-entry-interaction";
    let prompt_as_html = |prompt: FormattedText| match prompt.format {
        DraftTextFormat::Plain => format!("<p>{}</p>", markup::escape(&prompt.text)),
        _ => prompt.text,
    };
    match (has_before || has_after, prompt) {
        (false, prompt) => {
            prompt.unwrap_or(FormattedText { text: String::new(), format: DraftTextFormat::Plain })
        }
        (true, None) => match simple(body, interaction) {
            Some(text) => FormattedText { text, format: DraftTextFormat::Plain },
            None => {
                let blank = if is_in_text { BLANK } else { "" };
                let html = [&around[0], blank, &around[1]].concat();
                let html = html.replace("<p></p>", "").replace("<div></div>", "");
                FormattedText { text: html.trim().to_owned(), format: DraftTextFormat::Html }
            }
        },
        (true, Some(prompt)) => {
            let html = [around[0].trim(), &prompt_as_html(prompt), around[1].trim()].join("\n");
            FormattedText { text: html.trim().to_owned(), format: DraftTextFormat::Html }
        }
    }
}

/// The text of the only paragraph beside the interaction, if there is nothing else.
fn simple(body: Node<'_, '_>, interaction: Node<'_, '_>) -> Option<String> {
    if interaction.parent() != Some(body) {
        return None;
    }
    let mut others = elements(body).filter(|child| *child != interaction);
    let only = others.next()?;
    let is_paragraph = only.tag_name().name() == "p" && elements(only).next().is_none();
    let stray = |node: Node<'_, '_>| node.is_text() && !is_blank(node);
    (is_paragraph && others.next().is_none() && !body.children().any(stray)).then(|| laid_out(&text(only)))
}
