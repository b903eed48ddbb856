//! Texts of one question that are in several formats, where the bank has one for all.

use crate::draft::{DraftAnswer, DraftOption, DraftTextFormat};
use crate::{entities, html};

use crate::comments::without_comments;

/// A text and what it is written in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FormattedText {
    pub(crate) text: String,
    pub(crate) format: DraftTextFormat,
}

/// The names of elements that give HTML away: those that stand in lines.
const INLINE: [&str; 14] =
    ["a", "b", "code", "em", "font", "i", "img", "s", "span", "strong", "sub", "sup", "tt", "u"];

/// And those that stand on lines of their own.
const BLOCKS: [&str; 24] = [
    "blockquote",
    "br",
    "dd",
    "div",
    "dl",
    "dt",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "li",
    "math",
    "ol",
    "p",
    "pre",
    "table",
    "tbody",
    "td",
    "th",
    "tr",
    "ul",
];

/// Whether this is the name of one of these elements.
fn is_one_of(elements: &[&str], name: &str) -> bool {
    elements.iter().any(|element| element.eq_ignore_ascii_case(name))
}

/// Whether a text that may or may not be HTML has an element of it, a comment, or a character by its name.
fn is_html(text: &str) -> bool {
    let has_comment = text.split_once("<!--").is_some_and(|(_, after)| after.contains("-->"));
    let has_element = || {
        text.split('<').skip(1).any(|after| {
            let after = after.strip_prefix('/').unwrap_or(after);
            let name = html::name(after);
            let closes = after[name.len()..].starts_with(['>', '/', ' ', '\n', '\t']) && after.contains('>');
            closes && (is_one_of(&INLINE, name) || is_one_of(&BLOCKS, name))
        })
    };
    has_comment || has_element() || entities::has_reference(text)
}

/// A text that does not say what it is, as Moodle takes it: HTML where it looks like it, whose lines end where they do.
pub(crate) fn guessed(text: String) -> FormattedText {
    match is_html(&text) {
        true => FormattedText { text: with_breaks(&text), format: DraftTextFormat::Html },
        false => FormattedText { text, format: DraftTextFormat::Plain },
    }
}

/// HTML with breaks at the ends of its lines, but in tags and beside elements that stand on lines of their own.
fn with_breaks(html: &str) -> String {
    let mut with = String::with_capacity(html.len());
    let (mut at, mut follows_block) = (0, false);
    while let Some(char) = html[at..].chars().next() {
        let rest = &html[at..];
        let length = html::tag_length(rest).unwrap_or(char.len_utf8());
        let is_end = char == '\n' && !follows_block && !is_block(rest.trim_start());
        with.push_str(if is_end { "<br/>\n" } else { &rest[..length] });
        follows_block = is_block(rest) || follows_block && char.is_whitespace();
        at += length;
    }
    with
}

/// Whether HTML begins with the tag of an element that stands on lines of its own.
fn is_block(html: &str) -> bool {
    html.strip_prefix('<').is_some_and(|inside| is_one_of(&BLOCKS, html::name(inside)))
}

/// Text without what would be taken for tags and characters.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Brings the pieces of a question to one format, the stem first. Plain text beside HTML becomes HTML.
pub(crate) fn unify(pieces: &mut [FormattedText], losses: &mut Vec<String>) -> DraftTextFormat {
    let first = pieces.first().map_or(DraftTextFormat::Plain, |piece| piece.format);
    let has = |format| pieces.iter().any(|piece| piece.format == format && !piece.text.trim().is_empty());
    let (plain, html, markdown) =
        (has(DraftTextFormat::Plain), has(DraftTextFormat::Html), has(DraftTextFormat::Markdown));
    let format = match (plain, html, markdown) {
        (true, true, false) => {
            for piece in pieces.iter_mut().filter(|piece| piece.format == DraftTextFormat::Plain) {
                piece.text = escape(&piece.text).replace('\n', "<br/>\n");
                piece.format = DraftTextFormat::Html;
            }
            DraftTextFormat::Html
        }
        (true, _, true) | (_, true, true) => {
            losses.push("Its texts are in several formats: all are read as the question's own.".to_owned());
            first
        }
        (_, _, true) => DraftTextFormat::Markdown,
        (_, true, _) => DraftTextFormat::Html,
        _ => DraftTextFormat::Plain,
    };
    take_comments_out(pieces, format, losses);
    format
}

/// Pictures and sounds that are files beside the text are left behind.
pub(crate) fn tell_of_files(pieces: &[FormattedText], losses: &mut Vec<String>) {
    if pieces.iter().any(|piece| piece.text.contains("@@PLUGINFILE@@")) {
        losses.push(FILES.to_owned());
    }
}

