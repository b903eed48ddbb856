mod content;
mod first;
mod older;
mod order;
mod processing;
mod scoring;
mod texts;

use crate::draft::{DraftAnswer, DraftOption, DraftTextFormat};

use super::*;

fn item(declaration: &str, body: &str, rest: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<qti-assessment-item xmlns=\"http://www.imsglobal.org/xsd/imsqtiasi_v3p0\" \
         identifier=\"i1\" title=\"i1\" adaptive=\"false\" time-dependent=\"false\">\n{declaration}\n\
         <qti-item-body>{body}</qti-item-body>\n{rest}</qti-assessment-item>"
    )
}

fn key(cardinality: &str, base_type: &str, values: &[&str]) -> String {
    let values: String = values.iter().map(|value| format!("<qti-value>{value}</qti-value>")).collect();
    format!(
        "<qti-response-declaration identifier=\"RESPONSE\" cardinality=\"{cardinality}\" base-type=\"{base_type}\">\
         <qti-correct-response>{values}</qti-correct-response></qti-response-declaration>"
    )
}

const CHOICES: &str = "<qti-simple-choice identifier=\"X\">one</qti-simple-choice>\
                       <qti-simple-choice identifier=\"Y\">two</qti-simple-choice>";

fn choice(prompt: &str) -> String {
    format!(
        "<qti-choice-interaction response-identifier=\"RESPONSE\" max-choices=\"1\">{prompt}{CHOICES}</qti-choice-interaction>"
    )
}

fn only(text: &str) -> ParsedQuestion {
    let mut parsed = read(text).expect("a document");
    assert_eq!(parsed.refused, [], "{text}");
    parsed.questions.remove(0)
}

fn reason(text: &str) -> String {
    read(text).expect("a document").refused.remove(0).reason
}

const NUMBER: &str = "<p>How much? <qti-text-entry-interaction response-identifier=\"RESPONSE\"/></p>";

#[test]
fn items_of_other_systems_are_read() {
    let declaration = key("single", "identifier", &["Y"]);
    let found = only(&item(&declaration, &choice("<qti-prompt>Which?</qti-prompt>"), ""));
    assert_eq!((found.stem.as_str(), found.text_format, found.line), ("Which?", DraftTextFormat::Plain, 2));
    assert_eq!(found.external_id.as_deref(), Some("i1"));
    assert_eq!(found.answer.options()[1], DraftOption { text: "two".to_owned(), correct: true });
    assert!(found.losses.is_empty());

    let found = only(&item(&declaration, &format!("<p>Which?</p>{}", choice("")), ""));
    assert_eq!((found.stem.as_str(), found.text_format), ("Which?", DraftTextFormat::Plain));

    let body = format!("<p>Look: <b>here</b></p>{}", choice("<qti-prompt>Which?</qti-prompt>"));
    let found = only(&item(&declaration, &body, ""));
    assert_eq!(
        (found.stem.as_str(), found.text_format),
        ("<p>Look: <b>here</b></p>\n<p>Which?</p>", DraftTextFormat::Html)
    );

    let several = only(&item(
        &key("multiple", "identifier", &["X", "Y"]),
        &choice("<qti-prompt>Which?</qti-prompt>"),
        "",
    ));
    assert!(
        matches!(&several.answer, DraftAnswer::Multiple(options) if options.iter().all(|option| option.correct))
    );

    let feedback = "<qti-modal-feedback identifier=\"F\" outcome-identifier=\"FEEDBACK\" show-hide=\"show\">\
                    <qti-content-body><p>Because.</p></qti-content-body></qti-modal-feedback>";
    let found = only(&item(&declaration, &choice("<qti-prompt>Which?</qti-prompt>"), feedback));
    assert_eq!(found.explanation.as_deref(), Some("Because."));
    let found = only(&item(&declaration, &choice("<qti-prompt>Which?</qti-prompt>"), &feedback.repeat(2)));
    assert_eq!(found.explanation, None);
    assert!(found.losses[0].contains("feedback"));
}

#[test]
fn items_with_parts_in_other_files_or_of_unknown_meaning_are_refused() {
    let single = key("single", "identifier", &["Y"]);
    let asked = || choice("<qti-prompt>Which?</qti-prompt>");
    let stimulus = format!("{single}<qti-assessment-stimulus-ref identifier=\"S\" href=\"s.xml\"/>");
    for (text, named) in [
        (item(&format!("<qti-template-declaration identifier=\"X\"/>{single}"), &asked(), ""), "template"),
        (item(&single, &asked(), "<qti-template-processing/>"), "template"),
        (
            item(&single, &format!("<p><qti-printed-variable identifier=\"X\"/></p>{}", asked()), ""),
            "qti-printed-variable",
        ),
        (item(&single, &asked(), "<qti-other/>"), "qti-other"),
        (item(&stimulus, &format!("<div data-stimulus-idref=\"S\"/>{}", asked()), ""), "stimulus"),
    ] {
        assert!(reason(&text).contains(named), "{named}: {}", reason(&text));
    }
    let found = only(&item(&stimulus, &asked(), ""));
    assert!(found.losses.len() == 1 && found.losses[0].contains("stimulus"), "{:?}", found.losses);
}

#[test]
fn unsupported_questions_are_refused_with_the_reason() {
    let single = key("single", "identifier", &["Y"]);
    for (text, named) in [
        (item(&single, "<p>Nothing</p>", ""), "no interaction"),
        (
            item(&single, "<qti-order-interaction response-identifier=\"RESPONSE\"/>", ""),
            "qti-order-interaction",
        ),
        (item(&single, &choice("").repeat(2), ""), "several interactions"),
        (item("", &choice(""), ""), "no response declaration"),
        (item(&key("ordered", "identifier", &["X"]), &choice(""), ""), "cardinality"),
        (item(&key("single", "identifier", &["Z"]), &choice(""), ""), "not one of its choices"),
        (item(&key("single", "identifier", &[]), &choice(""), ""), "no correct response"),
        (item(&single, &choice("").replace("\"X\"", "\"Y\""), ""), "have the identifier \"Y\""),
        (item(&key("multiple", "string", &["x"]), NUMBER, ""), "cardinality single"),
        (item(&key("single", "string", &[]), NUMBER, ""), "no correct response"),
        (item(&key("single", "boolean", &["true"]), NUMBER, ""), "neither a text nor a number"),
        (item(&key("single", "float", &["1", "2"]), NUMBER, ""), "several correct"),
    ] {
        assert!(reason(&text).contains(named), "{named}: {}", reason(&text));
    }
    for (text, named) in [
        ("<questestinterop/>", "QTI 1.2 without an item"),
        ("<manifest/>", "manifest of a package"),
        ("<assessmentTest/>", "test that names its items"),
        ("<qti-assessment-test/>", "test that names its items"),
        ("<quiz/>", "begins with <quiz> and has no <qti-assessment-item>"),
    ] {
        assert!(read(text).expect_err(text).reason.contains(named));
    }
}
