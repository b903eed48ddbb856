//! Moodle XML. <https://docs.moodle.org/en/Moodle_XML_format>
//!
//! A document is a `<quiz>` with elements `<question type="…">`. A question of the type `category` gives the topic of
//! the questions below it.

mod write;

#[cfg(test)]
mod tests;

pub(crate) use write::{BEGIN, END, write};

use crate::assemble::assemble;
use crate::category::Category;
use crate::draft::{DraftTextFormat, OptionOrder};
use crate::labels::{read_identity, read_tags};
use crate::parsed::{
    EXPLANATION_PART, EmbeddedFile, OWN_MARKS_LOSS, ParsedFile, ParsedQuestion, UnreadableFile,
};
use crate::{number, weights};
use roxmltree::Node;

use crate::key::ParsedKey;
use crate::markup::{self, FormattedText, QuestionTexts};
use crate::short_answer::{self, ListedText};
use crate::xml::{Xml, child, children, text};
use crate::xml_source::prepare;

const FEEDBACK_LOSS: &str =
    "The feedback for each answer is left out: a question has only one explanation, its general feedback.";

/// Reads the questions and the categories of a document. Refuses each element that can be read as neither, and still
/// reads the other elements.
pub(crate) fn read(source: &str) -> Result<ParsedFile, UnreadableFile> {
    let source = prepare(source)?;
    let xml = Xml::parse(&source)?;
    let root = xml.document.root_element();
    if root.tag_name().name() != "quiz" {
        let reason = format!(
            "The file begins with <{}>, but Moodle XML begins with <quiz>. Choose another format, or export the file \
                 as Moodle XML.",
            root.tag_name().name()
        );
        return Err(UnreadableFile { line: xml.line(root), reason });
    }
    let mut parsed = ParsedFile::default();
    let mut category = Category::default();
    for node in root.children().filter(Node::is_element) {
        let kind = node.attribute("type").unwrap_or_default();
        if node.tag_name().name() == "question" && kind == "category" {
            let path = child(node, "category").map(text).unwrap_or_default();
            category = Category::new(&path);
            continue;
        }
        let line = xml.line(node);
        let (id, name) = identity(node);
        let mut question = question(node, line, kind);
        if let Ok(found) = &mut question {
            category.apply(found);
        }
        parsed.add(line, id.or(name).as_deref(), question);
    }
    Ok(parsed)
}

/// Reads the id and the name of a question.
fn identity(node: Node<'_, '_>) -> (Option<String>, Option<String>) {
    let (id, name) = (child(node, "idnumber").map(text), child(node, "name").map(text));
    read_identity(id.as_deref(), name.as_deref())
}

fn question(node: Node<'_, '_>, line: u32, kind: &str) -> Result<ParsedQuestion, String> {
    if node.tag_name().name() != "question" {
        return Err(format!("<{}> is not a question. Remove it.", node.tag_name().name()));
    }
    let mut losses = Vec::new();
    let stem = child(node, "questiontext");
    // As in Moodle, a stem that declares no format is HTML. Any other text that declares no format has the format of
    // the stem.
    let default = Some(DraftTextFormat::Html);
    let stem_format = stem.map_or(default, |stem| declared(stem, default));
    let all_options = || children(node, "answer").map(|answer| formatted(answer, stem_format)).collect();
    let (key, options) = match kind {
        "multichoice" => (choices(node, &mut losses)?, all_options()),
        "multichoiceset" | "oumultiresponse" => (several_choices(node, kind, &mut losses)?, all_options()),
        "truefalse" => truth(node, stem_format)?,
        "numerical" => (numeric(node, &mut losses)?, Vec::new()),
        "shortanswer" => (texts(node, &mut losses)?, Vec::new()),
        kind => return Err(unsupported(kind)),
    };
    add_other_losses(node, &mut losses);
    let explanation = child(node, "generalfeedback").map(|feedback| formatted(feedback, stem_format));
    let texts = QuestionTexts {
        stem: stem.map_or_else(
            || FormattedText::new("", DraftTextFormat::Plain),
            |stem| formatted(stem, stem_format),
        ),
        options,
        explanation: explanation.filter(|explanation| !explanation.text.trim().is_empty()),
    };
    let texts = texts.unify(&mut losses);
    let tags: Vec<String> =
        child(node, "tags").into_iter().flat_map(|tags| children(tags, "tag").map(text)).collect();
    let tags = read_tags(tags.iter().map(String::as_str), &mut losses);
    let order = tags.order.or_else(|| stated_order(node, kind));
    let mut files = embedded(node);
    let whole = assemble(key, texts, order, &mut files, &mut losses);
    let (external_id, name) = identity(node);
    Ok(ParsedQuestion {
        line,
        external_id,
        derived_id: String::new(),
        earlier_derived_id: None,
        name,
        topic: None,
        difficulty: tags.difficulty,
        text_format: whole.text_format,
        stem: whole.stem,
        answer: whole.answer,
        option_order: whole.option_order,
        explanation: whole.explanation,
        pictures: Vec::new(),
        files,
        losses,
    })
}

