//! Brings the texts of one question to one format. A file can give each text a format of its own, but a draft has one
//! format for all its texts.

use crate::comments::without_comments;
use crate::draft::DraftTextFormat;
use crate::{entities, html};

/// The sentence of the loss for comments that are removed from texts.
pub(crate) const COMMENTS_LOSS: &str = "Its comments are left out: learners could read them.";

/// The text that marks the place of the answer in a stem.
pub(crate) const BLANK: &str = "_____";

/// A text and its format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FormattedText {
    pub(crate) text: String,
    pub(crate) format: DraftTextFormat,
}

impl FormattedText {
    pub(crate) fn new(text: impl Into<String>, format: DraftTextFormat) -> Self {
        Self { text: text.into(), format }
    }
}

/// The texts of a question as its file has them, each in its own format.
pub(crate) struct QuestionTexts {
    pub(crate) stem: FormattedText,
    pub(crate) options: Vec<FormattedText>,
    pub(crate) explanation: Option<FormattedText>,
}

/// The texts of a question in one format, without comments.
pub(crate) struct UnifiedTexts {
    pub(crate) format: DraftTextFormat,
    pub(crate) stem: String,
    pub(crate) options: Vec<String>,
    pub(crate) explanation: Option<String>,
}

impl QuestionTexts {
    fn all(&self) -> impl Iterator<Item = &FormattedText> {
        [&self.stem].into_iter().chain(&self.options).chain(&self.explanation)
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut FormattedText> {
        [&mut self.stem].into_iter().chain(&mut self.options).chain(&mut self.explanation)
    }

    /// Brings all texts to one format, and removes their comments. Plain text beside HTML becomes HTML. If texts are in
    /// Markdown and another format, all texts get the format of the stem, and a loss says so. Another loss tells of the
    /// comments.
    pub(crate) fn unify(mut self, losses: &mut Vec<String>) -> UnifiedTexts {
        let format = self.unify_formats(losses);
        self.remove_comments(format, losses);
        UnifiedTexts {
            format,
            stem: self.stem.text,
            options: self.options.into_iter().map(|option| option.text).collect(),
            explanation: self.explanation.map(|explanation| explanation.text),
        }
    }

    fn unify_formats(&mut self, losses: &mut Vec<String>) -> DraftTextFormat {
        let has = |format| self.all().any(|text| text.format == format && !text.text.trim().is_empty());
        let has_plain = has(DraftTextFormat::Plain);
        let has_html = has(DraftTextFormat::Html);
        let has_markdown = has(DraftTextFormat::Markdown);
        match (has_plain, has_html, has_markdown) {
            (true, true, false) => {
                for text in self.all_mut().filter(|text| text.format == DraftTextFormat::Plain) {
                    text.text = escape(&text.text).replace('\n', "<br/>\n");
                    text.format = DraftTextFormat::Html;
                }
                DraftTextFormat::Html
            }
            (true, _, true) | (_, true, true) => {
                losses.push(
                    "Its texts are in several formats. All are stored in the format of the question itself."
                        .to_owned(),
                );
                self.stem.format
            }
            (_, _, true) => DraftTextFormat::Markdown,
            (_, true, _) => DraftTextFormat::Html,
            _ => DraftTextFormat::Plain,
        }
    }

    /// Removes the comments of Markdown or HTML from each text, unless both the format of the text and the format of
    /// the question are plain.
    fn remove_comments(&mut self, format: DraftTextFormat, losses: &mut Vec<String>) {
        let mut had_comments = false;
        for text in self.all_mut() {
            let formats = [text.format, format];
            let is_markdown = formats.contains(&DraftTextFormat::Markdown);
            if !is_markdown && !formats.contains(&DraftTextFormat::Html) {
                continue;
            }
            let without = without_comments(&text.text, is_markdown);
            had_comments |= without != text.text.trim_start();
            text.text = without;
        }
        if had_comments {
            losses.push(COMMENTS_LOSS.to_owned());
        }
    }
}

/// Inline elements by which HTML is recognised.
const INLINE_ELEMENTS: [&str; 14] =
    ["a", "b", "code", "em", "font", "i", "img", "s", "span", "strong", "sub", "sup", "tt", "u"];

/// Block elements by which HTML is recognised, and `br`. A line end beside such an element is not visible.
const BLOCK_ELEMENTS: [&str; 24] = [
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

/// Returns whether a name, in capital or small letters, is in a list of elements.
fn is_one_of(elements: &[&str], name: &str) -> bool {
    elements.iter().any(|element| element.eq_ignore_ascii_case(name))
}

/// Returns whether a name is one of the elements by which HTML is recognised.
pub(crate) fn is_html_element(name: &str) -> bool {
    is_one_of(&INLINE_ELEMENTS, name) || is_one_of(&BLOCK_ELEMENTS, name)
}

/// Returns whether a text looks like HTML: it has a known element, a comment or a character reference.
fn is_html(text: &str) -> bool {
    let has_comment = text.split_once("<!--").is_some_and(|(_, after)| after.contains("-->"));
    let has_element = || {
        text.split('<').skip(1).any(|after| {
            let after = after.strip_prefix('/').unwrap_or(after);
            let name = html::name(after);
            let closes = after[name.len()..].starts_with(['>', '/', ' ', '\n', '\t']) && after.contains('>');
            closes && is_html_element(name)
        })
    };
    has_comment || has_element() || entities::has_reference(text)
}

/// Guesses the format of a text that declares no format, as Moodle does. If the text looks like HTML, adds `<br/>` so
/// that its line breaks stay visible.
pub(crate) fn guess_format(text: String) -> FormattedText {
    match is_html(&text) {
        true => FormattedText { text: with_line_breaks(&text), format: DraftTextFormat::Html },
        false => FormattedText { text, format: DraftTextFormat::Plain },
    }
}

/// Adds `<br/>` at the line ends of HTML, except inside of tags and beside block elements.
fn with_line_breaks(html: &str) -> String {
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

/// Returns whether HTML begins with the tag of a block element.
pub(crate) fn is_block(html: &str) -> bool {
    html.strip_prefix('<').is_some_and(|inside| is_one_of(&BLOCK_ELEMENTS, html::name(inside)))
}

/// Escapes the characters of a plain text that HTML would read as markup.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_is_recognised() {
        for html in
            ["a <!-- b -->", "<p>x</p>", "a<br>b", "a<br/>b", "x<SUP>2</SUP>", "<img src=\"x\">", "100&deg;C"]
        {
            assert!(is_html(html), "{html}");
        }
        for plain in ["a < b and b > c", "a<b", "<", "<x>", "List<a", "i <3 u > me", "a && b; &c;"] {
            assert!(!is_html(plain), "{plain}");
        }
    }

    /// Unifies the texts of a question with a stem and one option. Returns the format, the stem and the option.
    fn unify(
        stem: (&str, DraftTextFormat),
        option: (&str, DraftTextFormat),
        losses: &mut Vec<String>,
    ) -> (DraftTextFormat, String, String) {
        let stem = FormattedText::new(stem.0, stem.1);
        let options = vec![FormattedText::new(option.0, option.1)];
        let unified = QuestionTexts { stem, options, explanation: None }.unify(losses);
        (unified.format, unified.stem, unified.options[0].clone())
    }

    #[test]
    fn comments_are_removed_from_texts_that_are_not_plain() {
        use DraftTextFormat::{Html, Plain};
        let mut losses = Vec::new();
        let (format, stem, option) = unify(("<!-- a -->", Plain), ("b<!-- c -->", Html), &mut losses);
        assert_eq!((format, stem.as_str(), option.as_str()), (Html, "&lt;!-- a --&gt;", "b"));
        assert!(losses.len() == 1 && losses[0].contains("comments"));
        let (format, stem, _) = unify(("<!-- a -->", Plain), ("", Plain), &mut losses);
        assert_eq!((format, stem.as_str()), (Plain, "<!-- a -->"));
    }

    #[test]
    fn line_ends_of_guessed_html_stay_visible() {
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
                guess_format(text.to_owned()),
                FormattedText { text: html.to_owned(), format: DraftTextFormat::Html }
            );
        }
        let plain = "a\nb".to_owned();
        assert_eq!(
            guess_format(plain.clone()),
            FormattedText { text: plain, format: DraftTextFormat::Plain }
        );
    }

    #[test]
    fn plain_text_beside_html_becomes_html() {
        use DraftTextFormat::{Html, Markdown, Plain};
        let mut losses = Vec::new();
        let (format, _, option) = unify(("<p>a</p>", Html), ("a < b", Plain), &mut losses);
        assert_eq!((format, option.as_str()), (Html, "a &lt; b"));
        assert!(losses.is_empty());
        let (format, ..) = unify(("*a*", Markdown), ("b", Plain), &mut losses);
        assert_eq!(format, Markdown);
        assert_eq!(losses.len(), 1);
    }
}
