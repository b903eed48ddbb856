//! Tells the parts of a text that learners see from the parts that they cannot see: markup and dead links.

use std::borrow::Cow;

use crate::draft::DraftTextFormat;
use crate::{html, markup};

/// The names of elements that learners see even if the elements have no text.
const VISIBLE_ELEMENTS: [&str; 11] =
    ["img", "math", "svg", "object", "audio", "video", "iframe", "embed", "canvas", "picture", "input"];

/// Returns a text without its markup, as learners read it.
pub(crate) fn visible_text(text: &str, format: DraftTextFormat) -> String {
    if format == DraftTextFormat::Plain {
        return text.to_owned();
    }
    let mut visible = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        visible.push_str(&rest[..at]);
        rest = &rest[at..];
        match html::tag_length(rest) {
            Some(length) if markup::is_block(rest) => (visible, rest) = (visible + " ", &rest[length..]),
            Some(length) => rest = &rest[length..],
            None => {
                visible.push('<');
                rest = &rest[1..];
            }
        }
    }
    visible.push_str(rest);
    let visible = html_escape::decode_html_entities(&visible);
    match format {
        DraftTextFormat::Markdown => visible.replace(['*', '_', '`', '\\'], ""),
        _ => visible.into_owned(),
    }
}

/// Returns whether a character is not visible, such as a space.
pub(crate) fn is_unseen(char: char) -> bool {
    char.is_whitespace() || matches!(char, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// Returns whether learners see the element of a start tag even if it has no text.
pub(crate) fn shows(tag: &str) -> bool {
    let name = html::name(tag);
    // Custom elements count as visible too. Their names have a hyphen.
    VISIBLE_ELEMENTS.iter().any(|shown| shown.eq_ignore_ascii_case(name))
        || tag[1 + name.len()..].starts_with('-')
}

/// Returns whether learners see nothing of a text.
pub(crate) fn is_blank(text: &str, format: DraftTextFormat) -> bool {
    visible_text(text, format).chars().all(is_unseen)
        && (format == DraftTextFormat::Plain || !tags(text).any(|tag| !tag.starts_with("</") && shows(tag)))
}

/// Returns the tags of HTML.
pub(crate) fn tags(html: &str) -> impl Iterator<Item = &str> {
    let begins = html.match_indices('<').map(|(at, _)| &html[at..]);
    begins.filter_map(|rest| html::tag_length(rest).map(|length| &rest[..length]))
}

/// Returns the names of the attributes of a tag in small letters, and their values without escapes.
fn attributes(tag: &str) -> Vec<(String, Cow<'_, str>)> {
    let decoded = |(name, value)| (name, html_escape::decode_html_entities(value));
    raw_attributes(tag).into_iter().map(decoded).collect()
}

/// Returns the names of the attributes of a tag in small letters, and their values as they are in the source.
pub(crate) fn raw_attributes(tag: &str) -> Vec<(String, &str)> {
    let mut rest = tag
        .trim_end_matches('>')
        .split_once(|char: char| char.is_whitespace() || char == '/')
        .unwrap_or_default()
        .1;
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start_matches(|char: char| char.is_whitespace() || char == '/');
        let end =
            rest.find(|char: char| char.is_whitespace() || matches!(char, '=' | '/')).unwrap_or(rest.len());
        let name = rest[..end].to_ascii_lowercase();
        rest = rest[end..].trim_start();
        let Some(after) = rest.strip_prefix('=') else {
            if name.is_empty() && rest.is_empty() {
                return found;
            }
            continue;
        };
        let after = after.trim_start();
        let quote = after.chars().next().filter(|quote| matches!(quote, '"' | '\''));
        let (value, end) = match quote {
            Some(quote) => after[1..].split_once(quote).unwrap_or((&after[1..], "")),
            None => after.split_once(char::is_whitespace).unwrap_or((after, "")),
        };
        found.push((name, value));
        rest = end;
    }
}

/// Returns whether learners cannot load a file from an address: it is relative, is of another kind than HTTP and
/// `data:`, or leads into a Moodle.
pub(crate) fn is_dead(address: &str) -> bool {
    let address = address.trim().to_ascii_lowercase();
    let is_absolute = ["https://", "http://", "data:", "//"].iter().any(|start| address.starts_with(start));
    let of_moodle = ["/draftfile.php", "/pluginfile.php"];
    !is_absolute || !address.starts_with("data:") && of_moodle.iter().any(|path| address.contains(path))
}

/// Returns whether a text has marks of Moodle's filters for several languages, which only Moodle reads.
pub(crate) fn has_languages(text: &str, format: DraftTextFormat) -> bool {
    let begins_mark = |rest: &str| {
        let name = rest.trim_start_matches(|char: char| char.is_whitespace()).get(..5);
        name.is_some_and(|name| name.eq_ignore_ascii_case("mlang"))
    };
    let is_marked = |tag: &str| {
        let name = html::name(tag);
        let attributes = attributes(tag);
        let of_class = |(name, value): &(String, Cow<'_, str>)| {
            name == "class" && value.split_whitespace().any(|class| class.eq_ignore_ascii_case("multilang"))
        };
        // Old versions of Moodle use `<lang>` as the mark of a language.
        attributes.iter().any(of_class) || name.eq_ignore_ascii_case("lang")
    };
    text.split('{').skip(1).any(begins_mark) || format != DraftTextFormat::Plain && tags(text).any(is_marked)
}

#[cfg(test)]
mod tests {
    use super::*;

    use DraftTextFormat::{Html, Markdown, Plain};

    #[test]
    fn markup_is_not_visible() {
        for (text, format, visible) in [
            ("a <b>b</b>", Plain, "a <b>b</b>"),
            ("<p>All <b>of</b> the</p><p>above &amp; x</p>", Html, " All of the  above & x "),
            ("1 < 2 <IMG src='a>b'>", Html, "1 < 2 "),
            ("**All** of _the_ `above`", Markdown, "All of the above"),
        ] {
            assert_eq!(visible_text(text, format), visible, "{text}");
        }
        for (text, format) in [
            ("", Plain),
            (" \n\u{a0}\u{200b}", Plain),
            ("<p>&nbsp;</p><br>", Html),
            ("<P></P>", Html),
            ("**", Markdown),
        ] {
            assert!(is_blank(text, format), "{text}");
        }
        for (text, format) in [
            ("0", Plain),
            ("<p></p>", Plain),
            ("<img src=\"a.png\">", Html),
            ("<p><IMG src=\"a.png\"></p>", Html),
            ("<math><mi></mi></math>", Html),
            ("<my-graph></my-graph>", Html),
            ("![](a.png)", Markdown),
        ] {
            assert!(!is_blank(text, format), "{text}");
        }
    }

    #[test]
    fn dead_addresses_are_found() {
        for address in [
            "images/a.png",
            "@@PLUGINFILE@@/a.png",
            "http://m.example/draftfile.php/5/user/draft/1/a.png",
            "https://m.example/pluginfile.php/5/a.png",
            "file:///C:/a.png",
            "/a.png",
            "",
        ] {
            assert!(is_dead(address), "{address}");
        }
        for address in [
            "https://x.example/a.png",
            "HTTP://x.example/a.png",
            "data:image/png;base64,AAAA",
            "//x.example/a.png",
        ] {
            assert!(!is_dead(address), "{address}");
        }
    }

    #[test]
    fn marks_of_languages_are_found() {
        for (text, format) in [
            ("{mlang en}a{mlang}{mlang hi}b{mlang}", Plain),
            ("<p>{MLANG other}a{mlang}</p>", Html),
            ("{ mlang en}a{mlang}", Markdown),
            ("<span lang=\"en\" class=\"multilang\">a</span>", Html),
            ("<SPAN CLASS='x multilang' lang=en>a</SPAN>", Html),
            ("<lang lang=\"en\">a</lang>", Html),
        ] {
            assert!(has_languages(text, format), "{text}");
        }
        for (text, format) in [
            ("mlang {x} {}", Plain),
            ("<span lang=\"en\">a</span>", Html),
            ("<span class=\"multilang\">a</span>", Plain),
            ("the class multilang", Html),
        ] {
            assert!(!has_languages(text, format), "{text}");
        }
    }
}