/// Returns the reason why questions of a type are refused, with advice for the author.
fn unsupported(kind: &str) -> String {
    let name = match kind {
        "essay" => "an essay",
        "matching" | "match" => "a matching question",
        "cloze" | "multianswer" => "a cloze",
        "description" => "a description",
        "calculated" | "calculatedsimple" | "calculatedmulti" => "a calculated question",
        "" => return "It has no type. Export it from Moodle again.".to_owned(),
        other => {
            return format!(
                "It is of the type \"{}\", which cannot be stored. Make it a choice, a short answer or a number.",
                crate::labels::excerpt(other)
            );
        }
    };
    format!("It is {name}, which cannot be stored. Make it a choice, a short answer or a number.")
}

/// Reads the text and the format of an element such as `<questiontext format="html"><text>…`. Guesses the format from
/// the text if the text is Moodle's own mixture of plain text and HTML.
fn formatted(node: Node<'_, '_>, default: Option<DraftTextFormat>) -> FormattedText {
    let text = child(node, "text").map(text).unwrap_or_default();
    match declared(node, default) {
        Some(format) => FormattedText { text, format },
        None => markup::guess_format(text),
    }
}

/// Returns the format that an element declares, or `default` if the element declares no format. `None` means Moodle's
/// own mixture of plain text and HTML.
fn declared(node: Node<'_, '_>, default: Option<DraftTextFormat>) -> Option<DraftTextFormat> {
    match node.attribute("format") {
        Some("html") => Some(DraftTextFormat::Html),
        Some("markdown") => Some(DraftTextFormat::Markdown),
        Some("plain_text") => Some(DraftTextFormat::Plain),
        Some(_) => None,
        None => default,
    }
}

/// Returns whether the child element `name` of a question has the text `false` or `0`.
fn is_false(node: Node<'_, '_>, name: &'static str) -> bool {
    child(node, name)
        .is_some_and(|child| matches!(text(child).trim().to_ascii_lowercase().as_str(), "false" | "0"))
}

/// Reads the key of a question of the type `multichoice`.
fn choices(node: Node<'_, '_>, losses: &mut Vec<String>) -> Result<ParsedKey, String> {
    let is_multiple = is_false(node, "single");
    let weights = children(node, "answer").map(weight).collect::<Result<Vec<_>, _>>()?;
    let key = if is_multiple { weights::multiple(&weights)? } else { weights::single(&weights) };
    losses.extend(key.loss);
    Ok(ParsedKey::Choice { is_multiple, correct: key.correct })
}

/// Reads the key of a question of the type `multichoiceset` or `oumultiresponse`. Each correct option has the fraction
/// 100, so the fractions do not add up to 100.
fn several_choices(node: Node<'_, '_>, kind: &str, losses: &mut Vec<String>) -> Result<ParsedKey, String> {
    let weights = children(node, "answer").map(weight).collect::<Result<Vec<_>, _>>()?;
    if kind == "oumultiresponse" {
        losses.push("Its partial marks are left out: an answer is either right or wrong.".to_owned());
    }
    let correct = weights.iter().map(|weight| *weight > 0.0).collect();
    Ok(ParsedKey::Choice { is_multiple: true, correct })
}

