//! Reads the content of an item that learners see. An item also has content for other people, such as instructions for
//! scorers, feedback and comments, and this content often reveals the key.

use std::borrow::Cow;
use std::ops::Range;

use roxmltree::Node;

use super::key::CHOICES;
use crate::html;
use crate::markup::{self, COMMENTS_LOSS};
use crate::xml::{inner_range, start_tag};

/// A reader of the content for learners. It collects a loss for each kind of content that it leaves out.
pub(super) struct Content<'s> {
    source: &'s str,
    pub(super) losses: Vec<&'static str>,
    /// The first element or text that the reader does not understand, so that it cannot tell whether learners should
    /// see this element or text. `None` if the reader understands all content.
    pub(super) unknown: Option<String>,
}

/// A range of the source, and the text that replaces it.
type SourceEdit = (Range<usize>, Cow<'static, str>);

/// The namespaces whose elements browsers recognise without a prefix.
const NAMESPACES: [&str; 3] =
    ["http://www.w3.org/1998/Math/MathML", "http://www.w3.org/1999/xhtml", "http://www.w3.org/2000/svg"];

/// Returns whether a namespace belongs to QTI, or to APIP, a variant of QTI. Elements of HTML in an item also have the
/// namespace of QTI. Also returns true for other namespaces of IMS that begin with `ims`.
pub(super) fn is_of_qti(namespace: &str) -> bool {
    let name = namespace.strip_prefix("http://www.imsglobal.org/xsd/").unwrap_or_default();
    name.starts_with("ims") || name.starts_with("apip/") && name.contains("/imsqti")
}

/// The treatment of a node of an item.
enum Treatment {
    Kept,
    /// The content is kept between these two texts, and the element itself is dropped.
    Unwrapped(&'static str, &'static str),
    /// The node is left out, with this loss.
    Dropped(&'static str),
    Unknown,
}

const FEEDBACK_LOSS: &str = "The feedback for each answer is left out: a question has only one explanation.";
const RUBRIC_LOSS: &str = "Its rubric blocks that are not for candidates are left out.";
const TEMPLATE_LOSS: &str = "Its template blocks are left out.";
pub(super) const SUPPORTS_LOSS: &str = "Its style sheets, catalogs of supports and companion materials are left out: a question is text and pictures.";

/// Decides how to treat a node.
fn treatment(node: Node<'_, '_>) -> Treatment {
    if node.is_comment() || node.is_pi() {
        return Treatment::Dropped(COMMENTS_LOSS);
    }
    if !node.is_element() {
        return Treatment::Kept;
    }
    let is_for_learners = || {
        let mut views = node.attribute("view").unwrap_or_default().split_whitespace();
        views.any(|view| view == "candidate")
    };
    match node.tag_name().name() {
        "qti-content-body" => Treatment::Unwrapped("", ""),
        "qti-rubric-block" if is_for_learners() => Treatment::Unwrapped("<div>", "</div>"),
        "qti-rubric-block" => Treatment::Dropped(RUBRIC_LOSS),
        "qti-modal-feedback" => Treatment::Dropped(FEEDBACK_LOSS),
        "qti-stylesheet" | "qti-catalog-info" => Treatment::Dropped(SUPPORTS_LOSS),
        name if name.starts_with("qti-feedback-") => Treatment::Dropped(FEEDBACK_LOSS),
        name if name.starts_with("qti-template-") => Treatment::Dropped(TEMPLATE_LOSS),
        name if name.starts_with("qti-") => Treatment::Unknown,
        _ => Treatment::Kept,
    }
}

/// Returns the child elements of a node, without those that learners do not see.
pub(super) fn elements<'a, 'i>(node: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(|child| child.is_element() && !matches!(treatment(*child), Treatment::Dropped(_)))
}

/// Returns all text in a node, without the text that learners do not see.
pub(super) fn text(node: Node<'_, '_>) -> String {
    shown(node).filter(Node::is_text).filter_map(|node| node.text()).collect()
}

/// Returns the descendants of a node, without the parts of the question that learners do not see.
pub(super) fn shown<'a, 'i>(node: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    let mut dropped = 0;
    node.descendants().skip(1).filter(move |node| {
        if node.range().start < dropped {
            return false;
        }
        if matches!(treatment(*node), Treatment::Dropped(_)) {
            dropped = node.range().end;
            return false;
        }
        true
    })
}

impl<'s> Content<'s> {
    pub(super) fn new(source: &'s str) -> Self {
        Self { source, losses: Vec::new(), unknown: None }
    }

    fn tell(&mut self, loss: &'static str) {
        if !self.losses.contains(&loss) {
            self.losses.push(loss);
        }
    }

    /// Checks the children of an interaction. Records the loss for a child that is left out. Records the first child
    /// that is neither a prompt nor a choice as unknown.
    pub(super) fn check_interaction(&mut self, interaction: Node<'_, '_>) {
        let mut has_prompt = false;
        for node in interaction.children() {
            let name = node.tag_name().name();
            match treatment(node) {
                Treatment::Dropped(loss) => self.tell(loss),
                _ if CHOICES.contains(&name) => {}
                _ if name == "qti-prompt" && !has_prompt => has_prompt = true,
                _ if node.is_text() => {
                    let said = node.text().unwrap_or_default().trim();
                    if !said.is_empty() {
                        self.unknown.get_or_insert_with(|| format!("the text \"{said}\" in its interaction"));
                    }
                }
                _ => {
                    self.unknown.get_or_insert_with(|| start_tag(node, self.source).to_owned());
                }
            }
        }
    }

    /// Returns the content of a node as HTML.
    pub(super) fn html(&mut self, node: Node<'_, '_>) -> String {
        let changes = self.changes(node, None);
        self.copy(inner_range(node, self.source), &changes)
    }

    /// Returns the content of `node` before and after the node `other` in it, as HTML.
    pub(super) fn around(&mut self, node: Node<'_, '_>, other: Node<'_, '_>) -> [String; 2] {
        let changes = self.changes(node, Some(other));
        let (whole, cut) = (inner_range(node, self.source), other.range());
        let after = changes.partition_point(|(range, _)| range.start < cut.start);
        let (before, after) = changes.split_at(after);
        [self.copy(whole.start..cut.start, before), self.copy(cut.end..whole.end, after)]
    }

    /// Returns the changes that make the content of a node HTML for learners, in the order of the source. Skips the
    /// node `except`.
    fn changes(&mut self, node: Node<'_, '_>, except: Option<Node<'_, '_>>) -> Vec<SourceEdit> {
        let mut changes = Vec::new();
        let mut done = 0;
        for node in node.descendants().skip(1) {
            let range = node.range();
            if range.start < done {
                continue;
            }
            if Some(node) == except {
                done = range.end;
                continue;
            }
            match treatment(node) {
                Treatment::Kept => {
                    if node.is_element() {
                        self.as_html(node, &mut changes);
                    }
                }
                Treatment::Unwrapped(before, after) => {
                    let inner = inner_range(node, self.source);
                    if inner.is_empty() {
                        changes.push((range, "".into()));
                    } else {
                        changes.push((range.start..inner.start, before.into()));
                        changes.push((inner.end..range.end, after.into()));
                    }
                }
                Treatment::Dropped(loss) => {
                    done = range.end;
                    self.tell(loss);
                    changes.push((range, "".into()));
                }
                Treatment::Unknown => {
                    self.unknown.get_or_insert_with(|| start_tag(node, self.source).to_owned());
                }
            }
        }
        // Sort the changes, because the change of an end tag was collected before the changes inside the element.
        changes.sort_by_key(|(range, _)| range.start);
        changes
    }

    /// Adds the changes after which browsers read the tag of a node as intended. Browsers recognise no prefixes, and in
    /// HTML only elements without content may end with `/>`.
    fn as_html(&self, node: Node<'_, '_>, changes: &mut Vec<SourceEdit>) {
        let (range, tag) = (node.range(), start_tag(node, self.source));
        let is_known_name = |name: &str| NAMESPACES.contains(&name) || is_of_qti(name);
        let is_known = node.tag_name().namespace().is_some_and(is_known_name);
        let prefix =
            tag[1..].split([' ', '\t', '\r', '\n', '/', '>']).next().and_then(|name| name.split_once(':'));
        let prefix = prefix.filter(|_| is_known).map_or(0, |(prefix, _)| prefix.len() + 1);
        let without = |start: usize| (start..start + prefix, "".into());
        if prefix > 0 {
            changes.push(without(range.start + 1));
        }
        let name = &tag[1 + prefix..].split([' ', '\t', '\r', '\n', '/', '>']).next().unwrap_or_default();
        if !tag.ends_with("/>") {
            let end = inner_range(node, self.source).end;
            changes.extend((prefix > 0).then(|| without(end + 2)));
        } else if !html::is_void(name) {
            changes.push((range.end - 2..range.end, format!("></{name}>").into()));
        }
    }

    fn copy(&self, range: Range<usize>, changes: &[SourceEdit]) -> String {
        let mut html = String::with_capacity(range.len());
        let mut at = range.start;
        for (changed, instead) in changes {
            push_html(&mut html, &self.source[at..changed.start]);
            html.push_str(instead);
            at = changed.end;
        }
        push_html(&mut html, &self.source[at..range.end]);
        html
    }
}

/// Appends XML as HTML. Escapes the text in CDATA sections, because browsers read such a section as a comment.
fn push_html(html: &mut String, xml: &str) {
    let mut rest = xml;
    while let Some((before, after)) = rest.split_once("<![CDATA[") {
        let (text, after) = after.split_once("]]>").unwrap_or((after, ""));
        html.push_str(before);
        html.push_str(&markup::escape(text));
        rest = after;
    }
    html.push_str(rest);
}
