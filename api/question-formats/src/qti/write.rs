//! Writes QTI 3.0.

use std::borrow::Cow;

use crate::draft::{DraftAnswer, DraftOption, DraftQuestion, DraftTextFormat};
use crate::labels::difficulty_name;
use crate::typed_text::as_literal;

use crate::xhtml::as_xml;
use crate::xml::escape;

pub(crate) const BEGIN: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<question-bank>\n";
pub(crate) const END: &str = "</question-bank>\n";

/// Appends a question to a document. Returns sentences that say what changes when the question is written. If QTI
/// cannot hold the question, appends nothing.
pub(crate) fn write(out: &mut String, question: &DraftQuestion) -> Vec<String> {
    let mut losses = Vec::new();
    if let DraftAnswer::ShortAnswer { texts, .. } = &question.answer
        && texts.iter().any(|text| as_literal(text).is_none())
    {
        return vec!["This question is left out: QTI has no wildcard (*) in accepted texts.".to_owned()];
    }
    let (format, mut texts) = texts(question, &mut losses);
    let stem = texts.remove(0);
    let explanation = question.explanation.as_ref().and_then(|_| texts.pop());
    let (id, topic) = (escape(&question.external_id), escape(&question.topic));
    let (base_type, cardinality) = match question.answer {
        DraftAnswer::Single(_) => ("identifier", "single"),
        DraftAnswer::Multiple(_) => ("identifier", "multiple"),
        DraftAnswer::Numeric { .. } => ("float", "single"),
        DraftAnswer::ShortAnswer { .. } => ("string", "single"),
    };
    let (identifier, difficulty) = (identifier(question), difficulty_name(question.difficulty));
    let key: String =
        key(&question.answer).iter().map(|key| format!("<qti-value>{key}</qti-value>")).collect();
    out.push_str(&format!(
        "<qti-assessment-item xmlns=\"http://www.imsglobal.org/xsd/imsqtiasi_v3p0\" identifier=\"{identifier}\" \
         title=\"{id}\" adaptive=\"false\" time-dependent=\"false\">\n  \
         <qti-response-declaration identifier=\"RESPONSE\" cardinality=\"{cardinality}\" base-type=\"{base_type}\">\n    \
         <qti-correct-response>{key}</qti-correct-response>\n{}  </qti-response-declaration>\n  \
         <qti-outcome-declaration identifier=\"SCORE\" cardinality=\"single\" base-type=\"float\"/>\n",
        mapping(&question.answer)
    ));
    if question.explanation.is_some() {
        out.push_str(
            "  <qti-outcome-declaration identifier=\"FEEDBACK\" cardinality=\"single\" base-type=\"identifier\"/>\n",
        );
    }
    out.push_str(&format!(
        "  <qti-item-body>\n    <div data-text-format=\"{format}\" data-external-id=\"{id}\" data-topic=\"{topic}\" \
         data-difficulty=\"{difficulty}\">{stem}</div>\n"
    ));
    interaction(out, question, &texts);
    out.push_str("  </qti-item-body>\n");
    processing(out, question);
    if let Some(explanation) = explanation {
        out.push_str(&format!(
            "  <qti-modal-feedback identifier=\"EXPLANATION\" outcome-identifier=\"FEEDBACK\" show-hide=\"show\">\
             <qti-content-body>{explanation}</qti-content-body></qti-modal-feedback>\n"
        ));
    }
    out.push_str("</qti-assessment-item>\n");
    losses
}

/// Returns the name of the format of the texts, and the stem, the options and the explanation as XML, in this order.
/// HTML that cannot be XML becomes plain text, and a loss says so.
fn texts<'a>(question: &'a DraftQuestion, losses: &mut Vec<String>) -> (&'static str, Vec<Cow<'a, str>>) {
    let options = question.answer.options().iter().map(|option| option.text.as_str());
    let texts = [question.stem.as_str()].into_iter().chain(options).chain(question.explanation.as_deref());
    let escaped = || texts.clone().map(|text| Cow::Owned(escape(text))).collect();
    match question.text_format {
        DraftTextFormat::Plain => ("plain", escaped()),
        DraftTextFormat::Markdown => ("markdown", escaped()),
        DraftTextFormat::Html => match texts.clone().map(as_xml).collect::<Result<Vec<_>, _>>() {
            Ok(written) => {
                if written.iter().any(|text| matches!(text, Cow::Owned(_))) {
                    losses.push(
                        "Its HTML is rewritten as XML with the same meaning, such as <br/> for <br>."
                            .to_owned(),
                    );
                }
                ("html", written)
            }
            Err(advice) => {
                losses.push(format!(
                    "QTI does not allow its HTML, so it is written as plain text with its tags. {advice}"
                ));
                ("plain", escaped())
            }
        },
    }
}

