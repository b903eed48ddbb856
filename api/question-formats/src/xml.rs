//! Reads XML of unknown origin. [`crate::xml_source`] first leaves out a document type whose only entities, if any, are
//! HTML's names of characters. Other document types are refused, because their entities can grow without bounds or read
//! files. Limits on elements, attributes and namespaces keep the time to read a document in proportion to its size.

use std::collections::HashSet;
use std::ops::Range;

use roxmltree::{Document, Node, ParsingOptions};

use crate::format::Format;
use crate::parsed::UnreadableFile;

/// The maximum number of nodes of a document.
const MAX_NODES: u32 = 4_000_000;
/// The maximum number of attributes of an element. roxmltree compares each attribute of an element with all its other
/// attributes.
const MAX_ATTRIBUTES: usize = 100;
/// The maximum number of different namespace declarations in a document. For each element that declares a namespace,
/// roxmltree copies the declarations of all elements around it, and compares each declaration with all others.
const MAX_NAMESPACES: usize = 64;

/// A parsed document, with the positions of its lines.
pub(crate) struct Xml<'a> {
    pub(crate) document: Document<'a>,
    /// The byte of the text at which each line begins.
    lines: Vec<usize>,
}

impl<'a> Xml<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Self, UnreadableFile> {
        check_tags(text)?;
        let options =
            ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
        let document = Document::parse_with_options(text, options).map_err(|error| {
            let line = error.pos().row;
            let reason = match error {
                roxmltree::Error::DtdDetected => {
                    "The file has a second document type (<!DOCTYPE>), or one that does not end. Remove it."
                        .to_owned()
                }
                roxmltree::Error::NodesLimitReached => {
                    "The file has too many elements. Split it into several files.".to_owned()
                }
                error => format!("This is not well-formed XML: {error}. Export the file again."),
            };
            UnreadableFile { line, reason }
        })?;
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Ok(Self { lines: [0].into_iter().chain(breaks).collect(), document })
    }

    /// Returns the line on which an element begins, counted from 1.
    pub(crate) fn line(&self, node: Node<'_, '_>) -> u32 {
        let line = self.lines.partition_point(|start| *start <= node.range().start);
        u32::try_from(line).unwrap_or(u32::MAX)
    }
}

/// Refuses a document that roxmltree would take too long to read.
fn check_tags(text: &str) -> Result<(), UnreadableFile> {
    let mut namespaces = HashSet::new();
    let mut at = 0;
    while let Some(start) = text[at..].find('<') {
        at += start;
        let rest = &text[at..];
        let other = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")];
        let length = match other.iter().find(|(begin, _)| rest.starts_with(begin)) {
            Some((begin, end)) => rest[begin.len()..].find(end).map(|to| begin.len() + to + end.len()),
            None => tag_length(rest, &mut namespaces).map_err(|reason| {
                let line = text[..at].bytes().filter(|byte| *byte == b'\n').count() + 1;
                UnreadableFile { line: u32::try_from(line).unwrap_or(u32::MAX), reason }
            })?,
        };
        // A tag does not end: stop here, because roxmltree refuses such a document.
        let Some(length) = length else { break };
        at += length;
    }
    Ok(())
}