/// Reads whether the options are shuffled. If a question of the type `multichoice` does not say so, Moodle keeps the
/// order of its options. If a question of another type does not say so, returns `None`.
fn stated_order(node: Node<'_, '_>, kind: &str) -> Option<OptionOrder> {
    let says = child(node, "shuffleanswers").map(text).filter(|said| !said.trim().is_empty());
    match says {
        _ if is_false(node, "shuffleanswers") => Some(OptionOrder::kept()),
        Some(_) => Some(OptionOrder::default()),
        None => (kind == "multichoice").then(OptionOrder::kept),
    }
}

/// Reads the fraction of the marks that an answer gives, in per cent. An answer without a fraction gives 0. Returns a
/// message for the author if the fraction is not a number.
fn weight(answer: Node<'_, '_>) -> Result<f64, String> {
    let fraction = answer.attribute("fraction").unwrap_or("0");
    let weight = fraction.trim().parse::<f64>().ok().filter(|weight| weight.is_finite());
    weight.ok_or_else(|| {
        format!(
            "The fraction \"{}\" is not a number. Write a number such as 100.",
            crate::labels::excerpt(fraction)
        )
    })
}

/// Reads the key and the options of a true or false question. The two answers can be words of another language than
/// English.
fn truth(
    node: Node<'_, '_>,
    stem_format: Option<DraftTextFormat>,
) -> Result<(ParsedKey, Vec<FormattedText>), String> {
    let mut answers = Vec::new();
    for answer in children(node, "answer") {
        let word = child(answer, "text").map(text).unwrap_or_default().trim().to_ascii_lowercase();
        answers.push((word, weight(answer)? > 99.9, answer));
    }
    let is_english = |word: &str| matches!(word, "true" | "false");
    let mut right = answers.iter().filter(|(word, is_full, _)| *is_full && is_english(word));
    if let (Some((word, ..)), None) = (right.next(), right.next()) {
        let is_true = word == "true";
        let format = stem_format.unwrap_or(DraftTextFormat::Plain);
        let options = ["True", "False"].map(|text| FormattedText::new(text, format));
        let key = ParsedKey::Choice { is_multiple: false, correct: vec![is_true, !is_true] };
        return Ok((key, options.to_vec()));
    }
    let in_words = answers.iter().any(|(word, ..)| !is_english(word));
    match answers.as_slice() {
        [(first, true, _), (second, false, _)] | [(first, false, _), (second, true, _)]
            if in_words && !first.is_empty() && !second.is_empty() =>
        {
            let correct = answers.iter().map(|(_, is_full, _)| *is_full).collect();
            let options = answers.iter().map(|(.., answer)| formatted(*answer, stem_format));
            Ok((ParsedKey::Choice { is_multiple: false, correct }, options.collect()))
        }
        _ => {
            Err("It needs one right and one wrong answer with texts. Give only one the fraction 100."
                .to_owned())
        }
    }
}

/// Reads the accepted texts of a short answer. They are plain texts whatever format they declare, because Moodle
/// ignores the format when it compares an answer with them.
fn texts(node: Node<'_, '_>, losses: &mut Vec<String>) -> Result<ParsedKey, String> {
    let listed = children(node, "answer").map(|answer| {
        let text = child(answer, "text").map(text).unwrap_or_default();
        Ok(ListedText { text, percent: weight(answer)? })
    });
    let listed = listed.collect::<Result<Vec<_>, String>>()?;
    let is_case_sensitive =
        child(node, "usecase").is_some_and(|said| matches!(text(said).trim(), "1" | "true"));
    short_answer::key(&listed, is_case_sensitive, losses)
}

