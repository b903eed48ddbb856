//! Reads QTI 1.2 to 3.0, as far as a draft can hold it, and writes QTI 3.0.
//! <https://www.imsglobal.org/spec/qti/v3p0/impl>,
//! <https://www.imsglobal.org/sites/default/files/spec/qti/v3/info/index.html>
//!
//! In the standard, a `qti-assessment-item` is a document of its own, and only packages combine several items. This
//! crate writes several items into an element of its own, `question-bank`.
//!
//! The reader accepts `qti-choice-interaction` and `qti-inline-choice-interaction` with one or several correct
//! identifiers, and `qti-text-entry-interaction` with one number or with accepted texts. The tolerance of a number
//! comes from the comparisons in the response processing. If there is only one modal feedback, it becomes the
//! explanation; if it was not for all answers, a loss says so. Other elements of the standard are left out if learners
//! do not need them, and refused if their meaning is not known.
//!
//! QTI 2.0 to 2.2 has the same model with other names. The reader rewrites it as QTI 3.0. QTI 1.2 has a model of its
//! own.
//!
//! The writer puts the id, the topic and the difficulty into `data-` attributes, which the standard allows for any use.

mod body;
mod choice_key;
mod content;
mod declarations;
mod expression;
mod first;
mod key;
mod number_key;
mod older;
mod processing;
mod run;
mod scope;
mod tables;
mod text_key;
mod value;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use write::{BEGIN, END, write};

use roxmltree::Node;

use crate::assemble::assemble;
use crate::key::ParsedKey;
use crate::labels::{difficulty, excerpt, read_identity};
use crate::parsed::{OWN_MARKS_LOSS, ParsedFile, ParsedQuestion, UnreadableFile};
use crate::xml::{self, Xml, child};
use crate::xml_source::prepare;
use body::ItemTexts;
use declarations::Declarations;

const ITEM: &str = "qti-assessment-item";

/// The namespace of elements that include the content of another file.
const INCLUDES: &str = "http://www.w3.org/2001/XInclude";

/// The reason to refuse a file that is only the manifest of a package.
pub(crate) const MANIFEST_REASON: &str = "The file is the manifest of a package (<manifest>), which names the files of the questions. Import the whole package \
     as a ZIP file, or the files of the items.";

/// Reads all items of a document. Refuses each item that cannot be read as a question, and still reads the other
/// items.
pub(crate) fn read(source: &str) -> Result<ParsedFile, UnreadableFile> {
    let source = prepare(source)?;
    if xml::root_name(&source) == Some(first::ROOT) {
        return first::read(&source);
    }
    match older::as_qti3(&source)? {
        None => read_items(&source),
        Some(rewritten) => read_items(&rewritten)
            .map(older::with_older_names)
            .map_err(|error| UnreadableFile { reason: older::older_names(&error.reason), ..error }),
    }
}

fn read_items(source: &str) -> Result<ParsedFile, UnreadableFile> {
    let xml = Xml::parse(source)?;
    let root = xml.document.root_element();
    let mut end = 0;
    // Skip an item inside another item.
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
            "manifest" => MANIFEST_REASON.to_owned(),
            "qti-assessment-test" => {
                "The file is a test that names its items. Import the files of the items.".to_owned()
            }
            name => format!(
                "The file begins with <{}> and has no <{ITEM}>, the element of a question in QTI. Choose another \
                 format, or export the file as QTI.",
                excerpt(name)
            ),
        };
        return Err(UnreadableFile { line: xml.line(root), reason });
    }
    let mut parsed = ParsedFile::default();
    for item in items {
        let line = xml.line(item);
        let name = item.attribute("identifier").or_else(|| item.attribute("title"));
        parsed.add(line, name, question(item, line, source));
    }
    Ok(parsed)
}