/// Returns the length in bytes of the tag at the beginning of a text, or None if the tag does not end. Adds the
/// namespace declarations of the tag to `namespaces`. Refuses a tag with too many attributes, and too many namespaces
/// in total.
fn tag_length<'a>(text: &'a str, namespaces: &mut HashSet<&'a str>) -> Result<Option<usize>, String> {
    let bytes = text.as_bytes();
    let (mut at, mut attributes, mut attribute) = (1, 0, None);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'>' => return Ok(Some(at + 1)),
            b'=' => attributes += 1,
            b'"' | b'\'' => {
                let Some(length) = text[at + 1..].find(char::from(*byte)) else { return Ok(None) };
                let end = at + 1 + length;
                let declaration = text[attribute.unwrap_or(at)..end].trim_start();
                if declaration.starts_with("xmlns") {
                    namespaces.insert(declaration);
                }
                (at, attribute) = (end, Some(end + 1));
            }
            b' ' | b'\t' | b'\r' | b'\n' if attribute.is_none() => attribute = Some(at),
            _ => {}
        }
        if attributes > MAX_ATTRIBUTES {
            return Err(format!("An element has more than {MAX_ATTRIBUTES} attributes. Remove some."));
        }
        if namespaces.len() > MAX_NAMESPACES {
            return Err(format!(
                "The file has more than {MAX_NAMESPACES} namespaces (xmlns). Declare only those that it uses."
            ));
        }
        at += 1;
    }
    Ok(None)
}

/// Recognises the format of an XML document by its first element. Returns None for any other XML.
pub(crate) fn detect(text: &str) -> Option<Format> {
    match root_name(text)? {
        "quiz" if is_of_canvas(text) => None,
        "quiz" => Some(Format::MoodleXml),
        "question-bank" | "questestinterop" => Some(Format::Qti),
        name if name.starts_with("qti-assessment") || name.starts_with("assessment") => Some(Format::Qti),
        _ => None,
    }
}

/// Returns whether the `<quiz>` of a document is from Canvas, which writes the settings of a quiz into a `<quiz>`
/// element. That element has no questions of Moodle.
fn is_of_canvas(text: &str) -> bool {
    let tag = text.split_once("<quiz").map_or("", |(_, tag)| tag.split_once('>').map_or(tag, |(tag, _)| tag));
    tag.contains("canvas.instructure.com")
}

/// Returns the name of the first element, without its namespace prefix. Returns None if the text has no element.
pub(crate) fn root_name(text: &str) -> Option<&str> {
    let mut rest = text;
    let root = loop {
        rest = &rest[rest.find('<')?..];
        let end = match rest {
            comment if comment.starts_with("<!--") => "-->",
            other if other[1..].starts_with(['?', '!']) => ">",
            root => break &root[1..],
        };
        rest = rest.split_once(end)?.1;
    };
    let name = root.split([' ', '\t', '\r', '\n', '>', '/']).next()?;
    name.rsplit(':').next()
}

/// Returns the child elements with this name in any namespace.
pub(crate) fn children<'a, 'i>(
    node: Node<'a, 'i>,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'i>> + use<'a, 'i> {
    node.children().filter(move |child| child.is_element() && child.tag_name().name() == name)
}

/// Returns the first child element with this name.
pub(crate) fn child<'a, 'i>(node: Node<'a, 'i>, name: &'static str) -> Option<Node<'a, 'i>> {
    children(node, name).next()
}

/// Returns all text below a node.
pub(crate) fn text(node: Node<'_, '_>) -> String {
    node.descendants().filter(Node::is_text).filter_map(|node| node.text()).collect()
}

/// Returns the start tag of an element as it is in the source.
pub(crate) fn start_tag<'i>(node: Node<'_, '_>, source: &'i str) -> &'i str {
    let element = &source[node.range()];
    let length = tag_length(element, &mut HashSet::new()).ok().flatten();
    &element[..length.unwrap_or(element.len())]
}

/// Returns the range of the source between the start tag and the end tag of an element. The ranges of its child nodes
/// cannot be used, because the range of a text ends before its first CDATA section.
pub(crate) fn inner_range(node: Node<'_, '_>, source: &str) -> Range<usize> {
    let range = node.range();
    let tag = start_tag(node, source);
    let start = range.start + tag.len();
    // The last `</` belongs to the end tag.
    let end = source[start..range.end].rfind("</").map_or(range.end, |end| start + end);
    if tag.ends_with("/>") { range.end..range.end } else { start..end }
}

