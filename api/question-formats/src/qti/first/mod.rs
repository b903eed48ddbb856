//! Reads QTI 1.2, as Canvas, R/exams and others export it: an element `questestinterop` with an `item` for each
//! question. <https://www.imsglobal.org/question/qtiv1p2/imsqti_asi_bindv1p2.html>
//!
//! The model differs from that of QTI 3.0, but the scoring is of the same kind: conditions that set a score. So the
//! scoring of an item is rewritten as response processing of QTI 3.0, and the key is found in the same way.

mod material;
mod scoring;

use roxmltree::Node;

use super::declarations::Declarations;
use super::key::NO_KEY_REASON;
use super::value::HOW_TO_SCORE;
use super::{choice_key, number_key, text_key};
use crate::assemble::assemble;
use crate::draft::OptionOrder;
use crate::key::ParsedKey;
use crate::labels::{excerpt, read_identity};
use crate::markup::{FormattedText, QuestionTexts};
use crate::parsed::{OWN_MARKS_LOSS, ParsedFile, ParsedQuestion, UnreadableFile};
use crate::xml::{Xml, child, children, text};
use material::formatted;
use scoring::ResponseKind;

/// The root element.
pub(super) const ROOT: &str = "questestinterop";

/// The elements that take an answer.
const RESPONSES: [&str; 5] = ["response_lid", "response_str", "response_num", "response_xy", "response_grp"];
/// The identifiers of the feedback that all learners see: the first is from Canvas, and the second from R/exams.
const GENERAL_FEEDBACK: [&str; 2] = ["general_fb", "solution"];

const HOW_TO_SCORE_HERE: &str = "Give marks if varequal finds the correct answer, and none otherwise.";

/// Reads the items of a document. Refuses each item that cannot be read as a question, and still reads the other
/// items.
pub(super) fn read(source: &str) -> Result<ParsedFile, UnreadableFile> {
    let xml = Xml::parse(source)?;
    let mut parsed = ParsedFile::default();
    for item in xml.document.descendants().filter(|node| node.tag_name().name() == "item") {
        let line = xml.line(item);
        let name = item.attribute("ident").or_else(|| item.attribute("title"));
        parsed.add(line, name, question(item, line).map_err(|reason| own_words(&reason)));
    }
    if parsed.questions.is_empty() && parsed.refused_count == 0 {
        let reason =
            "The file is QTI 1.2 without an item. Export the questions, not only the settings of the test.";
        return Err(UnreadableFile { line: 1, reason: reason.to_owned() });
    }
    Ok(parsed)
}

/// Replaces names of QTI 3.0 in the reason of a refusal with names of QTI 1.2.
fn own_words(reason: &str) -> String {
    if reason == NO_KEY_REASON {
        return format!("It has no key: no condition gives marks to an answer. {HOW_TO_SCORE_HERE}");
    }
    reason
        .replace(HOW_TO_SCORE, HOW_TO_SCORE_HERE)
        .replace("qti-", "")
        .replace("response processing", "resprocessing")
}