/// A choice among these pieces.
pub(crate) fn choice(multiple: bool, pieces: Vec<FormattedText>, keys: &[bool]) -> DraftAnswer {
    let options = pieces.into_iter().zip(keys);
    let options =
        options.map(|(piece, correct)| DraftOption { text: piece.text, correct: *correct }).collect();
    if multiple { DraftAnswer::Multiple(options) } else { DraftAnswer::Single(options) }
}

/// What is told of comments.
pub(crate) const COMMENTS: &str = "Its comments are left out: learners could read them.";

/// Takes out what browsers do not show and learners would be sent.
fn take_comments_out(pieces: &mut [FormattedText], format: DraftTextFormat, losses: &mut Vec<String>) {
    let mut had_comments = false;
    for piece in pieces {
        let formats = [piece.format, format];
        let is_markdown = formats.contains(&DraftTextFormat::Markdown);
        if !is_markdown && !formats.contains(&DraftTextFormat::Html) {
            continue;
        }
        let without = without_comments(&piece.text, is_markdown);
        had_comments |= without != piece.text.trim_start();
        piece.text = without;
    }
    if had_comments {
        losses.push(COMMENTS.to_owned());
    }
}

/// What is told of embedded files.
pub(crate) const FILES: &str =
    "Its embedded files are left out: put them on a web server, and link to them with https://.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_is_told_from_what_only_looks_like_it() {
        for html in
            ["a <!-- b -->", "<p>x</p>", "a<br>b", "a<br/>b", "x<SUP>2</SUP>", "<img src=\"x\">", "100&deg;C"]
        {
            assert!(is_html(html), "{html}");
        }
        for plain in ["a < b and b > c", "a<b", "<", "<x>", "List<a", "i <3 u > me", "a && b; &c;"] {
            assert!(!is_html(plain), "{plain}");
        }
    }

    #[test]
    fn comments_are_taken_out_of_what_is_not_plain() {
        let piece = |text: &str, format| FormattedText { text: text.to_owned(), format };
        let mut losses = Vec::new();
        let mut pieces =
            [piece("<!-- a -->", DraftTextFormat::Plain), piece("b<!-- c -->", DraftTextFormat::Html)];
        assert_eq!(unify(&mut pieces, &mut losses), DraftTextFormat::Html);
        assert_eq!((pieces[0].text.as_str(), pieces[1].text.as_str()), ("&lt;!-- a --&gt;", "b"));
        assert!(losses.len() == 1 && losses[0].contains("comments"));
        let mut pieces = [piece("<!-- a -->", DraftTextFormat::Plain)];
        assert_eq!(unify(&mut pieces, &mut losses), DraftTextFormat::Plain);
        assert_eq!(pieces[0].text, "<!-- a -->");
    }

    #[test]
    fn lines_of_guessed_html_end_where_they_do() {
        for (text, html) in [
            (
                "I. CO<sub>2</sub>\nII. <b>x</b>\n<i>y</i>\n\nz",
                "I. CO<sub>2</sub><br/>\nII. <b>x</b><br/>\n<i>y</i><br/>\n<br/>\nz",
            ),
            ("a\n<p>b\nc</p> \n d", "a\n<p>b<br/>\nc</p> \n d"),
            ("<ul>\n<li>a</li>\n</ul>\n", "<ul>\n<li>a</li>\n</ul>\n"),
            ("a<br>\nb<img\nalt='x'>", "a<br>\nb<img\nalt='x'>"),
        ] {
            assert_eq!(
                guessed(text.to_owned()),
                FormattedText { text: html.to_owned(), format: DraftTextFormat::Html }
            );
        }
        let plain = "a\nb".to_owned();
        assert_eq!(guessed(plain.clone()), FormattedText { text: plain, format: DraftTextFormat::Plain });
    }

    #[test]
    fn plain_text_beside_html_becomes_html() {
        let piece = |text: &str, format| FormattedText { text: text.to_owned(), format };
        let mut losses = Vec::new();
        let mut pieces = [piece("<p>a</p>", DraftTextFormat::Html), piece("a < b", DraftTextFormat::Plain)];
        assert_eq!(unify(&mut pieces, &mut losses), DraftTextFormat::Html);
        assert_eq!(pieces[1].text, "a &lt; b");
        assert!(losses.is_empty());
        let mut pieces = [piece("*a*", DraftTextFormat::Markdown), piece("b", DraftTextFormat::Plain)];
        assert_eq!(unify(&mut pieces, &mut losses), DraftTextFormat::Markdown);
        assert_eq!(losses.len(), 1);
    }
}
