//! Reading XML that a stranger wrote: no document type, so no entities that grow or read files, and no more elements than
//! a bank needs.

use roxmltree::{Document, Node, ParsingOptions};

use super::{Format, Unreadable};

/// The most nodes of a document.
const MOST_NODES: u32 = 4_000_000;
/// The most attributes of an element. The reader compares each with all others.
const MOST_ATTRIBUTES: usize = 1_000;

/// A document that knows its lines.
pub(super) struct Xml<'a> {
    pub(super) document: Document<'a>,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl<'a> Xml<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, Unreadable> {
        check_attributes(text)?;
        let options =
            ParsingOptions { allow_dtd: false, nodes_limit: MOST_NODES, ..ParsingOptions::default() };
        let document = Document::parse_with_options(text, options).map_err(|error| {
            let line = error.pos().row;
            let reason = match error {
                roxmltree::Error::DtdDetected => {
                    "It has a document type (<!DOCTYPE>), which is not read. Take it out.".to_owned()
                }
                roxmltree::Error::NodesLimitReached => {
                    "It has too many elements. Import it in several files.".to_owned()
                }
                error => format!("It is no well-formed XML: {error}. Export it again, whole."),
            };
            Unreadable { line, reason }
        })?;
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Ok(Self { lines: [0].into_iter().chain(breaks).collect(), document })
    }

    /// The line that an element begins on, from 1.
    pub(super) fn line(&self, node: Node<'_, '_>) -> u32 {
        let line = self.lines.partition_point(|start| *start <= node.range().start);
        u32::try_from(line).unwrap_or(u32::MAX)
    }
}

fn check_attributes(text: &str) -> Result<(), Unreadable> {
    let (mut line, mut signs) = (1, 0);
    for byte in text.bytes() {
        match byte {
            b'\n' => line += 1,
            // No value of an attribute has this sign.
            b'<' => signs = 0,
            b'=' => signs += 1,
            _ => {}
        }
        if signs > MOST_ATTRIBUTES {
            let reason =
                format!("More than {MOST_ATTRIBUTES} signs of equality stand in one place. Take them out.");
            return Err(Unreadable { line, reason });
        }
    }
    Ok(())
}

/// Which of the XML formats a text is in, by its first elements.
pub(super) fn detect(text: &str) -> Option<Format> {
    let mut elements = text.split('<').skip(1).filter(|after| !after.starts_with(['?', '!']));
    let root = elements.next()?;
    let name = root.split([' ', '\t', '\r', '\n', '>', '/']).next()?;
    let name = name.rsplit(':').next()?;
    match name {
        "quiz" => Some(Format::MoodleXml),
        "question-bank" => Some(Format::Qti),
        name if name.starts_with("qti-assessment") || name.starts_with("assessment") => Some(Format::Qti),
        _ => None,
    }
}

/// The child elements of this name, whatever their namespace.
pub(super) fn children<'a, 'i>(
    node: Node<'a, 'i>,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'i>> + use<'a, 'i> {
    node.children().filter(move |child| child.is_element() && child.tag_name().name() == name)
}

/// The first child element of this name.
pub(super) fn child<'a, 'i>(node: Node<'a, 'i>, name: &'static str) -> Option<Node<'a, 'i>> {
    children(node, name).next()
}

/// All text below a node.
pub(super) fn text(node: Node<'_, '_>) -> String {
    node.descendants().filter(Node::is_text).filter_map(|node| node.text()).collect()
}

/// What stands between the tags of an element, as it was written.
pub(super) fn inner<'i>(node: Node<'_, 'i>, source: &'i str) -> &'i str {
    match (node.first_child(), node.last_child()) {
        (Some(first), Some(last)) => &source[first.range().start..last.range().end],
        _ => "",
    }
}

/// Text as XML, for content and for attributes in quotes. It has no control characters but the end of a line and the
/// tabulator, which are kept in content.
pub(super) fn escape(text: &str) -> String {
    super::markup::escape(text).replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> (u32, String) {
        let Err(Unreadable { line, reason }) = Xml::parse(text) else { panic!("{}", &text[..40]) };
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
        assert!(refused(&format!("<quiz{attributes}/>")).1.contains("equality"));
        let nested = format!("{}{}", "<a>".repeat(200_000), "</a>".repeat(200_000));
        // Read or refused, and never a fault.
        let _ = Xml::parse(&nested).map(|xml| text(xml.document.root()));
    }
}
