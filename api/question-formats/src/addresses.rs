//! Finds the addresses of the files that a text shows, with their places in the text.

use std::borrow::Cow;
use std::ops::Range;

use pulldown_cmark::{Event, Parser, Tag, TagEnd};

use crate::draft::DraftTextFormat;
use crate::html;
use crate::visible::{is_unseen, raw_attributes, shows, visible_text};

/// The beginning of the addresses of the files of a question in Moodle.
pub(crate) const OF_MOODLE: &str = "@@PLUGINFILE@@";

/// The address of a file that a text shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// The place of the address in the text. `None` if the address cannot be replaced, because its place was not found.
    pub(crate) range: Option<Range<usize>>,
    /// The address, without escapes of HTML.
    pub(crate) address: String,
    /// The place of the element `object` that shows the file; `None` if another element shows the file.
    pub(crate) object: Option<Range<usize>>,
}

/// Finds the addresses of the files that a text shows. Returns them in the order of the text; addresses without a place
/// come last.
pub(crate) fn references(text: &str, format: DraftTextFormat) -> Vec<Reference> {
    let mut found = Vec::new();
    match format {
        DraftTextFormat::Plain => {
            for (at, _) in text.match_indices(OF_MOODLE) {
                let is_end =
                    |char: char| char.is_whitespace() || matches!(char, '"' | '\'' | '<' | '>' | ')');
                let length = text[at..].find(is_end).unwrap_or(text.len() - at);
                let address = text[at..at + length].to_owned();
                found.push(Reference { range: Some(at..at + length), address, object: None });
            }
        }
        DraftTextFormat::Html => in_html(text, 0..text.len(), &mut found),
        DraftTextFormat::Markdown => in_markdown(text, &mut found),
    }
    found.sort_by_key(|reference| reference.range.as_ref().map_or(usize::MAX, |range| range.start));
    found.dedup();
    found
}

/// Returns the position of a part of a text in this text. `part` must be a slice of `text`.
fn position(text: &str, part: &str) -> usize {
    part.as_ptr().addr() - text.as_ptr().addr()
}

fn in_html(text: &str, part: Range<usize>, found: &mut Vec<Reference>) {
    for tag in shown_tags(&text[part]).filter(|tag| !tag.starts_with("</")) {
        let name = html::name(tag);
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        let mut add = |value: &str, object: Option<Range<usize>>| {
            let value = value.trim();
            let start = position(text, value);
            let address = html_escape::decode_html_entities(value).into_owned();
            found.push(Reference { range: Some(start..start + value.len()), address, object });
        };
        for (attribute, value) in raw_attributes(tag) {
            match attribute.as_str() {
                "data" if is("object") => add(value, Some(object(text, tag))),
                "src" | "data" | "poster" => add(value, None),
                "href" | "xlink:href" if is("image") && !value.starts_with('#') => add(value, None),
                "srcset" => candidates(value).for_each(|value| add(value, None)),
                "style" => urls(value).for_each(|value| add(value, None)),
                _ if value.trim_start().starts_with(OF_MOODLE) => add(value, None),
                _ => {}
            }
        }
    }
}

/// Returns the tags of HTML that learners see. A `data:` address in a tag can contain tags, which browsers read as a
/// part of the address. So these inner tags are not returned.
fn shown_tags(html: &str) -> impl Iterator<Item = &str> {
    let mut end = 0;
    html.match_indices('<').filter_map(move |(at, _)| {
        let rest = html.get(at..).filter(|_| at >= end)?;
        let has_content = |tag: &&str| raw_attributes(tag).iter().any(|(_, value)| is_content(value));
        let tag = match html::tag_length(rest) {
            Some(length) => &rest[..length],
            None => html::tag_length_in_browsers(rest).map(|length| &rest[..length]).filter(has_content)?,
        };
        end = at + tag.len();
        Some(tag)
    })
}

/// Returns whether an address is a `data:` address, which contains the file.
fn is_content(address: &str) -> bool {
    address.trim_start().get(..5).is_some_and(|start| start.eq_ignore_ascii_case("data:"))
}

/// Returns the place of an element `object`, from its tag to its end tag.
fn object(text: &str, tag: &str) -> Range<usize> {
    let start = position(text, tag);
    let end = start + tag.len();
    let lower = text[end..].to_ascii_lowercase();
    let close = if tag.ends_with("/>") { None } else { lower.find("</object") };
    let close = close.and_then(|at| Some(end + at + html::tag_length(&text[end + at..])?));
    start..close.unwrap_or(end)
}

/// Returns the addresses of an attribute `srcset`. An address ends at white space and not at a comma, because it can
/// contain commas.
fn candidates(value: &str) -> impl Iterator<Item = &str> {
    let mut rest = value;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|char: char| char.is_whitespace() || char == ',');
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (address, after) = rest.split_at(end);
        rest = match address.ends_with(',') {
            true => after,
            false => after.split_once(',').map_or("", |(_, next)| next),
        };
        Some(address.trim_end_matches(',')).filter(|address| !address.is_empty())
    })
}

