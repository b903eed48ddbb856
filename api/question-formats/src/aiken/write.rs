//! Writes Aiken.
//!
//! Explanations are not written, although the reader of this crate would read them. Moodle reads a line below `ANSWER:`
//! as the beginning of another question.

use std::collections::HashSet;

use crate::draft::{DraftAnswer, DraftQuestion, DraftTextFormat};
use crate::order;

/// Appends a question to a file, and returns sentences that say what Aiken cannot hold. If Aiken cannot hold the
/// question, appends nothing.
pub(crate) fn write(out: &mut String, question: &DraftQuestion) -> Vec<String> {
    let DraftAnswer::Single(options) = &question.answer else {
        return vec!["This question is left out: Aiken has only single choices.".to_owned()];
    };
    let mut lost = vec!["its external id", "its topic", "its difficulty"];
    if question.explanation.is_some() {
        lost.push("its explanation");
    }
    match question.text_format {
        DraftTextFormat::Plain => {}
        DraftTextFormat::Markdown => lost.push("its text format (Markdown)"),
        DraftTextFormat::Html => lost.push("its text format (HTML)"),
    }
    if question.stem.contains('\n') || options.iter().any(|option| option.text.contains('\n')) {
        lost.push("the line breaks in its texts");
    }
    let on_a_line = |text: &str| {
        text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
    };
    let texts: Vec<String> = options.iter().map(|option| on_a_line(&option.text)).collect();
    if question.option_order != order::assumed_order(&texts, DraftTextFormat::Plain) {
        lost.push("the order of its options");
    }
    if texts.iter().collect::<HashSet<_>>().len() < options.len() {
        return vec![
            "This question is left out: two of its options differ only in line breaks, which Aiken cannot store."
                .to_owned(),
        ];
    }
    out.push_str(&on_a_line(&question.stem));
    out.push('\n');
    let mut key = 'A';
    for (option, letter) in options.iter().zip('A'..='Z') {
        out.push_str(&format!("{letter}. {}\n", on_a_line(&option.text)));
        if option.correct {
            key = letter;
        }
    }
    out.push_str(&format!("ANSWER: {key}\n\n"));
    vec![format!("Aiken cannot store {}.", lost.join(", "))]
}
