//! Moodle XML: `<quiz>` of `<question type="…">`, with a question of type `category` before those of a category.
//! <https://docs.moodle.org/en/Moodle_XML_format>

mod write;

#[cfg(test)]
mod tests;

pub(crate) use write::{BEGIN, END, write};

use crate::draft::{DraftAnswer, DraftTextFormat};
use crate::labels::{read_identity, read_tags};
use crate::parsed::{EmbeddedFile, ParsedFile, ParsedQuestion, Unreadable};
use crate::{category, number, weights};
use roxmltree::Node;

use crate::markup::{self, FormattedText};
use crate::xml::{Xml, child, children, text};

const FEEDBACK: &str =
    "The feedback of single answers is left out: a question has one explanation, its general feedback.";

/// Reads a whole document. What is no question is refused by itself.
pub(crate) fn read(source: &str) -> Result<ParsedFile, Unreadable> {
    let xml = Xml::parse(source)?;
    let root = xml.document.root_element();
    if root.tag_name().name() != "quiz" {
        let reason =
            format!("It begins with <{}>, and Moodle XML begins with <quiz>.", root.tag_name().name());
        return Err(Unreadable { line: xml.line(root), reason });
    }
    let mut reading = ParsedFile::default();
    let mut topic = None;
    for node in root.children().filter(Node::is_element) {
        let kind = node.attribute("type").unwrap_or_default();
        if node.tag_name().name() == "question" && kind == "category" {
            let path = child(node, "category").map(text).unwrap_or_default();
            topic = category::topic(&path);
            continue;
        }
        let line = xml.line(node);
        let id = identity(node);
        let question =
            question(node, line, kind).map(|found| ParsedQuestion { topic: topic.clone(), ..found });
        reading.add(line, id.as_deref(), question);
    }
    Ok(reading)
}

/// What to call a question in messages.
fn identity(node: Node<'_, '_>) -> Option<String> {
    let (id, name) = (child(node, "idnumber").map(text), child(node, "name").map(text));
    let (id, name) = read_identity(id.as_deref(), name.as_deref());
    id.or(name)
}

fn question(node: Node<'_, '_>, line: u32, kind: &str) -> Result<ParsedQuestion, String> {
    if node.tag_name().name() != "question" {
        return Err(format!("<{}> is no question. Take it out.", node.tag_name().name()));
    }
    let mut losses = Vec::new();
    // As in Moodle: HTML, and the other texts like the stem, where they do not say.
    let stem = child(node, "questiontext");
    let of_stem =
        stem.map_or(Some(DraftTextFormat::Html), |stem| declared(stem, Some(DraftTextFormat::Html)));
    let mut pieces =
        vec![stem.map_or_else(|| piece("", DraftTextFormat::Plain), |stem| formatted(stem, of_stem))];
    let build: Box<dyn FnOnce(Vec<FormattedText>) -> DraftAnswer> = match kind {
        "multichoice" => {
            let (multiple, keys) = choices(node, of_stem, &mut pieces, &mut losses)?;
            Box::new(move |pieces| markup::choice(multiple, pieces, &keys))
        }
        "truefalse" => {
            let truth = truth(node)?;
            let format = of_stem.unwrap_or(DraftTextFormat::Plain);
            pieces.extend(["True", "False"].map(|option| piece(option, format)));
            Box::new(move |pieces| markup::choice(false, pieces, &[truth, !truth]))
        }
        "numerical" => {
            let answer = numeric(node, &mut losses)?;
            Box::new(move |_| answer)
        }
        kind => return Err(refused(kind)),
    };
    tell_of_the_rest(node, &mut losses);
    let explanation = child(node, "generalfeedback").map(|feedback| formatted(feedback, of_stem));
    let explanation = explanation.filter(|piece| !piece.text.trim().is_empty());
    let has_explanation = explanation.is_some();
    pieces.extend(explanation);
    let text_format = markup::unify(&mut pieces, &mut losses);
    let explanation = if has_explanation { pieces.pop().map(|piece| piece.text) } else { None };
    let mut pieces = pieces.into_iter();
    let stem = pieces.next().map(|piece| piece.text).unwrap_or_default();
    let tags: Vec<String> =
        child(node, "tags").into_iter().flat_map(|tags| children(tags, "tag").map(text)).collect();
    let difficulty = read_tags(tags.iter().map(String::as_str), &mut losses);
    let (id, name) = (child(node, "idnumber").map(text), child(node, "name").map(text));
    let (external_id, name) = read_identity(id.as_deref(), name.as_deref());
    Ok(ParsedQuestion {
        line,
        external_id,
        name,
        topic: None,
        difficulty,
        text_format,
        stem,
        answer: build(pieces.collect()),
        explanation,
        files: embedded(node),
        losses,
    })
}

