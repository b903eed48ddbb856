//! Reads the texts of an item: stem, options and explanation.

use crate::draft::DraftTextFormat;
use crate::labels::excerpt;
use roxmltree::Node;

use super::content::{Content, elements, shown, text};
use super::{key, processing};
use crate::markup::{self, BLANK, FormattedText, QuestionTexts, UnifiedTexts};
use crate::xml::{child, children};

/// Elements that learners see although they have no text.
const VISIBLE_ELEMENTS: [&str; 10] =
    ["img", "math", "svg", "object", "audio", "video", "iframe", "embed", "canvas", "picture"];

/// The texts of an item, and its `data-` attributes.
pub(super) struct ItemTexts {
    pub(super) texts: UnifiedTexts,
    pub(super) data: DataAttributes,
}

/// The `data-` attributes that the writer of this crate gives an item.
#[derive(Default)]
pub(super) struct DataAttributes {
    pub(super) external_id: Option<String>,
    pub(super) topic: Option<String>,
    pub(super) difficulty: Option<String>,
}

/// Reads the texts of an item.
pub(super) fn read(
    item: Node<'_, '_>,
    body: Node<'_, '_>,
    interaction: Node<'_, '_>,
    source: &str,
    losses: &mut Vec<String>,
) -> Result<ItemTexts, String> {
    let marked = children(body, "div").find(|div| div.attribute("data-text-format").is_some());
    let declared = marked.and_then(|div| div.attribute("data-text-format"));
    let mut content = Content::new(source);
    content.check_interaction(interaction);
    let around = content.around(body, interaction);
    let stem = match marked {
        Some(div) => {
            check_outside(body, div, interaction)?;
            content_text(div, &mut content, declared)
        }
        None => stem(body, interaction, &around, &mut content),
    };
    let attribute = |name| marked.and_then(|div| div.attribute(name)).map(str::to_owned);
    let data = DataAttributes {
        external_id: attribute("data-external-id"),
        topic: attribute("data-topic"),
        difficulty: attribute("data-difficulty"),
    };
    let options =
        key::choices(interaction).map(|choice| content_text(choice, &mut content, declared)).collect();
    let explanation = explanation_of(item, losses).map(|feedback| {
        content_text(child(feedback, "qti-content-body").unwrap_or(feedback), &mut content, declared)
    });
    if let Some(unknown) = content.unknown {
        return Err(format!("It has {}, which is not understood. Remove it.", excerpt(&unknown)));
    }
    losses.extend(content.losses.into_iter().map(str::to_owned));
    let texts = QuestionTexts { stem, options, explanation }.unify(losses);
    Ok(ItemTexts { texts, data })
}

/// Returns the feedback that becomes the explanation: the only feedback of an item, or the only feedback for all
/// answers. Adds a loss if learners see the explanation in other cases than before, or if a feedback is left out.
fn explanation_of<'a, 'i>(item: Node<'a, 'i>, losses: &mut Vec<String>) -> Option<Node<'a, 'i>> {
    let feedback: Vec<_> = children(item, "qti-modal-feedback").collect();
    let for_all: Vec<_> =
        feedback.iter().copied().filter(|feedback| processing::is_for_all(item, *feedback)).collect();
    let (explanation, loss) = match (&feedback[..], &for_all[..]) {
        ([], _) => return None,
        ([only], [_]) => return Some(*only),
        ([only], _) => (
            Some(*only),
            "Its feedback was for some answers only. It is stored as the explanation, which all learners see.",
        ),
        (_, [general]) => {
            (Some(*general), "The feedback for each answer is left out: a question has only one explanation.")
        }
        _ => (
            None,
            "It has several feedback texts. They are left out, because a question has only one explanation.",
        ),
    };
    losses.push(loss.to_owned());
    explanation
}

/// Refuses an item that declares the element `div` as its text, but has a prompt in the interaction, or shows something
/// outside of both.
fn check_outside(body: Node<'_, '_>, div: Node<'_, '_>, interaction: Node<'_, '_>) -> Result<(), String> {
    let is_in = |node: &Node<'_, '_>, other: Node<'_, '_>| {
        other.range().start <= node.range().start && node.range().start < other.range().end
    };
    let mut outside = shown(body).filter(|node| !is_in(node, div) && !is_in(node, interaction));
    if outside.any(is_visible) || child(interaction, "qti-prompt").is_some() {
        return Err("It has text outside of the element with data-text-format. Move all of its text into that element.".to_owned());
    }
    Ok(())
}