/// Returns the addresses of an attribute `style`: `url("…")`.
fn urls(value: &str) -> impl Iterator<Item = &str> {
    value.split("url(").skip(1).map(|rest| {
        let rest = rest.trim_start();
        let quote = ["\"", "'", "&quot;", "&#39;"].into_iter().find(|quote| rest.starts_with(quote));
        match quote {
            Some(quote) => rest[quote.len()..].split(quote).next().unwrap_or_default(),
            None => rest.split(')').next().unwrap_or_default(),
        }
    })
}

fn in_markdown(text: &str, found: &mut Vec<Reference>) {
    for Shown { range, address, .. } in shown_in_markdown(text) {
        found.push(Reference { range, address, object: None });
    }
    for part in html_parts(text) {
        in_html(text, part, found);
    }
}

/// A picture in Markdown, or a link to a file of Moodle.
struct Shown {
    /// The place of the address in the text; `None` if it was not found.
    range: Option<Range<usize>>,
    address: String,
    is_picture: bool,
}

fn shown_in_markdown(text: &str) -> Vec<Shown> {
    let parser = Parser::new(text);
    let definitions: Vec<(String, Range<usize>)> = parser
        .reference_definitions()
        .iter()
        .map(|(_, definition)| (definition.dest.to_string(), definition.span.clone()))
        .collect();
    let mut shown = Vec::new();
    for (event, range) in parser.into_offset_iter() {
        let (address, is_picture) = match &event {
            Event::Start(Tag::Image { dest_url, .. }) => (dest_url, true),
            Event::Start(Tag::Link { dest_url, .. }) if dest_url.starts_with(OF_MOODLE) => (dest_url, false),
            _ => continue,
        };
        // The address follows the text of the picture, or is in a link definition elsewhere in the document.
        let within = |span: &Range<usize>, skip: usize| {
            let found = text[span.clone()].rfind(&**address).filter(|at| *at >= skip);
            found.map(|at| span.start + at..span.start + at + address.len())
        };
        let skip = text[range.clone()].find("](").map_or(usize::MAX, |at| at + 2);
        let defined = || {
            definitions.iter().filter(|(dest, _)| **dest == **address).find_map(|(_, span)| within(span, 0))
        };
        let place = within(&range, skip).or_else(defined).filter(|place| !place.is_empty());
        shown.push(Shown { range: place, address: address.to_string(), is_picture });
    }
    shown
}

/// Returns the parts of Markdown that are HTML.
fn html_parts(text: &str) -> Vec<Range<usize>> {
    let mut parts: Vec<Range<usize>> = Vec::new();
    for (event, range) in Parser::new(text).into_offset_iter() {
        if !matches!(event, Event::Html(_) | Event::InlineHtml(_)) {
            continue;
        }
        // Each line of a block of HTML is an event of its own, but a tag can have several lines. So join adjacent
        // parts.
        match parts.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => parts.push(range),
        }
    }
    parts
}

/// Returns whether learners see something of a text if they do not see the files whose addresses are at the places
/// `dead`.
pub(crate) fn shows_more_than(text: &str, format: DraftTextFormat, dead: &[Range<usize>]) -> bool {
    let is_seen = |text: &str| !text.chars().all(is_unseen);
    let has_shown_tag = |part: Range<usize>| {
        shown_tags(&text[part]).filter(|tag| !tag.starts_with("</")).any(|tag| {
            let start = position(text, tag);
            let is_dead = dead.iter().any(|range| start < range.start && range.end <= start + tag.len());
            // The elements `audio`, `video` and `picture` can have their addresses in elements inside them.
            let is_container =
                ["audio", "video", "picture"].iter().any(|name| html::name(tag).eq_ignore_ascii_case(name));
            let is_source = html::name(tag).eq_ignore_ascii_case("source");
            !is_dead && (is_source || shows(tag) && (!is_container || has_source(tag)))
        })
    };
    match format {
        DraftTextFormat::Plain => is_seen(text),
        DraftTextFormat::Html => is_seen(&visible_text(text, format)) || has_shown_tag(0..text.len()),
        DraftTextFormat::Markdown => {
            let is_alive = |shown: &Shown| {
                shown.is_picture && shown.range.as_ref().is_some_and(|place| !dead.contains(place))
            };
            let shows_html = |part: Range<usize>| {
                is_seen(&visible_text(&text[part.clone()], DraftTextFormat::Html)) || has_shown_tag(part)
            };
            has_text(text)
                || shown_in_markdown(text).iter().any(is_alive)
                || html_parts(text).into_iter().any(shows_html)
        }
    }
}

/// Returns whether Markdown has visible text outside of its pictures and its HTML, or a horizontal rule.
fn has_text(text: &str) -> bool {
    let mut pictures = 0;
    Parser::new(text).any(|event| {
        match event {
            Event::Start(Tag::Image { .. }) => pictures += 1,
            Event::End(TagEnd::Image) => pictures -= 1,
            Event::Text(text) | Event::Code(text) => return pictures == 0 && !text.chars().all(is_unseen),
            Event::Rule => return true,
            _ => {}
        }
        false
    })
}

