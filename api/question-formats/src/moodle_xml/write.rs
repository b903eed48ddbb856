//! Writes Moodle XML.

use crate::addresses::OF_MOODLE;
use crate::draft::{DraftAnswer, DraftOption, DraftQuestion, DraftTextFormat};
use crate::labels::{difficulty_name, order_tag};
use crate::picture::{Picture, with_picture_addresses};
use crate::{category, weights};

use crate::xml::escape;

pub(crate) const BEGIN: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<quiz>\n";
pub(crate) const END: &str = "</quiz>\n";

/// Appends a question to a document, and before it the category of its topic if `is_new_topic` is true. Returns
/// sentences that say what Moodle XML cannot hold.
pub(crate) fn write(out: &mut String, question: &DraftQuestion, is_new_topic: bool) -> Vec<String> {
    let mut losses = Vec::new();
    if is_new_topic {
        losses.extend(category::loss(&question.topic));
        let path = escape(&category::path(&question.topic));
        out.push_str(&format!(
            "  <question type=\"category\">\n    <category><text>{path}</text></category>\n  </question>\n"
        ));
    }
    let format = match question.text_format {
        DraftTextFormat::Plain => "plain_text",
        DraftTextFormat::Markdown => "markdown",
        DraftTextFormat::Html => "html",
    };
    let kind = match question.answer {
        DraftAnswer::Single(_) | DraftAnswer::Multiple(_) => "multichoice",
        DraftAnswer::Numeric { .. } => "numerical",
        DraftAnswer::ShortAnswer { .. } => "shortanswer",
    };
    let id = escape(&question.external_id);
    let text = |text: &str| {
        let (text, files) = with_files(text, &question.pictures);
        format!("format=\"{format}\"><text>{}</text>{files}", escape(&text))
    };
    let stem = text(&question.stem);
    let explanation = text(question.explanation.as_deref().unwrap_or_default());
    out.push_str(&format!(
        "  <question type=\"{kind}\">\n    <name><text>{id}</text></name>\n    \
         <questiontext {stem}</questiontext>\n    <generalfeedback {explanation}</generalfeedback>\n    \
         <defaultgrade>1</defaultgrade>\n    <idnumber>{id}</idnumber>\n"
    ));
    // Moodle cannot keep the positions of only some options. If only some options keep their positions, Moodle must
    // keep the order of all options, and a tag names the fixed options for the next import.
    let order = &question.option_order;
    let shuffles = order.shuffled && order.fixed.is_empty();
    let order_tag = match order.fixed.is_empty() || question.answer.options().is_empty() {
        true => String::new(),
        false => format!("      <tag><text>{}</text></tag>\n", order_tag(order)),
    };
    match &question.answer {
        DraftAnswer::Single(options) => {
            out.push_str(&format!(
                "    <single>true</single>\n    <shuffleanswers>{shuffles}</shuffleanswers>\n"
            ));
            answers(out, options, "100", "0", text);
        }
        DraftAnswer::Multiple(options) => {
            out.push_str(&format!(
                "    <single>false</single>\n    <shuffleanswers>{shuffles}</shuffleanswers>\n"
            ));
            let share = weights::share(options.iter().filter(|option| option.correct).count());
            answers(out, options, &share, "-100", text);
        }
        DraftAnswer::Numeric { value, tolerance } => out.push_str(&format!(
            "    <answer fraction=\"100\"><text>{value}</text><tolerance>{tolerance}</tolerance></answer>\n"
        )),
        DraftAnswer::ShortAnswer { .. } => {}
    }
    if let DraftAnswer::ShortAnswer { texts, is_case_sensitive } = &question.answer {
        out.push_str(&format!("    <usecase>{}</usecase>\n", u8::from(*is_case_sensitive)));
        for text in texts {
            let text = escape(text);
            out.push_str(&format!(
                "    <answer fraction=\"100\" format=\"moodle_auto_format\"><text>{text}</text></answer>\n"
            ));
        }
    }
    let difficulty = difficulty_name(question.difficulty);
    out.push_str(&format!(
        "    <tags>\n      <tag><text>difficulty:{difficulty}</text></tag>\n{order_tag}    </tags>\n  </question>\n"
    ));
    losses
}

/// Returns a text in which the names of pictures are replaced by Moodle's addresses of files, and the `<file>` elements
/// with these pictures.
fn with_files(text: &str, pictures: &[Picture]) -> (String, String) {
    let mut files = String::new();
    let mut written = Vec::new();
    let text = with_picture_addresses(text, |hash| {
        let picture = pictures.iter().find(|picture| picture.hash == hash)?;
        let name = picture.file_name();
        if !written.contains(&name) {
            let content = picture.base64();
            files.push_str(&format!("<file name=\"{name}\" path=\"/\" encoding=\"base64\">{content}</file>"));
            written.push(name.clone());
        }
        Some(format!("{OF_MOODLE}/{name}"))
    });
    (text.into_owned(), files)
}

/// Appends the options as answers. A correct option gets the fraction `correct`, and a wrong option gets `wrong`.
fn answers(
    out: &mut String,
    options: &[DraftOption],
    correct: &str,
    wrong: &str,
    text: impl Fn(&str) -> String,
) {
    for option in options {
        let fraction = if option.correct { correct } else { wrong };
        out.push_str(&format!("    <answer fraction=\"{fraction}\" {}</answer>\n", text(&option.text)));
    }
}
