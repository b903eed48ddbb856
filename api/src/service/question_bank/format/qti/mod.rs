//! QTI 3.0: the part of it that a bank has a place for. One `qti-assessment-item` is a document; several stand in one
//! element of ours, `question-bank`, since the standard puts several only into packages.
//!
//! Read are `qti-choice-interaction` with a response of identifiers, single or multiple, and `qti-text-entry-interaction`
//! with one number, whose tolerance is that of a `qti-equal` in its response processing. The only modal feedback is the
//! explanation. What the standard has no place for stands in `data-` attributes, which it leaves to everybody:
//! <https://www.imsglobal.org/spec/qti/v3p0/impl>, <https://www.imsglobal.org/sites/default/files/spec/qti/v3/info/index.html>.

mod body;
mod key;
mod write;

#[cfg(test)]
mod tests;

pub(super) use write::{BEGIN, END, write};

use roxmltree::Node;

use super::super::draft::{DraftAnswer, DraftOption, Found};
use super::xml::{Xml, child};
use super::{Reading, Unreadable, difficulty, read_identity};
use body::Body;

const ITEM: &str = "qti-assessment-item";

/// Reads a whole document. What is no question is refused by itself.
pub(super) fn read(source: &str) -> Result<Reading, Unreadable> {
    let xml = Xml::parse(source)?;
    let root = xml.document.root_element();
    let items = || xml.document.descendants().filter(|node| node.tag_name().name() == ITEM);
    if items().next().is_none() {
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
    let mut reading = Reading::default();
    for item in items() {
        let line = xml.line(item);
        reading.take(line, item.attribute("identifier"), question(item, line, source));
    }
    Ok(reading)
}

fn question(item: Node<'_, '_>, line: u32, source: &str) -> Result<Found, String> {
    let body = child(item, "qti-item-body").ok_or("It has no qti-item-body, and so asks nothing.")?;
    let interaction = interaction(body)?;
    let response = interaction.attribute("response-identifier").unwrap_or("RESPONSE");
    let declaration = super::xml::children(item, "qti-response-declaration")
        .find(|declaration| declaration.attribute("identifier") == Some(response))
        .ok_or("Its interaction has no response declaration. Declare the response, with its key.")?;
    let mut losses = Vec::new();
    let Body { stem, options, explanation, text_format, marks } =
        body::read(item, body, interaction, source, &mut losses);
    let answer = if interaction.tag_name().name() == "qti-choice-interaction" {
        let (multiple, keys) = key::choice(declaration, interaction, &mut losses)?;
        let option = |(text, correct)| DraftOption { text, correct };
        let options = options.into_iter().zip(keys).map(option).collect();
        if multiple { DraftAnswer::Multiple(options) } else { DraftAnswer::Single(options) }
    } else {
        key::numeric(item, declaration)?
    };
    if child(declaration, "qti-mapping").is_some() {
        losses.push("The marks of its mapping are left out: a sitting marks a question whole.".to_owned());
    }
    let id = marks.external_id.as_deref().or(item.attribute("identifier"));
    let title = item.attribute("title");
    Ok(Found {
        line,
        external_id: read_identity(id, title, &mut losses),
        topic: marks.topic,
        difficulty: marks.difficulty.as_deref().and_then(difficulty),
        text_format,
        stem,
        answer,
        explanation,
        losses,
    })
}

/// The one interaction of a body.
fn interaction<'a, 'i>(body: Node<'a, 'i>) -> Result<Node<'a, 'i>, String> {
    let mut found = body
        .descendants()
        .filter(|node| node.is_element() && node.tag_name().name().ends_with("-interaction"));
    let interaction = found.next().ok_or("It has no interaction, and so nothing to answer.")?;
    if found.next().is_some() {
        return Err("It has several interactions. Make a question of each.".to_owned());
    }
    match interaction.tag_name().name() {
        "qti-choice-interaction" | "qti-text-entry-interaction" => Ok(interaction),
        name => Err(format!("It has a {name}, which is not kept. Make it a choice or a number.")),
    }
}