/// Returns whether a tag has the attribute `src`.
fn has_source(tag: &str) -> bool {
    raw_attributes(tag).iter().any(|(name, _)| name == "src")
}

/// Returns an element `img` that replaces an element `object`, because most frontends remove `object`. `address` is the
/// address of the picture.
pub(crate) fn as_img(object: &str, address: &str) -> String {
    let tag = &object[..html::tag_length(object).unwrap_or(object.len())];
    let inside = object[tag.len()..].rsplit_once("</").map_or("", |(inside, _)| inside);
    let alt = visible_text(inside, DraftTextFormat::Html);
    let quoted = |text: &str| crate::xml::escape(text.trim());
    let mut img = format!("<img src=\"{address}\" alt=\"{}\"", quoted(&alt));
    for (name, value) in raw_attributes(tag) {
        if matches!(name.as_str(), "width" | "height") {
            let value: Cow<'_, str> = html_escape::decode_html_entities(value);
            img.push_str(&format!(" {name}=\"{}\"", quoted(&value)));
        }
    }
    img.push_str("/>");
    img
}

#[cfg(test)]
mod tests {
    use super::*;

    use DraftTextFormat::{Html, Markdown, Plain};

    #[test]
    fn addresses_are_found_where_they_are() {
        for (text, format, addresses) in [
            ("<img src=\"images/a.png\"><IMG alt='x>y' SRC = b.png />", Html, &["images/a.png", "b.png"][..]),
            ("<a href=\"@@PLUGINFILE@@/a%20b.pdf\">x</a><a href=\"b\">", Html, &["@@PLUGINFILE@@/a%20b.pdf"]),
            (
                "<img srcset='a.png 1x, data:image/png;base64,AA 2x,b.png'>",
                Html,
                &["a.png", "data:image/png;base64,AA", "b.png"],
            ),
            ("<p style=\"background: url('a.png'); x: url( b.png )\">", Html, &["a.png", "b.png"]),
            ("<p style=\"background: url(&quot;a.png&quot;)\">", Html, &["a.png"]),
            ("<svg><image xlink:href='a.png'/><use href='#a'/></svg>", Html, &["a.png"]),
            ("<img src=\"data:image/svg+xml,<svg></svg>\"> <b", Html, &["data:image/svg+xml,<svg></svg>"]),
            ("<img src='?a=1&amp;b=2'>", Html, &["?a=1&b=2"]),
            ("a ![b.png](b.png) ![c](<d e.png> \"t\")", Markdown, &["b.png", "d e.png"]),
            ("![x][1] and ![y][1]\n\n[1]: circuit.png", Markdown, &["circuit.png"]),
            ("a <img\nsrc='c.png'> `<img src='a'>`", Markdown, &["c.png"]),
            ("<div>\n<img alt=''\nsrc='c.png'>\n</div>", Markdown, &["c.png"]),
            ("<img src='@@PLUGINFILE@@/a.png'>", Plain, &["@@PLUGINFILE@@/a.png"]),
        ] {
            let found = references(text, format);
            let named: Vec<_> = found.iter().map(|reference| reference.address.as_str()).collect();
            assert_eq!(named, addresses, "{text}");
            for Reference { range, address, .. } in &found {
                let written = &text[range.clone().expect("a place")];
                assert_eq!(html_escape::decode_html_entities(written), *address, "{text}");
            }
        }
    }

    #[test]
    fn a_text_that_is_only_a_dead_picture_shows_nothing() {
        for (text, format, shows) in [
            ("<p><img src='DEAD' alt='a graph'></p>", Html, false),
            ("<picture><source srcset='DEAD'><img src='DEAD'></picture>", Html, false),
            ("<video><source src='DEAD'></video>", Html, false),
            ("<img src='DEAD'><img src='live'>", Html, true),
            ("<img src='DEAD'> x", Html, true),
            ("<video><source src='DEAD'><source src='live'></video>", Html, true),
            ("<math><mi></mi></math><img src='DEAD'>", Html, true),
            ("![a graph](DEAD)", Markdown, false),
            ("![a graph][1]\n\n[1]: DEAD", Markdown, false),
            ("<img src='DEAD'>", Markdown, false),
            ("<p>\n<img\nsrc='DEAD'>\n</p>", Markdown, false),
            ("<p>Which? <img src='DEAD'></p>", Markdown, true),
            ("![a graph](DEAD) Which?", Markdown, true),
            ("![a](DEAD) ![b](live)", Markdown, true),
        ] {
            let dead: Vec<_> = text.match_indices("DEAD").map(|(at, dead)| at..at + dead.len()).collect();
            assert_eq!(shows_more_than(text, format, &dead), shows, "{text}");
        }
    }

    #[test]
    fn an_object_becomes_an_img() {
        let text =
            "<p>a <object data=\"a.png\" type=\"image/png\" width=\"20\">the <b>graph</b></object> b</p>";
        let object = references(text, Html).remove(0).object.expect("an object");
        assert_eq!(as_img(&text[object], "x"), "<img src=\"x\" alt=\"the graph\" width=\"20\"/>");
    }
}