/// Returns the external id if the standard allows it as an identifier. Otherwise, derives an identifier from the
/// content of the question.
fn identifier(question: &DraftQuestion) -> String {
    let id = &question.external_id;
    let is_part = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '.');
    let is_identifier =
        id.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_') && id.chars().all(is_part);
    if is_identifier { id.clone() } else { format!("q-{}", &question.content_hash()[..32]) }
}

/// Returns the values of the correct response as XML. For a short answer, this is only the first accepted text.
fn key(answer: &DraftAnswer) -> Vec<String> {
    let letters = |options: &[DraftOption]| {
        let correct = options.iter().zip('A'..='Z').filter(|(option, _)| option.correct);
        correct.map(|(_, letter)| letter.to_string()).collect()
    };
    match answer {
        DraftAnswer::Single(options) | DraftAnswer::Multiple(options) => letters(options),
        DraftAnswer::Numeric { value, .. } => vec![value.to_string()],
        DraftAnswer::ShortAnswer { texts, .. } => literals(texts).take(1).map(|text| escape(&text)).collect(),
    }
}

/// Returns accepted texts without the escapes of asterisks. Leaves out texts with wildcards.
fn literals(texts: &[String]) -> impl Iterator<Item = String> {
    texts.iter().filter_map(|text| as_literal(text))
}

/// Returns the mapping that gives full marks to each accepted text of a short answer. Returns an empty text for other
/// kinds of answers.
fn mapping(answer: &DraftAnswer) -> String {
    let DraftAnswer::ShortAnswer { texts, is_case_sensitive } = answer else { return String::new() };
    let entries: String = literals(texts)
        .map(|text| {
            format!(
                "<qti-map-entry map-key=\"{}\" mapped-value=\"1\" case-sensitive=\"{is_case_sensitive}\"/>",
                escape(&text)
            )
        })
        .collect();
    format!("    <qti-mapping default-value=\"0\">{entries}</qti-mapping>\n")
}

/// Writes the interaction, with the choices if the question has options.
fn interaction(out: &mut String, question: &DraftQuestion, texts: &[Cow<'_, str>]) {
    let most = match question.answer {
        DraftAnswer::Single(_) => "1",
        DraftAnswer::Multiple(_) => "0",
        DraftAnswer::Numeric { .. } | DraftAnswer::ShortAnswer { .. } => {
            out.push_str("    <p><qti-text-entry-interaction response-identifier=\"RESPONSE\"/></p>\n");
            return;
        }
    };
    out.push_str(&format!(
        "    <qti-choice-interaction response-identifier=\"RESPONSE\" shuffle=\"{}\" max-choices=\"{most}\">\n",
        question.option_order.shuffled
    ));
    for (index, (text, letter)) in texts.iter().zip('A'..='Z').enumerate() {
        let fixed = if question.option_order.fixed.contains(&index) { " fixed=\"true\"" } else { "" };
        out.push_str(&format!(
            "      <qti-simple-choice identifier=\"{letter}\"{fixed}>{text}</qti-simple-choice>\n"
        ));
    }
    out.push_str("    </qti-choice-interaction>\n");
}

/// Writes the response processing.
fn processing(out: &mut String, question: &DraftQuestion) {
    let operands = "<qti-variable identifier=\"RESPONSE\"/><qti-correct identifier=\"RESPONSE\"/>";
    let comparison = match &question.answer {
        DraftAnswer::Numeric { tolerance, .. } => {
            format!(
                "<qti-equal tolerance-mode=\"absolute\" tolerance=\"{tolerance} {tolerance}\">{operands}</qti-equal>"
            )
        }
        _ => format!("<qti-match>{operands}</qti-match>"),
    };
    let score = |score: &str| {
        format!(
            "<qti-set-outcome-value identifier=\"SCORE\"><qti-base-value base-type=\"float\">{score}</qti-base-value>\
             </qti-set-outcome-value>"
        )
    };
    let condition = format!(
        "    <qti-response-condition>\n      <qti-response-if>{comparison}{}\
         </qti-response-if>\n      <qti-response-else>{}</qti-response-else>\n    </qti-response-condition>\n",
        score("1"),
        score("0")
    );
    let rules = match &question.answer {
        DraftAnswer::ShortAnswer { .. } => {
            "    <qti-set-outcome-value identifier=\"SCORE\"><qti-map-response identifier=\"RESPONSE\"/>\
             </qti-set-outcome-value>\n"
                .to_owned()
        }
        _ => condition,
    };
    out.push_str(&format!("  <qti-response-processing>\n{rules}"));
    if question.explanation.is_some() {
        out.push_str(
            "    <qti-set-outcome-value identifier=\"FEEDBACK\"><qti-base-value base-type=\"identifier\">EXPLANATION\
             </qti-base-value></qti-set-outcome-value>\n",
        );
    }
    out.push_str("  </qti-response-processing>\n");
}
