//! QTI 3.0: the part of it that a bank has a place for. One `qti-assessment-item` is a document; several stand in one
//! element of ours, `question-bank`, since the standard puts several only into packages.
//!
//! Read are `qti-choice-interaction` with a response of identifiers, single or multiple, and `qti-text-entry-interaction`
//! with one number, whose tolerance is that of the `qti-equal` in its response processing. The only modal feedback is the
//! explanation, which is told where it was not for everybody. Whatever else is of the standard (elements `qti-…`) is left out and told where it is known not to be for
//! learners, and else refused. What the standard has no place for stands in `data-` attributes, which it leaves to everybody:
//! <https://www.imsglobal.org/spec/qti/v3p0/impl>, <https://www.imsglobal.org/sites/default/files/spec/qti/v3/info/index.html>.

mod body;
mod content;
mod key;
mod processing;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use write::{BEGIN, END, write};

use roxmltree::Node;

use crate::draft::{DraftAnswer, DraftOption};
use crate::labels::{difficulty, read_identity};
use crate::parsed::{ParsedFile, ParsedQuestion, Unreadable};
use crate::xml::{Xml, child};
use body::Body;

const ITEM: &str = "qti-assessment-item";

/// Reads a whole document. What is no question is refused by itself.
pub(crate) fn read(source: &str) -> Result<ParsedFile, Unreadable> {
    let xml = Xml::parse(source)?;
    let root = xml.document.root_element();
    let mut end = 0;
    // One in another is no item by itself.
    let items = xml.document.descendants().filter(|node| {
        let is_item = node.tag_name().name() == ITEM && node.range().start >= end;
        if is_item {
            end = node.range().end;
        }
        is_item
    });
    let mut items = items.peekable();
    if items.peek().is_none() {
        let reason = match root.tag_name().name() {
            "assessmentItem" | "assessmentTest" | "questestinterop" => {
                "It is QTI of an older version. Convert it to QTI 3.0.".to_owned()
            }
            "qti-assessment-test" => {
                "It is a test that names its items. Import the files of its items.".to_owned()
            }
            _ => format!("It has no <{ITEM}>, which a question is in QTI 3.0."),
        };
        return Err(Unreadable { line: xml.line(root), reason });
    }
    let mut reading = ParsedFile::default();
    for item in items {
        let line = xml.line(item);
        reading.add(line, item.attribute("identifier"), question(item, line, source));
    }
    Ok(reading)
}

fn question(item: Node<'_, '_>, line: u32, source: &str) -> Result<ParsedQuestion, String> {
    let body = child(item, "qti-item-body").ok_or("It has no qti-item-body, and so asks nothing.")?;
    let interaction = interaction(body)?;
    let response = interaction.attribute("response-identifier").unwrap_or("RESPONSE");
    let declaration = super::xml::children(item, "qti-response-declaration")
        .find(|declaration| declaration.attribute("identifier") == Some(response))
        .ok_or("Its interaction has no response declaration. Declare the response, with its key.")?;
    let mut losses = Vec::new();
    check_parts(item, &mut losses)?;
    let tolerance = processing::tolerance(item, response)?;
    if processing::is_by_mapping(item) {
        key::check_mapping(declaration)?;
    }
    if processing::has_own_marks(item) {
        losses.push("Its own marks are left out: the subject's marking scheme applies.".to_owned());
    }
    let Body { stem, options, explanation, text_format, marks } =
        body::read(item, body, interaction, source, &mut losses)?;
    let answer = if interaction.tag_name().name() == "qti-choice-interaction" {
        let (multiple, keys) = key::choice(declaration, interaction, &mut losses)?;
        let option = |(text, correct)| DraftOption { text, correct };
        let options = options.into_iter().zip(keys).map(option).collect();
        if multiple { DraftAnswer::Multiple(options) } else { DraftAnswer::Single(options) }
    } else {
        key::numeric(declaration, tolerance)?
    };
    if child(declaration, "qti-mapping").is_some() {
        losses.push("The marks of its mapping are left out: a sitting marks a question whole.".to_owned());
    }
    let id = marks.external_id.as_deref().or(item.attribute("identifier"));
    let (external_id, name) = read_identity(id, item.attribute("title"));
    Ok(ParsedQuestion {
        line,
        external_id,
        name,
        topic: marks.topic,
        difficulty: marks.difficulty.as_deref().and_then(difficulty),
        text_format,
        stem,
        answer,
        explanation,
        files: Vec::new(),
        losses,
    })
}

/// The one interaction of a body.
fn interaction<'a, 'i>(body: Node<'a, 'i>) -> Result<Node<'a, 'i>, String> {
    let mut found = content::shown(body).filter(|node| is_interaction(node.tag_name().name()));
    let interaction = found.next().ok_or("It has no interaction, and so nothing to answer.")?;
    if found.next().is_some() {
        return Err("It has several interactions. Make a question of each.".to_owned());
    }
    match interaction.tag_name().name() {
        "qti-choice-interaction" | "qti-text-entry-interaction" => Ok(interaction),
        name => Err(format!("It has a {name}, which is not kept. Make it a choice or a number.")),
    }
}

fn is_interaction(name: &str) -> bool {
    name.starts_with("qti-") && name.ends_with("-interaction")
}

/// What an item has besides its question: refuses what it cannot be understood without.
fn check_parts(item: Node<'_, '_>, losses: &mut Vec<String>) -> Result<(), String> {
    if matches!(item.attribute("adaptive"), Some("true" | "1")) {
        return Err(
            "It is adaptive, so that it asks again after an answer. Make it one that asks once.".to_owned()
        );
    }
    let (mut has_stimulus, mut has_supports) = (false, false);
    for part in item.children().filter(Node::is_element) {
        match part.tag_name().name() {
            "qti-response-declaration"
            | "qti-outcome-declaration"
            | "qti-item-body"
            | "qti-response-processing"
            | "qti-modal-feedback" => {}
            "qti-template-declaration" | "qti-template-processing" => {
                return Err(
                    "It is a template, of which each learner sees another question. Export questions made of it."
                        .to_owned(),
                );
            }
            "qti-assessment-stimulus-ref" => has_stimulus = true,
            "qti-stylesheet" | "qti-catalog-info" | "qti-companion-materials-info" => has_supports = true,
            name if name.starts_with("qti-") => {
                return Err(format!(
                    "It has a <{}>, which is not understood. Take it out.",
                    crate::labels::excerpt(name)
                ));
            }
            _ => {}
        }
    }
    // Where its text names the place of the stimulus, it is of no use without.
    if item.descendants().any(|node| node.has_attribute("data-stimulus-idref")) {
        return Err(
            "It shows a stimulus, which is in another file. Put the stimulus into its text.".to_owned()
        );
    }
    if has_supports {
        losses.push(content::SUPPORTS.to_owned());
    }
    if has_stimulus {
        losses.push(
            "Its stimulus is left out: it is in another file. See to it that the question can be answered without."
                .to_owned(),
        );
    }
    Ok(())
}
