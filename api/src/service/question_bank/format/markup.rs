//! Texts of one question that are in several formats, where the bank has one for all.

use jishu_entity::question_version::TextFormat;

/// A text and what it is written in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) format: TextFormat,
}

/// The names of elements that give HTML away.
const ELEMENTS: [&str; 38] = [
    "a",
    "b",
    "blockquote",
    "br",
    "code",
    "dd",
    "div",
    "dl",
    "dt",
    "em",
    "font",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "li",
    "math",
    "ol",
    "p",
    "pre",
    "s",
    "span",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "th",
    "tr",
    "tt",
    "u",
    "ul",
];

/// Whether a text that may or may not be HTML has an element of it.
pub(super) fn is_html(text: &str) -> bool {
    text.split('<').skip(1).any(|after| {
        let after = after.strip_prefix('/').unwrap_or(after);
        let end = after.find(|char: char| !char.is_ascii_alphanumeric()).unwrap_or(after.len());
        let closes = after[end..].starts_with(['>', '/', ' ', '\n', '\t']) && after.contains('>');
        // The longest name is short: nothing long is made lower case.
        end <= 10 && closes && ELEMENTS.contains(&after[..end].to_ascii_lowercase().as_str())
    })
}

/// Plain text as HTML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Brings the pieces of a question to one format, the stem first. Plain text beside HTML becomes HTML.
pub(super) fn unify(pieces: &mut [Piece], losses: &mut Vec<String>) -> TextFormat {
    let first = pieces.first().map_or(TextFormat::Plain, |piece| piece.format);
    let has = |format| pieces.iter().any(|piece| piece.format == format && !piece.text.trim().is_empty());
    let (plain, html, markdown) = (has(TextFormat::Plain), has(TextFormat::Html), has(TextFormat::Markdown));
    match (plain, html, markdown) {
        (true, true, false) => {
            for piece in pieces.iter_mut().filter(|piece| piece.format == TextFormat::Plain) {
                piece.text = escape(&piece.text);
                piece.format = TextFormat::Html;
            }
            TextFormat::Html
        }
        (true, _, true) | (_, true, true) => {
            losses.push("Its texts are in several formats: all are read as the question's own.".to_owned());
            first
        }
        (_, _, true) => TextFormat::Markdown,
        (_, true, _) => TextFormat::Html,
        _ => TextFormat::Plain,
    }
}

/// Pictures and sounds that are files beside the text are left behind.
pub(super) fn tell_of_files(text: &str, losses: &mut Vec<String>) {
    if text.contains("@@PLUGINFILE@@") || text.contains("src=\"data:") {
        losses.push(FILES.to_owned());
    }
}

/// What is told of embedded files.
pub(super) const FILES: &str =
    "Its embedded files are left out: put them on a web server, and link to them with https://.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_is_told_from_what_only_looks_like_it() {
        for html in ["<p>x</p>", "a<br>b", "a<br/>b", "x<SUP>2</SUP>", "<img src=\"x\">"] {
            assert!(is_html(html), "{html}");
        }
        for plain in ["a < b and b > c", "a<b", "<", "<x>", "List<a", "i <3 u > me"] {
            assert!(!is_html(plain), "{plain}");
        }
    }

    #[test]
    fn plain_text_beside_html_becomes_html() {
        let piece = |text: &str, format| Piece { text: text.to_owned(), format };
        let mut losses = Vec::new();
        let mut pieces = [piece("<p>a</p>", TextFormat::Html), piece("a < b", TextFormat::Plain)];
        assert_eq!(unify(&mut pieces, &mut losses), TextFormat::Html);
        assert_eq!(pieces[1].text, "a &lt; b");
        assert!(losses.is_empty());
        let mut pieces = [piece("*a*", TextFormat::Markdown), piece("b", TextFormat::Plain)];
        assert_eq!(unify(&mut pieces, &mut losses), TextFormat::Markdown);
        assert_eq!(losses.len(), 1);
    }
}