/// Returns whether learners see a node itself: it is a text that is not blank, or an element that they see without a
/// text in it.
fn is_visible(node: Node<'_, '_>) -> bool {
    if node.is_text() {
        return !is_blank(node);
    }
    let name = node.tag_name().name();
    // Custom elements have a hyphen in their name.
    let is_custom = name.contains('-') && !name.starts_with("qti-");
    is_custom || VISIBLE_ELEMENTS.contains(&name)
}

fn is_blank(node: Node<'_, '_>) -> bool {
    node.text().is_none_or(|text| text.trim().is_empty())
}

/// Makes each run of white space one space, as browsers show HTML.
fn collapse_whitespace(text: &str) -> String {
    text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns the content of an element in the format that the item declares for all of its texts. If the item declares no
/// format, [`text_or_html`] chooses the format.
fn content_text(node: Node<'_, '_>, content: &mut Content<'_>, declared: Option<&str>) -> FormattedText {
    let html = content.html(node);
    match declared {
        None => text_or_html(node, &html),
        Some("plain") => FormattedText::new(text(node), DraftTextFormat::Plain),
        Some("markdown") => FormattedText::new(text(node), DraftTextFormat::Markdown),
        Some(_) => FormattedText::new(html, DraftTextFormat::Html),
    }
}

/// Returns the content of an element as HTML if it has elements. If it has no elements, or only one paragraph without
/// elements, returns its plain text.
fn text_or_html(node: Node<'_, '_>, html: &str) -> FormattedText {
    match elements(node).collect::<Vec<_>>().as_slice() {
        [] => FormattedText::new(collapse_whitespace(&text(node)), DraftTextFormat::Plain),
        [only]
            if only.tag_name().name() == "p"
                && elements(*only).next().is_none()
                && node.children().all(|node| !node.is_text() || is_blank(node)) =>
        {
            FormattedText::new(collapse_whitespace(&text(*only)), DraftTextFormat::Plain)
        }
        _ => FormattedText::new(html.trim().to_owned(), DraftTextFormat::Html),
    }
}

/// Combines the stem from the content `around` the interaction and the prompt of the interaction. An interaction in the
/// middle of a text leaves a blank in the stem.
fn stem(
    body: Node<'_, '_>,
    interaction: Node<'_, '_>,
    around: &[String; 2],
    content: &mut Content<'_>,
) -> FormattedText {
    let prompt = child(interaction, "qti-prompt").map(|prompt| content_text(prompt, content, None));
    let cut = interaction.range();
    let has_before = shown(body).filter(|node| node.range().start < cut.start).any(is_visible);
    let has_after = shown(body).filter(|node| cut.end <= node.range().start).any(is_visible);
    let is_in_text = match interaction.tag_name().name() {
        "qti-inline-choice-interaction" => true,
        "qti-text-entry-interaction" => has_after,
        _ => false,
    };
    let prompt_as_html = |prompt: FormattedText| match prompt.format {
        DraftTextFormat::Plain => format!("<p>{}</p>", markup::escape(&prompt.text)),
        _ => prompt.text,
    };
    match (has_before || has_after, prompt) {
        (false, prompt) => prompt.unwrap_or(FormattedText::new(String::new(), DraftTextFormat::Plain)),
        (true, None) => match only_paragraph(body, interaction) {
            Some(text) => FormattedText { text, format: DraftTextFormat::Plain },
            None => {
                let blank = if is_in_text { BLANK } else { "" };
                let html = [&around[0], blank, &around[1]].concat();
                let html = html.replace("<p></p>", "").replace("<div></div>", "");
                FormattedText::new(html.trim().to_owned(), DraftTextFormat::Html)
            }
        },
        (true, Some(prompt)) => {
            let html = [around[0].trim(), &prompt_as_html(prompt), around[1].trim()].join("\n");
            FormattedText::new(html.trim().to_owned(), DraftTextFormat::Html)
        }
    }
}

/// Returns the text of the only paragraph beside the interaction. Returns `None` if the body has anything else, or if
/// the paragraph has elements.
fn only_paragraph(body: Node<'_, '_>, interaction: Node<'_, '_>) -> Option<String> {
    if interaction.parent() != Some(body) {
        return None;
    }
    let mut others = elements(body).filter(|child| *child != interaction);
    let only = others.next()?;
    let is_paragraph = only.tag_name().name() == "p" && elements(only).next().is_none();
    let stray = |node: Node<'_, '_>| node.is_text() && !is_blank(node);
    (is_paragraph && others.next().is_none() && !body.children().any(stray))
        .then(|| collapse_whitespace(&text(only)))
}
