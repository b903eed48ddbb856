//! Reads the texts of an item of QTI 1.2.

use roxmltree::Node;

use super::unknown;
use crate::draft::DraftTextFormat;
use crate::markup::{self, BLANK, FormattedText};
use crate::xml::text;

/// Elements that only arrange other elements.
const ARRANGING: [&str; 12] = [
    "material",
    "material_ref",
    "flow",
    "flow_mat",
    "flow_label",
    "presentation",
    "response_label",
    "itemfeedback",
    "solution",
    "solutionmaterial",
    "altmaterial",
    "matbreak",
];

/// Reads the text of an element. Refuses an element whose content is not understood.
pub(super) fn formatted(node: Node<'_, '_>) -> Result<FormattedText, String> {
    let mut pieces = Vec::new();
    collect(node, None, &mut pieces)?;
    Ok(joined(&pieces))
}

/// Reads the text around `response`, the element that takes the answer. If the learner types the answer in the middle
/// of a sentence, the text has a blank in the place of the answer.
pub(super) fn around(
    presentation: Node<'_, '_>,
    response: Node<'_, '_>,
    is_typed: bool,
) -> Result<FormattedText, String> {
    let mut pieces = Vec::new();
    collect(presentation, Some(response), &mut pieces)?;
    if pieces == [Piece::Answer] {
        // If there is no text around the element, the text inside it is the question. Otherwise, that text is only a
        // name of the blank.
        pieces.clear();
        for material in response.children().filter(|node| node.tag_name().name() == "material") {
            collect(material, None, &mut pieces)?;
        }
    }
    let at = pieces.iter().position(|piece| *piece == Piece::Answer).unwrap_or(pieces.len());
    let has_text = |pieces: &[Piece]| pieces.iter().any(|piece| *piece != Piece::Answer);
    if !(is_typed && has_text(pieces.get(at..).unwrap_or_default())) {
        pieces.retain(|piece| *piece != Piece::Answer);
    }
    Ok(joined(&pieces))
}

/// A piece of a text, in the format of its element.
#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Plain(String),
    Html(String),
    /// The place of the answer.
    Answer,
}

fn collect(node: Node<'_, '_>, answer: Option<Node<'_, '_>>, pieces: &mut Vec<Piece>) -> Result<(), String> {
    for part in node.children().filter(Node::is_element) {
        if Some(part) == answer {
            pieces.push(Piece::Answer);
            continue;
        }
        match part.tag_name().name() {
            "mattext" | "matemtext" => {
                let said = text(part);
                let kind = part.attribute("texttype").unwrap_or_default().to_ascii_lowercase();
                match kind.contains("html") {
                    _ if said.trim().is_empty() => {}
                    true => pieces.push(Piece::Html(said.trim().to_owned())),
                    false => match markup::guess_format(said.trim().to_owned()) {
                        FormattedText { text, format: DraftTextFormat::Plain } => {
                            pieces.push(Piece::Plain(text));
                        }
                        FormattedText { text, .. } => pieces.push(Piece::Html(text)),
                    },
                }
            }
            "matimage" => {
                let address =
                    part.attribute("uri").unwrap_or_default().replace('&', "&amp;").replace('"', "&quot;");
                pieces.push(Piece::Html(format!("<img src=\"{address}\" alt=\"\">")));
            }
            name if ARRANGING.contains(&name) => collect(part, answer, pieces)?,
            "qticomment" => {}
            name => return Err(unknown(name)),
        }
    }
    Ok(())
}

/// Joins pieces to one text. Plain text beside HTML becomes HTML.
fn joined(pieces: &[Piece]) -> FormattedText {
    let is_html = pieces.iter().any(|piece| matches!(piece, Piece::Html(_)));
    let of = |piece: &Piece| match piece {
        Piece::Plain(text) if is_html => markup::escape(text).replace('\n', "<br>\n"),
        Piece::Plain(text) | Piece::Html(text) => text.clone(),
        Piece::Answer => BLANK.to_owned(),
    };
    let texts: Vec<String> = pieces.iter().map(of).collect();
    // Text around a blank belongs to one sentence, so join it with spaces and not with line breaks.
    let separator = match (pieces.contains(&Piece::Answer), is_html) {
        (true, _) => " ",
        (false, true) => "<br>\n",
        (false, false) => "\n",
    };
    let format = if is_html { DraftTextFormat::Html } else { DraftTextFormat::Plain };
    FormattedText::new(texts.join(separator).trim(), format)
}
