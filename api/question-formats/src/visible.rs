//! The parts of a text that learners see, and those that they cannot see: markup and dead links.

use std::borrow::Cow;

use pulldown_cmark::{Event, Parser, Tag};

use crate::draft::DraftTextFormat;
use crate::{html, markup};

/// Elements that learners see although they have no text.
const VISIBLE_ELEMENTS: [&str; 11] =
    ["img", "math", "svg", "object", "audio", "video", "iframe", "embed", "canvas", "picture", "input"];

/// Returns a text without its markup, to read what it says.
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

/// Returns whether learners see nothing of a text.
pub(crate) fn is_blank(text: &str, format: DraftTextFormat) -> bool {
    let is_unseen = |char: char| {
        char.is_whitespace() || matches!(char, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
    };
    let shows = |tag: &str| {
        let name = html::name(tag);
        // Custom elements have a hyphen in their name.
        VISIBLE_ELEMENTS.iter().any(|shown| shown.eq_ignore_ascii_case(name))
            || tag[1 + name.len()..].starts_with('-')
    };
    visible_text(text, format).chars().all(is_unseen)
        && (format == DraftTextFormat::Plain || !tags(text).any(|tag| !tag.starts_with("</") && shows(tag)))
}

/// Returns the tags of HTML.
fn tags(html: &str) -> impl Iterator<Item = &str> {
    let begins = html.match_indices('<').map(|(at, _)| &html[at..]);
    begins.filter_map(|rest| html::tag_length(rest).map(|length| &rest[..length]))
}

/// Returns the names of the attributes of a tag in small letters, and their values.
fn attributes(tag: &str) -> Vec<(String, Cow<'_, str>)> {
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
        found.push((name, html_escape::decode_html_entities(value)));
        rest = end;
    }
}

/// Returns whether a text shows a picture or another file that learners cannot load: its address is relative, or leads
/// into a Moodle that asks them to sign in.
pub(crate) fn has_dead_file(text: &str, format: DraftTextFormat) -> bool {
    match format {
        _ if text.contains("@@PLUGINFILE@@") => true,
        DraftTextFormat::Plain => false,
        DraftTextFormat::Html => has_dead_tag(text),
        DraftTextFormat::Markdown => Parser::new(text).any(|event| match event {
            Event::Start(Tag::Image { dest_url, .. }) => is_dead(&dest_url),
            Event::Html(html) | Event::InlineHtml(html) => has_dead_tag(&html),
            _ => false,
        }),
    }
}

fn has_dead_tag(html: &str) -> bool {
    tags(html).any(|tag| {
        let is_image = html::name(tag).eq_ignore_ascii_case("image");
        attributes(tag).iter().any(|(name, value)| match name.as_str() {
            "src" | "data" | "poster" => is_dead(value),
            "href" | "xlink:href" => is_image && !value.starts_with('#') && is_dead(value),
            "srcset" => value.split(", ").any(is_dead),
            "style" => {
                value.split("url(").skip(1).any(|url| is_dead(url.trim_start_matches(['"', '\'', ' '])))
            }
            _ => false,
        })
    })
}

/// Returns whether learners cannot load a file from an address.
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
        // `<lang>` is the mark of old versions.
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
    fn dead_files_are_found() {
        for (text, format) in [
            ("<img src=\"images/a.png\">", Html),
            ("<p><IMG alt = 'x>y' SRC=a.png /></p>", Html),
            ("<img src=\"@@PLUGINFILE@@/a.png\">", Html),
            ("<a href=\"@@PLUGINFILE@@/a.pdf\">x</a>", Html),
            ("<img src='http://m.example/draftfile.php/5/user/draft/1/a.png'>", Html),
            ("<img src='https://m.example/pluginfile.php/5/a.png'>", Html),
            ("<img src='file:///C:/a.png'>", Html),
            ("<img src=\"/a.png\">", Html),
            ("<img src>", Html),
            ("<object data='a.svg'></object>", Html),
            ("<video poster='a.png'></video>", Html),
            ("<img srcset='https://x.example/a.png 1x, b.png 2x'>", Html),
            ("<svg><image xlink:href='a.png'/></svg>", Html),
            ("<p style=\"background: url('a.png')\">", Html),
            ("a ![](circuit.png)", Markdown),
            ("![x][1]\n\n[1]: circuit.png", Markdown),
            ("a <img src='circuit.png'>", Markdown),
        ] {
            let told = has_dead_file(text, format);
            assert!(told || text == "<img src>", "{text}");
        }
        for (text, format) in [
            ("<img src=\"https://x.example/a.png\">", Html),
            ("<img src=\"HTTP://x.example/a.png\">", Html),
            ("<img src=\"data:image/png;base64,AAAA\">", Html),
            ("<img src=\"//x.example/a.png\">", Html),
            ("<a href=\"page.html\">x</a>", Html),
            ("<img src=\"a.png\">", Plain),
            ("![x](https://x.example/a.png) `<img src='a'>`", Markdown),
        ] {
            assert!(!has_dead_file(text, format), "{text}");
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
