//! Writing Aiken.
//!
//! An explanation is not written, although it would be read here again: Moodle takes a line below `ANSWER:` for the
//! beginning of another question.

use std::collections::HashSet;

use jishu_entity::question_version::TextFormat;

use super::super::super::draft::{DraftAnswer, DraftQuestion};

/// Appends a question; returns what of it cannot be written.
pub(in super::super) fn write(out: &mut String, question: &DraftQuestion) -> Vec<String> {
    let DraftAnswer::Single(options) = &question.answer else {
        return vec!["It is left out: Aiken has single choices only.".to_owned()];
    };
    let mut lost = vec!["its external id", "its topic", "its difficulty"];
    if question.explanation.is_some() {
        lost.push("its explanation");
    }
    match question.text_format {
        TextFormat::Plain => {}
        TextFormat::Markdown => lost.push("that its texts are Markdown"),
        TextFormat::Html => lost.push("that its texts are HTML"),
    }
    if question.stem.contains('\n') || options.iter().any(|option| option.text.contains('\n')) {
        lost.push("the ends of lines in its texts");
    }
    let on_a_line = |text: &str| {
        text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
    };
    let texts: HashSet<String> = options.iter().map(|option| on_a_line(&option.text)).collect();
    if texts.len() < options.len() {
        return vec![
            "It is left out: its options differ in the ends of lines only, which Aiken has no place for."
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
    vec![format!("Aiken has no place for {}.", lost.join(", "))]
}
