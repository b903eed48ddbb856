//! The texts of an item.

use jishu_entity::question_version::TextFormat;
use roxmltree::Node;

use super::super::markup::{self, Piece};
use super::super::xml::{child, children, inner, text};

/// What an item says.
pub(super) struct Body {
    pub(super) stem: String,
    pub(super) options: Vec<String>,
    pub(super) explanation: Option<String>,
    pub(super) text_format: TextFormat,
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
) -> Body {
    let marked = children(body, "div").find(|div| div.attribute("data-text-format").is_some());
    let declared = marked.and_then(|div| div.attribute("data-text-format"));
    let stem = match marked {
        Some(div) => piece(div, source, declared),
        None => stem(body, interaction, source),
    };
    let attribute = |name| marked.and_then(|div| div.attribute(name)).map(str::to_owned);
    let marks = Marks {
        external_id: attribute("data-external-id"),
        topic: attribute("data-topic"),
        difficulty: attribute("data-difficulty"),
    };
    let mut pieces = vec![stem];
    for choice in children(interaction, "qti-simple-choice") {
        if child(choice, "qti-feedback-inline").or_else(|| child(choice, "qti-feedback-block")).is_some() {
            losses.push(
                "The feedback of single answers is left out: a question has one explanation.".to_owned(),
            );
        }
        pieces.push(piece(choice, source, declared));
    }
    let mut feedback = children(item, "qti-modal-feedback");
    let explanation = match (feedback.next(), feedback.next()) {
        (Some(only), None) => Some(piece(child(only, "qti-content-body").unwrap_or(only), source, declared)),
        (Some(_), Some(_)) => {
            losses.push(
                "Its feedback is left out: it depends on the answer, and an explanation does not.".to_owned(),
            );
            None
        }
        _ => None,
    };
    let has_explanation = explanation.is_some();
    pieces.extend(explanation);
    let text_format = match declared {
        Some("plain") => TextFormat::Plain,
        Some("markdown") => TextFormat::Markdown,
        Some(_) => TextFormat::Html,
        None => markup::unify(&mut pieces, losses),
    };
    let is_file = |node: Node<'_, '_>| {
        let source = node.attribute("src").or_else(|| node.attribute("data"));
        source.is_some_and(|source| !source.starts_with("https://") && !source.starts_with("http://"))
    };
    if item.descendants().any(is_file) {
        losses.push(markup::FILES.to_owned());
    }
    let explanation = if has_explanation { pieces.pop().map(|piece| piece.text) } else { None };
    let mut pieces = pieces.into_iter().map(|piece| piece.text);
    Body {
        stem: pieces.next().unwrap_or_default(),
        options: pieces.collect(),
        explanation,
        text_format,
        marks,
    }
}

/// An element's content, in the format that the item declares for all of them. Where it declares none, HTML as it was
/// written where it has elements, and else its text; a paragraph around all of it is no part of it then.
fn piece(node: Node<'_, '_>, source: &str, declared: Option<&str>) -> Piece {
    match declared {
        None => of_markup(node, inner(node, source)),
        Some("plain") => Piece { text: text(node), format: TextFormat::Plain },
        Some("markdown") => Piece { text: text(node), format: TextFormat::Markdown },
        Some(_) => Piece { text: inner(node, source).to_owned(), format: TextFormat::Html },
    }
}

fn of_markup(node: Node<'_, '_>, markup: &str) -> Piece {
    let elements = node.children().filter(Node::is_element).collect::<Vec<_>>();
    let is_blank =
        |node: Node<'_, '_>| node.is_text() && node.text().is_none_or(|text| text.trim().is_empty());
    match elements.as_slice() {
        [] => Piece { text: text(node), format: TextFormat::Plain },
        [only]
            if only.tag_name().name() == "p"
                && !only.children().any(|child| child.is_element())
                && node.children().filter(|child| child != only).all(is_blank) =>
        {
            Piece { text: text(*only), format: TextFormat::Plain }
        }
        _ => Piece { text: markup.trim().to_owned(), format: TextFormat::Html },
    }
}

/// What stands around the interaction, and its prompt.
fn stem(body: Node<'_, '_>, interaction: Node<'_, '_>, source: &str) -> Piece {
    let prompt = child(interaction, "qti-prompt").map(|prompt| piece(prompt, source, None));
    let all = inner(body, source);
    let start = body.first_child().map_or(0, |first| first.range().start);
    let cut = interaction.range();
    let around = [&all[..cut.start - start], &all[cut.end - start..]];
    let is_blank = |text: &&str| text.trim().is_empty();
    let has_around = body
        .descendants()
        .filter(|node| node.is_text() && !(cut.start <= node.range().start && node.range().end <= cut.end))
        .any(|node| node.text().is_some_and(|text| !text.trim().is_empty()))
        || around.iter().any(|part| part.contains("<img") || part.contains("<math"));
    let prompt_as_html = |prompt: Piece| match prompt.format {
        TextFormat::Plain => format!("<p>{}</p>", markup::escape(&prompt.text)),
        _ => prompt.text,
    };
    match (has_around, prompt) {
        (false, prompt) => prompt.unwrap_or(Piece { text: String::new(), format: TextFormat::Plain }),
        (true, None) => {
            let without =
                around.concat().replace("<p></p>", "").replace("<p/>", "").replace("<div></div>", "");
            let whole = around.iter().any(is_blank) && interaction.parent() == Some(body);
            match simple(body, interaction).filter(|_| whole) {
                Some(text) => Piece { text, format: TextFormat::Plain },
                None => Piece { text: without.trim().to_owned(), format: TextFormat::Html },
            }
        }
        (true, Some(prompt)) => {
            let html = [around[0].trim(), &prompt_as_html(prompt), around[1].trim()].join("\n");
            Piece { text: html.trim().to_owned(), format: TextFormat::Html }
        }
    }
}

/// The text of the only paragraph beside the interaction, if there is nothing else.
fn simple(body: Node<'_, '_>, interaction: Node<'_, '_>) -> Option<String> {
    let mut others = body.children().filter(|child| child.is_element() && *child != interaction);
    let only = others.next()?;
    let is_paragraph = only.tag_name().name() == "p" && !only.children().any(|child| child.is_element());
    let stray =
        |node: Node<'_, '_>| node.is_text() && node.text().is_some_and(|text| !text.trim().is_empty());
    (is_paragraph && others.next().is_none() && !body.children().any(stray)).then(|| text(only))
}
