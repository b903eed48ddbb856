//! Rewrites QTI 2.0, 2.1 and 2.2 as QTI 3.0. These versions have the model of QTI 3.0 with other names: `simpleChoice`
//! is `qti-simple-choice`, and the attribute `maxChoices` is `max-choices`.

use std::ops::Range;

use roxmltree::Node;

use super::content;
use crate::parsed::{ParsedFile, UnreadableFile};
use crate::xml::{Xml, inner_range, start_tag};

/// Elements of QTI 2 whose names have no capital letter. All other elements of QTI 2 have a capital letter in their
/// names, and elements of HTML have none.
const SMALL_NAMES: [&str; 32] = [
    "value",
    "mapping",
    "prompt",
    "gap",
    "hottext",
    "stylesheet",
    "variable",
    "default",
    "correct",
    "null",
    "multiple",
    "ordered",
    "index",
    "random",
    "member",
    "delete",
    "contains",
    "substring",
    "not",
    "and",
    "or",
    "match",
    "equal",
    "inside",
    "lt",
    "gt",
    "lte",
    "gte",
    "sum",
    "product",
    "subtract",
    "divide",
];

/// Rewrites a document of QTI 2 with the names of QTI 3.0. Line numbers stay the same. Returns `None` if the document
/// is not QTI 2.
///
/// # Errors
/// Returns an error with the line in which the document is not well-formed.
pub(super) fn as_qti3(source: &str) -> Result<Option<String>, UnreadableFile> {
    if !source.contains("assessmentItem") && !source.contains("assessmentTest") {
        return Ok(None);
    }
    let xml = Xml::parse(source)?;
    let mut elements = xml.document.descendants().filter(|node| is_of_qti(*node));
    if !elements.any(|node| matches!(node.tag_name().name(), "assessmentItem" | "assessmentTest")) {
        return Ok(None);
    }
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    for node in xml.document.descendants().filter(|node| is_of_qti(*node)) {
        let old = node.tag_name().name();
        let new = format!("qti-{}", kebab(old));
        let (range, tag) = (node.range(), start_tag(node, source));
        let prefix = tag[1..].find(old).unwrap_or(0);
        let mut rename = |start: usize| edits.push((start + prefix..start + prefix + old.len(), new.clone()));
        rename(range.start + 1);
        if !tag.ends_with("/>") {
            rename(inner_range(node, source).end + 2);
        }
        let own = node.attributes().filter(|attribute| attribute.namespace().is_none());
        edits.extend(own.map(|attribute| (attribute.range_qname(), kebab(attribute.name()))));
    }
    edits.sort_by_key(|(range, _)| range.start);
    let mut rewritten = String::with_capacity(source.len() + edits.len() * 8);
    let mut at = 0;
    for (range, name) in edits {
        rewritten.push_str(&source[at..range.start]);
        rewritten.push_str(&name);
        at = range.end;
    }
    rewritten.push_str(&source[at..]);
    Ok(Some(rewritten))
}

/// Returns whether a node is an element of QTI 2, and not an element of HTML or MathML.
fn is_of_qti(node: Node<'_, '_>) -> bool {
    let name = node.tag_name().name();
    let is_namespace = node.tag_name().namespace().is_none_or(content::is_of_qti);
    node.is_element()
        && is_namespace
        && (name.chars().any(|char| char.is_ascii_uppercase()) || SMALL_NAMES.contains(&name))
        && name.starts_with(|char: char| char.is_ascii_lowercase())
}

/// Returns a name such as `maxChoices` as `max-choices`.
fn kebab(name: &str) -> String {
    let mut kebab = String::with_capacity(name.len() + 4);
    for char in name.chars() {
        if char.is_ascii_uppercase() {
            kebab.push('-');
        }
        kebab.push(char.to_ascii_lowercase());
    }
    kebab
}

/// Replaces names of QTI 3.0 with names of QTI 2 in the refusals and losses of a file.
pub(super) fn with_older_names(mut parsed: ParsedFile) -> ParsedFile {
    parsed.refused.iter_mut().for_each(|refused| refused.reason = older_names(&refused.reason));
    for question in &mut parsed.questions {
        question.losses.iter_mut().for_each(|loss| *loss = older_names(loss));
    }
    parsed
}

/// Replaces names of QTI 3.0 in a sentence, such as `qti-item-body`, with names of QTI 2.
pub(super) fn older_names(sentence: &str) -> String {
    let sentence = sentence.replace("base-type", "baseType").replace("tolerance-mode", "toleranceMode");
    let mut parts = sentence.split("qti-");
    let mut older = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|char: char| !char.is_ascii_lowercase() && char != '-').unwrap_or(part.len());
        let mut capital = false;
        for char in part[..end].chars() {
            match char {
                '-' => capital = true,
                char => {
                    older.push(if capital { char.to_ascii_uppercase() } else { char });
                    capital = false;
                }
            }
        }
        older.push_str(&part[end..]);
    }
    older
}
