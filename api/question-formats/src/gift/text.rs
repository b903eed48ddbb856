//! Texts in GIFT: escapes with a backslash, and formats such as `[html]`.

use crate::draft::DraftTextFormat;

use crate::markup::{self, FormattedText};

/// Returns the position of the first brace that is not escaped, or `None` if all braces are escaped.
pub(super) fn find_brace(text: &str) -> Option<usize> {
    let (open, close) = (find(text, "{"), find(text, "}"));
    open.into_iter().chain(close).min()
}

/// Returns the first position of `pattern` that is not escaped, or `None` if the text has no such position.
pub(super) fn find(text: &str, pattern: &str) -> Option<usize> {
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest[0] == b'\\' {
            at += 2;
        } else if rest.starts_with(pattern.as_bytes()) {
            return Some(at);
        } else {
            at += 1;
        }
    }
    None
}

/// Removes the escapes of a text: a backslash before one of `\ ~ = # { } :`, and `\n` for a line break. A backslash
/// before any other character stays.
pub(super) fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            plain.push(char);
            continue;
        }
        match chars.next() {
            Some('n') => plain.push('\n'),
            Some(char @ ('\\' | '~' | '=' | '#' | '{' | '}' | ':')) => plain.push(char),
            Some(char) => plain.extend(['\\', char]),
            None => plain.push('\\'),
        }
    }
    plain
}

/// Escapes a text, so that it can be anywhere in a question and needs only one line.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\n' => escaped.push_str("\\n"),
            '\\' | '~' | '=' | '#' | '{' | '}' | ':' => escaped.extend(['\\', char]),
            char => escaped.push(char),
        }
    }
    escaped
}

/// Removes the escapes of a text and finds its format: the format that the text declares, else the format that the stem
/// declares, else the format that the text looks like.
pub(super) fn formatted(text: &str, stem_format: Option<DraftTextFormat>) -> FormattedText {
    let (text, format) = declared(text, stem_format);
    let text = unescape(text.trim());
    match format {
        Some(format) => FormattedText { text, format },
        None => markup::guess_format(text),
    }
}

/// Returns a text without the format that it declares, and this format. If the text declares no format, returns the
/// format of the stem. The format is `None` if neither text nor stem declares a format, or if the text declares
/// `[moodle]`.
pub(super) fn declared(text: &str, stem_format: Option<DraftTextFormat>) -> (&str, Option<DraftTextFormat>) {
    let text = text.trim();
    match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some(("html", rest)) => (rest, Some(DraftTextFormat::Html)),
        Some(("markdown", rest)) => (rest, Some(DraftTextFormat::Markdown)),
        Some(("plain", rest)) => (rest, Some(DraftTextFormat::Plain)),
        Some(("moodle", rest)) => (rest, None),
        _ => (text, stem_format),
    }
}