fn numeric(node: Node<'_, '_>, losses: &mut Vec<String>) -> Result<ParsedKey, String> {
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
        losses
            .push("Answers with partial marks are left out: an answer is either right or wrong.".to_owned());
    }
    if child(node, "units").is_some_and(|units| children(units, "unit").next().is_some()) {
        losses.push("Its units are left out: name the unit in the question.".to_owned());
    }
    let answer = match full.as_slice() {
        [answer] => *answer,
        [] => return Err("None of its numbers has full marks. Give one of them the fraction 100.".to_owned()),
        _ => {
            return Err(
                "Several of its numbers have full marks. Keep one, and give it a tolerance.".to_owned()
            );
        }
    };
    let read = |text: &str| {
        number::exact(text).ok_or_else(|| {
            format!(
                "\"{}\" is not a number of at most 28 digits. Write a number such as 5 or 0.25.",
                crate::labels::excerpt(text)
            )
        })
    };
    let value = read(&child(answer, "text").map(text).unwrap_or_default())?;
    let tolerance = child(answer, "tolerance").map(text).filter(|text| !text.trim().is_empty());
    let tolerance = tolerance.map_or(Ok(rust_decimal::Decimal::ZERO), |text| read(&text))?;
    Ok(ParsedKey::Number { value, tolerance })
}

/// Reads the embedded files, in Base64, of the stem, the options and the explanation. Also reads the pictures of old
/// versions of Moodle: `image_base64` has the content and `image` the name, and Moodle shows this picture below the
/// stem.
fn embedded(node: Node<'_, '_>) -> Vec<EmbeddedFile> {
    let stem = children(node, "questiontext").map(|stem| (0, stem));
    let explanation = children(node, "generalfeedback").map(|explanation| (EXPLANATION_PART, explanation));
    let files = stem.chain((1..).zip(children(node, "answer"))).chain(explanation);
    let files = files.flat_map(|(part, node)| children(node, "file").map(move |file| (part, file)));
    let content = |file: Node<'_, '_>| text(file).split_whitespace().collect::<String>();
    let attribute = |file: Node<'_, '_>, name| file.attribute(name).unwrap_or_default().to_owned();
    let file = |(part, file): (usize, Node<'_, '_>)| EmbeddedFile {
        part,
        name: attribute(file, "name"),
        content: content(file),
        folder: attribute(file, "path"),
        bytes: None,
        shown_below: None,
    };
    let mut found: Vec<EmbeddedFile> = files.map(file).collect();
    let names: Vec<String> = children(node, "image").map(|name| text(name).trim().to_owned()).collect();
    let contents: Vec<String> = children(node, "image_base64").map(content).collect();
    for index in 0..names.len().max(contents.len()) {
        let name = names.get(index).cloned().unwrap_or_default();
        let content = contents.get(index).cloned().unwrap_or_default();
        if name.is_empty() && content.is_empty() {
            continue;
        }
        found.push(EmbeddedFile {
            part: 0,
            name: String::new(),
            content,
            folder: String::new(),
            bytes: None,
            shown_below: Some(if name.is_empty() { "image_base64".to_owned() } else { name }),
        });
    }
    found
}

/// Adds losses for elements of a question that are left out, such as the feedback of answers, hints and marks.
fn add_other_losses(node: Node<'_, '_>, losses: &mut Vec<String>) {
    let has_text = |node: Node<'_, '_>| !text(node).trim().is_empty();
    if children(node, "answer").any(|answer| child(answer, "feedback").is_some_and(has_text)) {
        losses.push(FEEDBACK_LOSS.to_owned());
    }
    let combined = ["correctfeedback", "partiallycorrectfeedback", "incorrectfeedback"];
    if combined.iter().any(|name| child(node, name).is_some_and(has_text)) {
        losses.push("The feedback for correct, partly correct and incorrect answers is left out.".to_owned());
    }
    if children(node, "hint").any(has_text) {
        losses.push("Its hints are left out.".to_owned());
    }
    let grade = child(node, "defaultgrade").and_then(|grade| text(grade).trim().parse::<f64>().ok());
    if grade.is_some_and(|grade| (grade - 1.0).abs() > f64::EPSILON) {
        losses.push(OWN_MARKS_LOSS.to_owned());
    }
    if child(node, "hidden").is_some_and(|hidden| text(hidden).trim() == "1") {
        losses.push(
            "The mark that hides it in Moodle is left out: tests can ask it like any other question."
                .to_owned(),
        );
    }
}