fn question(item: Node<'_, '_>, line: u32) -> Result<ParsedQuestion, String> {
    let kind = field(item, "question_type");
    if kind.as_deref() == Some("calculated_question") {
        return Err(
            "It is a formula with different numbers for each learner, which cannot be stored. Export the questions \
             that the formula makes."
                .to_owned(),
        );
    }
    if kind.as_deref() == Some("essay_question") {
        return Err("It is an essay, which cannot be stored. Make it a choice, a short answer or a number."
            .to_owned());
    }
    let presentation =
        child(item, "presentation").ok_or("It has no presentation, so it asks nothing. Add the question.")?;
    let response = response(presentation)?;
    let mut losses = Vec::new();
    let choices = choices(response);
    let kind = match kind.as_deref() {
        _ if !choices.is_empty() => ResponseKind::Choice { is_multiple: is_multiple(response) },
        _ if scoring::is_of_numbers(item, response, kind.as_deref()) => ResponseKind::Number,
        _ => ResponseKind::Text,
    };
    let rewritten = scoring::as_qti3(item, response, &choices, kind);
    let scored = Xml::parse(&rewritten).map_err(|error| error.reason)?;
    let scored = scored.document.root_element();
    let declaration = child(scored, "qti-response-declaration").ok_or(NO_KEY_REASON)?;
    let declarations = Declarations::new(scored, declaration)?;
    let key = match kind {
        ResponseKind::Choice { .. } => {
            choice_key::read(&declarations, child(scored, "qti-choice-interaction").ok_or(NO_KEY_REASON)?)?
        }
        ResponseKind::Number => number_key::read(&declarations, &mut losses)?,
        ResponseKind::Text => text_key::read(&declarations, &mut losses)?,
    };
    let points = field(item, "points_possible").and_then(|points| points.trim().parse::<f64>().ok());
    if declarations.has_own_marks() || points.is_some_and(|points| (points - 1.0).abs() > f64::EPSILON) {
        losses.push(OWN_MARKS_LOSS.to_owned());
    }
    let stem = material::around(presentation, response, !matches!(key, ParsedKey::Choice { .. }))?;
    let options = choices.iter().map(|choice| formatted(*choice)).collect::<Result<Vec<_>, _>>()?;
    let explanation = explanation(item, &mut losses)?;
    let texts = QuestionTexts { stem, options, explanation }.unify(&mut losses);
    let whole = assemble(key, texts, Some(order(response, &choices)), &mut Vec::new(), &mut losses);
    let (external_id, name) = read_identity(item.attribute("ident"), item.attribute("title"));
    Ok(ParsedQuestion {
        line,
        external_id,
        derived_id: String::new(),
        earlier_derived_id: None,
        name,
        topic: None,
        difficulty: None,
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

/// Returns the value with this label in the metadata of an item, or `None` if no value has this label.
fn field(item: Node<'_, '_>, label: &str) -> Option<String> {
    let mut fields = item.descendants().filter(|node| node.tag_name().name() == "qtimetadatafield");
    let field =
        fields.find(|field| child(*field, "fieldlabel").is_some_and(|found| text(found).trim() == label))?;
    child(field, "fieldentry").map(|entry| text(entry).trim().to_owned())
}

/// Finds the element that takes the answer. Refuses an item with no element or several elements for an answer. Also
/// refuses an element that is neither a choice nor a text entry.
fn response<'a, 'i>(presentation: Node<'a, 'i>) -> Result<Node<'a, 'i>, String> {
    let mut found = presentation.descendants().filter(|node| RESPONSES.contains(&node.tag_name().name()));
    let response = found
        .next()
        .ok_or("It has no response, so learners cannot answer it. Add a choice or a text entry.")?;
    if found.next().is_some() {
        return Err("It has several responses. Make a question of each.".to_owned());
    }
    let renders: Vec<&str> = response
        .children()
        .map(|node| node.tag_name().name())
        .filter(|name| name.starts_with("render_"))
        .collect();
    let cardinality = response.attribute("rcardinality").unwrap_or("Single");
    let is_ordered = cardinality.eq_ignore_ascii_case("ordered");
    match (response.tag_name().name(), renders.as_slice()) {
        ("response_lid", ["render_choice"]) if !is_ordered => Ok(response),
        ("response_str" | "response_num", ["render_fib"]) => match blanks(response) {
            0 | 1 => Ok(response),
            _ => Err("It has several blanks. Make a question of each.".to_owned()),
        },
        (name, renders) => Err(format!(
            "It has a {name} with {}, which cannot be stored. Make it a choice, a short answer or a number.",
            if is_ordered { "an order" } else { renders.first().copied().unwrap_or("no form of answer") }
        )),
    }
}

fn blanks(response: Node<'_, '_>) -> usize {
    response.descendants().filter(|node| node.tag_name().name() == "response_label").count()
}

/// Returns the elements of the options of a response.
fn choices<'a, 'i>(response: Node<'a, 'i>) -> Vec<Node<'a, 'i>> {
    let render = child(response, "render_choice");
    let labels = render.into_iter().flat_map(|render| render.descendants());
    labels.filter(|node| node.tag_name().name() == "response_label").collect()
}

fn is_multiple(response: Node<'_, '_>) -> bool {
    response.attribute("rcardinality").is_some_and(|cardinality| cardinality.eq_ignore_ascii_case("multiple"))
}

/// Reads which options are shuffled. The standard says that options are shuffled only if the attribute `shuffle` is
/// "yes".
fn order(response: Node<'_, '_>, choices: &[Node<'_, '_>]) -> OptionOrder {
    let is = |node: Node<'_, '_>, name, value: &str| {
        node.attribute(name).is_some_and(|found: &str| found.trim().eq_ignore_ascii_case(value))
    };
    if !child(response, "render_choice").is_some_and(|render| is(render, "shuffle", "yes")) {
        return OptionOrder::kept();
    }
    let choices = choices.iter().enumerate();
    let fixed = choices.filter(|(_, choice)| is(**choice, "rshuffle", "no")).map(|(index, _)| index);
    OptionOrder { shuffled: true, fixed: fixed.collect() }
}

/// Reads the feedback that all learners see, or returns `None` if the item has no feedback for all learners. Adds a
/// loss for other feedback.
fn explanation(item: Node<'_, '_>, losses: &mut Vec<String>) -> Result<Option<FormattedText>, String> {
    let all: Vec<Node<'_, '_>> = children(item, "itemfeedback").collect();
    let is_general = |feedback: &&Node<'_, '_>| {
        let ident = feedback.attribute("ident").unwrap_or_default().to_ascii_lowercase();
        GENERAL_FEEDBACK.contains(&ident.as_str())
    };
    let general = all.iter().find(is_general);
    let others = all.len() - usize::from(general.is_some());
    if others > 0 {
        losses.push(
            "The feedback for each answer is left out: a question has only one explanation.".to_owned(),
        );
    }
    let read = general.map(|feedback| formatted(*feedback)).transpose()?;
    Ok(read.filter(|text| !text.text.trim().is_empty()))
}

/// Returns the reason to refuse an element whose content cannot be shown.
fn unknown(name: &str) -> String {
    format!("It has the element {}, which is not understood. Remove it.", excerpt(name))
}