fn question(item: Node<'_, '_>, line: u32, source: &str) -> Result<ParsedQuestion, String> {
    let body = child(item, "qti-item-body")
        .ok_or("It has no qti-item-body, so it asks nothing. Add the question.")?;
    let interaction = interaction(body)?;
    let response = interaction.attribute("response-identifier").unwrap_or("RESPONSE");
    let declaration = xml::children(item, "qti-response-declaration")
        .find(|declaration| declaration.attribute("identifier") == Some(response))
        .ok_or("Its interaction has no response declaration. Declare the response, with its key.")?;
    let mut losses = Vec::new();
    check_parts(item, &mut losses)?;
    let declarations = Declarations::new(item, declaration)?;
    let key = match interaction.tag_name().name() {
        "qti-choice-interaction" | "qti-inline-choice-interaction" => {
            choice_key::read(&declarations, interaction)?
        }
        _ if key::is_text(declaration) => text_key::read(&declarations, &mut losses)?,
        _ => number_key::read(&declarations, &mut losses)?,
    };
    let has_mapping = child(declaration, "qti-mapping").is_some() && !matches!(key, ParsedKey::Text { .. });
    if has_mapping {
        losses.push("The marks of its mapping are left out: an answer is either right or wrong.".to_owned());
    } else if declarations.has_own_marks() {
        losses.push(OWN_MARKS_LOSS.to_owned());
    }
    let ItemTexts { texts, data } = body::read(item, body, interaction, source, &mut losses)?;
    let whole = assemble(key, texts, Some(key::order(interaction)), &mut Vec::new(), &mut losses);
    let id = data.external_id.as_deref().or(item.attribute("identifier"));
    let (external_id, name) = read_identity(id, item.attribute("title"));
    Ok(ParsedQuestion {
        line,
        external_id,
        derived_id: String::new(),
        earlier_derived_id: None,
        name,
        topic: data.topic,
        difficulty: data.difficulty.as_deref().and_then(difficulty),
        text_format: whole.text_format,
        stem: whole.stem,
        answer: whole.answer,
        option_order: whole.option_order,
        explanation: whole.explanation,
        pictures: Vec::new(),
        files: Vec::new(),
        losses,
    })
}

/// Finds the interaction of a body. Refuses a body with no interaction, with several interactions, or with an
/// interaction of another kind than a choice or a text entry.
fn interaction<'a, 'i>(body: Node<'a, 'i>) -> Result<Node<'a, 'i>, String> {
    let mut found = content::shown(body).filter(|node| is_interaction(node.tag_name().name()));
    let interaction = found
        .next()
        .ok_or("It has no interaction, so learners cannot answer it. Add a choice or a text entry.")?;
    if found.next().is_some() {
        return Err("It has several interactions. Make a question of each.".to_owned());
    }
    match interaction.tag_name().name() {
        "qti-choice-interaction" | "qti-inline-choice-interaction" | "qti-text-entry-interaction" => {
            Ok(interaction)
        }
        name => Err(format!(
            "Its interaction {name} cannot be stored. Make it a choice, a short answer or a number."
        )),
    }
}

fn is_interaction(name: &str) -> bool {
    name.starts_with("qti-") && name.ends_with("-interaction")
}

/// Checks the parts of an item beside its question. Refuses an item if learners need a part that cannot be stored, or
/// if the reader does not understand a part. Adds losses for parts that are left out.
fn check_parts(item: Node<'_, '_>, losses: &mut Vec<String>) -> Result<(), String> {
    if matches!(item.attribute("adaptive"), Some("true" | "1")) {
        return Err(
            "It is adaptive, so it asks again after an answer. Make it a question that asks once.".to_owned()
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
                    "It is a template, which shows each learner another question and cannot be stored. Export the \
                     questions that the template makes."
                        .to_owned(),
                );
            }
            "qti-assessment-stimulus-ref" => has_stimulus = true,
            "qti-stylesheet"
            | "qti-style-declaration"
            | "qti-catalog-info"
            | "qti-companion-materials-info" => has_supports = true,
            name if name.starts_with("qti-") => {
                return Err(format!(
                    "It has the element <{}>, which is not understood. Remove it.",
                    excerpt(name)
                ));
            }
            _ => {}
        }
    }
    if item.descendants().any(|node| node.tag_name().namespace() == Some(INCLUDES)) {
        return Err("It includes another file. Copy the content of that file into its text.".to_owned());
    }
    // The text has a place for a stimulus, so learners need the stimulus to understand the question.
    if item.descendants().any(|node| node.has_attribute("data-stimulus-idref")) {
        return Err(
            "It shows a stimulus, which is in another file. Copy the stimulus into its text.".to_owned()
        );
    }
    if has_supports {
        losses.push(content::SUPPORTS_LOSS.to_owned());
    }
    if has_stimulus {
        losses.push(
            "Its stimulus is left out: it is in another file. Check that learners can answer the question without it."
                .to_owned(),
        );
    }
    Ok(())
}