fn refused(kind: &str) -> String {
    let name = match kind {
        "shortanswer" => "a short answer",
        "essay" => "an essay",
        "matching" | "match" => "a matching question",
        "cloze" | "multianswer" => "a cloze",
        "description" => "a description",
        "calculated" | "calculatedsimple" | "calculatedmulti" => "a calculated question",
        "" => return "It does not say its type. Export it again from Moodle.".to_owned(),
        other => {
            return format!(
                "Questions of type \"{}\" are not kept. Make it a choice or a number.",
                crate::labels::excerpt(other)
            );
        }
    };
    format!("It is {name}, which is not kept. Make it a choice or a number.")
}

fn piece(text: &str, format: DraftTextFormat) -> FormattedText {
    FormattedText { text: text.to_owned(), format }
}

/// The text of an element such as `<questiontext format="html"><text>…`.
fn formatted(node: Node<'_, '_>, default: Option<DraftTextFormat>) -> FormattedText {
    let text = child(node, "text").map(text).unwrap_or_default();
    match declared(node, default) {
        Some(format) => FormattedText { text, format },
        None => markup::guessed(text),
    }
}

/// The format that an element declares, or the default. None is Moodle's own mixture.
fn declared(node: Node<'_, '_>, default: Option<DraftTextFormat>) -> Option<DraftTextFormat> {
    match node.attribute("format") {
        Some("html") => Some(DraftTextFormat::Html),
        Some("markdown") => Some(DraftTextFormat::Markdown),
        Some("plain_text") => Some(DraftTextFormat::Plain),
        Some(_) => None,
        None => default,
    }
}

/// Whether several are chosen, and which are correct. Adds the options to the pieces.
fn choices(
    node: Node<'_, '_>,
    of_stem: Option<DraftTextFormat>,
    pieces: &mut Vec<FormattedText>,
    losses: &mut Vec<String>,
) -> Result<(bool, Vec<bool>), String> {
    let multiple = child(node, "single").is_some_and(|single| matches!(text(single).trim(), "false" | "0"));
    let weights = children(node, "answer").map(weight).collect::<Result<Vec<_>, _>>()?;
    pieces.extend(children(node, "answer").map(|answer| formatted(answer, of_stem)));
    let key = if multiple { weights::multiple(&weights)? } else { weights::single(&weights) };
    losses.extend(key.loss);
    if child(node, "shuffleanswers").is_some_and(|shuffle| matches!(text(shuffle).trim(), "false" | "0")) {
        losses
            .push("That its options stay in their order is left out: each sitting shuffles them.".to_owned());
    }
    Ok((multiple, key.correct))
}

/// The part of the marks that an answer gives, in per cent.
fn weight(answer: Node<'_, '_>) -> Result<f64, String> {
    let fraction = answer.attribute("fraction").unwrap_or("0");
    let weight = fraction.trim().parse::<f64>().ok().filter(|weight| weight.is_finite());
    weight.ok_or_else(|| {
        format!("The fraction \"{}\" is no number. Write it as 100.", crate::labels::excerpt(fraction))
    })
}

