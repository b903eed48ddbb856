//! Writes GIFT that Moodle can also read.

use crate::draft::{DraftAnswer, DraftQuestion, DraftTextFormat};
use crate::labels::{CASE_TAG, difficulty_name, order_tag};
use crate::{category, order, weights};

use super::text::escape;

/// Appends a question to a file, and before it the category of its topic if `is_new_topic` is true. Returns sentences
/// that say what GIFT cannot hold. If GIFT cannot hold the question, appends no question.
pub(crate) fn write(out: &mut String, question: &DraftQuestion, is_new_topic: bool) -> Vec<String> {
    let mut losses = Vec::new();
    if is_new_topic {
        losses.extend(category::loss(&question.topic));
        out.push_str(&format!("$CATEGORY: {}\n\n", category::path(&question.topic)));
    }
    let mut case = String::new();
    if let DraftAnswer::ShortAnswer { texts, is_case_sensitive } = &question.answer {
        if *is_case_sensitive {
            case = format!(" [tag:{CASE_TAG}]");
        }
        // GIFT has no escape for an arrow, so a question with an arrow in an accepted text cannot be written.
        if texts.iter().any(|text| text.contains("->")) {
            losses.push(
                "This question is left out: GIFT reads -> in an accepted text as the arrow of a matching question."
                    .to_owned(),
            );
            return losses;
        }
    }
    let id = question.external_id.replace('\\', "\\\\").replace(']', "\\]");
    let options: Vec<String> = question.answer.options().iter().map(|option| option.text.clone()).collect();
    let order = match question.option_order == order::assumed_order(&options, question.text_format) {
        true => String::new(),
        false => format!(" [tag:{}]", order_tag(&question.option_order)),
    };
    out.push_str(&format!(
        "// [id:{id}] [tag:difficulty:{}]{order}{case}\n",
        difficulty_name(question.difficulty)
    ));
    let format = match question.text_format {
        DraftTextFormat::Plain => "[plain]",
        DraftTextFormat::Markdown => "[markdown]",
        DraftTextFormat::Html => "[html]",
    };
    // A text that begins with a bracket or a per cent sign gets its format before it. So it is not read as a format or
    // a weight.
    let text = |text: &str| match text.starts_with(['[', '%']) {
        true => format!("{format}{}", escape(text)),
        false => escape(text),
    };
    out.push_str(&format!("::{}::{format}{} {{", escape(&question.external_id), escape(&question.stem)));
    match &question.answer {
        DraftAnswer::Single(options) => {
            for option in options {
                let mark = if option.correct { '=' } else { '~' };
                out.push_str(&format!("\n\t{mark}{}", text(&option.text)));
            }
        }
        DraftAnswer::Multiple(options) => {
            let share = weights::share(options.iter().filter(|option| option.correct).count());
            for option in options {
                let weight = if option.correct { &share } else { "-100" };
                out.push_str(&format!("\n\t~%{weight}%{}", text(&option.text)));
            }
        }
        DraftAnswer::Numeric { value, tolerance } => out.push_str(&format!("#{value}:{tolerance}")),
        DraftAnswer::ShortAnswer { texts, .. } => {
            for text in texts {
                let format = if text.starts_with(['[', '%']) { "[plain]" } else { "" };
                out.push_str(&format!("\n\t={format}{}", escape(text)));
            }
        }
    }
    if let Some(explanation) = &question.explanation {
        out.push_str(&format!("\n\t####{}", text(explanation)));
    }
    out.push_str("\n}\n\n");
    losses
}