/// Escapes a text for the content of an element or for an attribute in double quotes. The only control characters of a
/// draft are line feeds and tabs, which XML keeps in content.
pub(crate) fn escape(text: &str) -> String {
    super::markup::escape(text).replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn refused(text: &str) -> (u32, String) {
        let Err(UnreadableFile { line, reason }) = Xml::parse(text) else { panic!("{}", &text[..40]) };
        (line, reason)
    }

    #[test]
    fn hostile_documents_are_refused() {
        let laughs =
            "<!DOCTYPE lolz [<!ENTITY lol \"lol\"><!ENTITY lol1 \"&lol;&lol;\">]>\n<quiz>&lol1;</quiz>";
        assert!(refused(laughs).1.contains("document type"));
        assert!(refused("<quiz>\n<question>").1.contains("well-formed"));
        assert_eq!(refused("<quiz>\n<a></b></quiz>").0, 2);
        let attributes: String = (0..100_000).map(|number| format!(" a{number}=''")).collect();
        assert!(refused(&format!("<quiz{attributes}/>")).1.contains("attributes"));
        let started = Instant::now();
        for declaration in ["xmlns:b{}='u'", "a='x=y' xmlns:b{} = \"u>\"", "xmlns='u{}'"] {
            let open: String = (0..4_000)
                .map(|number| format!("<a {}>\n", declaration.replace("{}", &number.to_string())))
                .collect();
            let (line, reason) = refused(&format!("{open}{}", "</a>".repeat(4_000)));
            assert!(line == 65 && reason.contains("64 namespaces"), "{line} {reason}");
        }
        // A namespace declaration that is repeated counts once.
        let again = "<a xmlns:b='u'>".repeat(4_000) + &"</a>".repeat(4_000);
        assert!(Xml::parse(&again).is_ok());
        // Five seconds are a hundred times longer than the test usually takes.
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        let nested = format!("{}{}", "<a>".repeat(200_000), "</a>".repeat(200_000));
        // The document may be read or refused, but must not crash the reader.
        let _ = Xml::parse(&nested).map(|xml| text(xml.document.root()));
    }

    #[test]
    fn the_first_element_tells_the_format() {
        for (text, format) in [
            ("<?xml version='1.0'?>\n<!-- by <a@b.c> -->\n<quiz>{}</quiz>", Some(Format::MoodleXml)),
            ("<!DOCTYPE quiz>\n<quiz/>", Some(Format::MoodleXml)),
            ("<!-- <quiz> -->\n<question-bank/>", Some(Format::Qti)),
            ("<q:qti-assessment-item/>", Some(Format::Qti)),
            (
                "<quiz identifier='x' xmlns=\"http://canvas.instructure.com/xsd/cccv1p0\"><title/></quiz>",
                None,
            ),
            ("<!-- <quiz>", None),
            ("<p>What? {=a ~b}</p>", None),
            ("<", None),
        ] {
            assert_eq!(detect(text), format, "{text}");
        }
    }

    #[test]
    fn equals_signs_count_as_attributes_only_in_tags() {
        let signs = "=".repeat(2_000);
        for text in
            ["<a>{}</a>", "<a b='{}'/>", "<a><!-- {} --></a>", "<a><![CDATA[{}]]></a>", "<?x {}?><a/>"]
        {
            assert!(Xml::parse(&text.replace("{}", &signs)).is_ok(), "{text}");
        }
    }

    #[test]
    fn the_range_between_tags_is_found() {
        for (source, inner) in [
            ("<a>x</a>", "x"),
            ("<a b='/>'>x<b/></a >", "x<b/>"),
            ("<a>x<![CDATA[</a>]]></a>", "x<![CDATA[</a>]]>"),
            ("<a></a>", ""),
            ("<a/>", ""),
        ] {
            let xml = Xml::parse(source).unwrap_or_else(|error| panic!("{error:?}"));
            assert_eq!(&source[inner_range(xml.document.root_element(), source)], inner, "{source}");
        }
    }
}