fn truth(node: Node<'_, '_>) -> Result<bool, String> {
    for answer in children(node, "answer") {
        if weight(answer)? > 99.9 {
            match child(answer, "text").map(text).unwrap_or_default().trim().to_ascii_lowercase().as_str() {
                "true" => return Ok(true),
                "false" => return Ok(false),
                _ => {}
            }
        }
    }
    Err("Neither true nor false has full marks. Give one the fraction 100.".to_owned())
}

fn numeric(node: Node<'_, '_>, losses: &mut Vec<String>) -> Result<DraftAnswer, String> {
    let (mut full, mut has_partial) = (Vec::new(), false);
    for answer in children(node, "answer") {
        let weight = weight(answer)?;
        if weight > 99.9 {
            full.push(answer);
        } else {
            has_partial |= weight.abs() > f64::EPSILON;
        }
    }
    if has_partial {
        losses.push(
            "Answers with a part of the marks are left out: a sitting marks a question whole.".to_owned(),
        );
    }
    if child(node, "units").is_some_and(|units| children(units, "unit").next().is_some()) {
        losses.push("Its units are left out: name the unit in the question.".to_owned());
    }
    let answer = match full.as_slice() {
        [answer] => *answer,
        [] => return Err("None of its numbers has full marks. Give one the fraction 100.".to_owned()),
        _ => return Err("Several of its numbers have full marks. Give one, with a tolerance.".to_owned()),
    };
    let read = |text: &str| {
        number::exact(text).ok_or_else(|| {
            format!("\"{}\" is no number of at most 28 digits. Give one.", crate::labels::excerpt(text))
        })
    };
    let value = read(&child(answer, "text").map(text).unwrap_or_default())?;
    let tolerance = child(answer, "tolerance").map(text).filter(|text| !text.trim().is_empty());
    let tolerance = tolerance.map_or(Ok(rust_decimal::Decimal::ZERO), |text| read(&text))?;
    Ok(DraftAnswer::Numeric { value, tolerance })
}

/// The files of what is asked, in base64: of its text and its options, and the picture of an old question.
fn embedded(node: Node<'_, '_>) -> Vec<EmbeddedFile> {
    let stem = children(node, "questiontext").map(|stem| (0, stem));
    let files = stem.chain((1..).zip(children(node, "answer")));
    let files = files.flat_map(|(part, node)| children(node, "file").map(move |file| (part, file)));
    let files = files.chain(children(node, "image_base64").map(|file| (0, file)));
    let file = |(part, file): (usize, Node<'_, '_>)| EmbeddedFile {
        part,
        name: file.attribute("name").unwrap_or_default().to_owned(),
        content: text(file).split_whitespace().collect(),
    };
    files.map(file).collect()
}

/// What else a question of Moodle may have.
fn tell_of_the_rest(node: Node<'_, '_>, losses: &mut Vec<String>) {
    let has_text = |node: Node<'_, '_>| !text(node).trim().is_empty();
    if children(node, "answer").any(|answer| child(answer, "feedback").is_some_and(has_text)) {
        losses.push(FEEDBACK.to_owned());
    }
    let combined = ["correctfeedback", "partiallycorrectfeedback", "incorrectfeedback"];
    if combined.iter().any(|name| child(node, name).is_some_and(has_text)) {
        losses.push("What is said of a correct, a partly correct or a wrong answer is left out.".to_owned());
    }
    if children(node, "hint").any(has_text) {
        losses.push("Its hints are left out.".to_owned());
    }
    let grade = child(node, "defaultgrade").and_then(|grade| text(grade).trim().parse::<f64>().ok());
    if grade.is_some_and(|grade| (grade - 1.0).abs() > f64::EPSILON) {
        losses.push("Its own marks are left out: the subject's marking scheme applies.".to_owned());
    }
    if child(node, "hidden").is_some_and(|hidden| text(hidden).trim() == "1") {
        losses.push("That it is hidden is left out: it is in the bank as the others are.".to_owned());
    }
    if node.descendants().any(|node| node.is_element() && node.tag_name().name() == "file") {
        losses.push(markup::FILES.to_owned());
    }
}
