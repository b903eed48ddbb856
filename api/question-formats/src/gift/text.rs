//! Texts of GIFT: what is escaped, and `[html]` before them.

use crate::draft::DraftTextFormat;

use crate::markup::{self, FormattedText};

/// Where a brace first stands without a backslash before it.
pub(super) fn find_brace(text: &str) -> Option<usize> {
    let (open, close) = (find(text, "{"), find(text, "}"));
    open.into_iter().chain(close).min()
}

/// Where `pattern` first stands without a backslash before it.
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

/// The text as it is meant. A backslash before anything else stands for itself.
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

/// The text so that it can stand anywhere, on one line.
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

/// The text without its escapes, in the format that it declares, else in that which the stem declares, else in the one
/// that it looks like.
pub(super) fn formatted(text: &str, of_stem: Option<DraftTextFormat>) -> FormattedText {
    let (text, format) = declared(text, of_stem);
    let text = unescape(text.trim());
    match format {
        Some(format) => FormattedText { text, format },
        None => markup::guessed(text),
    }
}

/// What follows the format that a text declares, and that format.
pub(super) fn declared(text: &str, of_stem: Option<DraftTextFormat>) -> (&str, Option<DraftTextFormat>) {
    let text = text.trim();
    match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some(("html", rest)) => (rest, Some(DraftTextFormat::Html)),
        Some(("markdown", rest)) => (rest, Some(DraftTextFormat::Markdown)),
        Some(("plain", rest)) => (rest, Some(DraftTextFormat::Plain)),
        Some(("moodle", rest)) => (rest, None),
        _ => (text, of_stem),
    }
}
