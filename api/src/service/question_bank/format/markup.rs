//! Texts of one question that are in several formats, where the bank has one for all.

use jishu_entity::question_version::TextFormat;

use super::super::draft::{DraftAnswer, DraftOption};

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

/// Whether a text that may or may not be HTML has an element of it, or a comment.
pub(super) fn is_html(text: &str) -> bool {
    let has_comment = text.split_once("<!--").is_some_and(|(_, after)| after.contains("-->"));
    has_comment
        || text.split('<').skip(1).any(|after| {
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
    let format = match (plain, html, markdown) {
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
    };
    take_comments_out(pieces, format, losses);
    format
}

/// Pictures and sounds that are files beside the text are left behind.
pub(super) fn tell_of_files(pieces: &[Piece], losses: &mut Vec<String>) {
    if pieces.iter().any(|piece| piece.text.contains("@@PLUGINFILE@@")) {
        losses.push(FILES.to_owned());
    }
}

/// A choice among these pieces.
pub(super) fn choice(multiple: bool, pieces: Vec<Piece>, keys: &[bool]) -> DraftAnswer {
    let options = pieces.into_iter().zip(keys);
    let options =
        options.map(|(piece, correct)| DraftOption { text: piece.text, correct: *correct }).collect();
    if multiple { DraftAnswer::Multiple(options) } else { DraftAnswer::Single(options) }
}

/// What is told of comments.
pub(super) const COMMENTS: &str = "Its comments are left out: learners could read them.";

/// Takes out what browsers do not show and learners would be sent.
fn take_comments_out(pieces: &mut [Piece], format: TextFormat, losses: &mut Vec<String>) {
    let mut had_comments = false;
    for piece in pieces {
        let formats = [piece.format, format];
        let without = if formats.contains(&TextFormat::Markdown) {
            without_comments(&piece.text, true)
        } else if formats.contains(&TextFormat::Html) {
            without_comments(&piece.text, false)
        } else {
            continue;
        };
        had_comments |= without != piece.text;
        piece.text = without;
    }
    if had_comments {
        losses.push(COMMENTS.to_owned());
    }
}

/// HTML without comments, and without what browsers take for such: `<!…>` and `<?…>`. In Markdown, code stays as it is.
fn without_comments(text: &str, is_markdown: bool) -> String {
    let mut without = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['<', '`']) {
        without.push_str(&rest[..at]);
        rest = &rest[at..];
        let (kept, length) = match comment_length(rest) {
            Some(length) => (0, length),
            None if is_markdown && rest.starts_with('`') => {
                let length = code_length(rest);
                (length, length)
            }
            None => (1, 1),
        };
        without.push_str(&rest[..kept]);
        rest = &rest[length..];
    }
    without.push_str(rest);
    without
}

/// How long the comment is that HTML begins with, if it does. One that does not end takes the rest with it.
fn comment_length(html: &str) -> Option<usize> {
    if let Some(inside) = html.strip_prefix("<!--") {
        // These are whole comments, too.
        for whole in [">", "->"] {
            if inside.starts_with(whole) {
                return Some(4 + whole.len());
            }
        }
        let mut ends = inside.match_indices('>').map(|(at, _)| at);
        let end = ends.find(|at| inside[..*at].ends_with("--") || inside[..*at].ends_with("--!"));
        return Some(end.map_or(html.len(), |end| 4 + end + 1));
    }
    let is_taken_for_one = html.starts_with("<!") || html.starts_with("<?");
    is_taken_for_one.then(|| html.find('>').map_or(html.len(), |end| end + 1))
}

/// How long the code is that Markdown begins with, or the marks where it does not end.
fn code_length(markdown: &str) -> usize {
    let marks = markdown.len() - markdown.trim_start_matches('`').len();
    let fence = &markdown[..marks];
    let mut at = marks;
    while let Some(start) = markdown[at..].find('`') {
        let run = &markdown[at + start..];
        let length = run.len() - run.trim_start_matches('`').len();
        at += start + length;
        if length == fence.len() {
            return at;
        }
    }
    marks
}

/// What is told of embedded files.
pub(super) const FILES: &str =
    "Its embedded files are left out: put them on a web server, and link to them with https://.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_is_told_from_what_only_looks_like_it() {
        for html in ["a <!-- b -->", "<p>x</p>", "a<br>b", "a<br/>b", "x<SUP>2</SUP>", "<img src=\"x\">"] {
            assert!(is_html(html), "{html}");
        }
        for plain in ["a < b and b > c", "a<b", "<", "<x>", "List<a", "i <3 u > me"] {
            assert!(!is_html(plain), "{plain}");
        }
    }

    #[test]
    fn comments_are_taken_out() {
        for (html, without) in [
            ("a<!-- key is TWO -->b<!---->c", "abc"),
            ("a<!-->b<!--->c<!-- x --!>d", "abcd"),
            ("a<!-- never ends", "a"),
            ("a<![CDATA[x]]>b<?php x ?>c<!DOCTYPE html>d", "abcd"),
            ("a < b && c <b>d</b> `<!-- x -->`", "a < b && c <b>d</b> ``"),
        ] {
            assert_eq!(without_comments(html, false), without, "{html}");
        }
        for (markdown, without) in [
            ("a<!-- x -->b `<!-- y -->` c", "ab `<!-- y -->` c"),
            ("```html\n<!-- ` -->\n``` <!-- x -->", "```html\n<!-- ` -->\n``` "),
            ("`open <!-- x -->", "`open "),
        ] {
            assert_eq!(without_comments(markdown, true), without, "{markdown}");
        }
        let piece = |text: &str, format| Piece { text: text.to_owned(), format };
        let mut losses = Vec::new();
        let mut pieces = [piece("<!-- a -->", TextFormat::Plain), piece("b<!-- c -->", TextFormat::Html)];
        assert_eq!(unify(&mut pieces, &mut losses), TextFormat::Html);
        assert_eq!((pieces[0].text.as_str(), pieces[1].text.as_str()), ("&lt;!-- a --&gt;", "b"));
        assert!(losses.len() == 1 && losses[0].contains("comments"));
        let mut pieces = [piece("<!-- a -->", TextFormat::Plain)];
        assert_eq!(unify(&mut pieces, &mut losses), TextFormat::Plain);
        assert_eq!(pieces[0].text, "<!-- a -->");
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
