//! Writes files of questions.

use crate::draft::DraftQuestion;
use crate::format::Format;
use crate::{aiken, gift, moodle_xml, qti};

/// A written file, and the parts of questions that its format cannot hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenFile {
    /// The whole file.
    pub text: String,
    /// The parts of questions that the file does not have, or has in another form, in the order of the questions.
    pub losses: Vec<WriteLoss>,
}

/// A part of a question that a file does not have, or has in another form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteLoss {
    /// The external id of the question.
    pub external_id: String,
    /// A sentence for the author that says what was left out or changed.
    pub text: String,
}

/// Writes questions to one file.
#[must_use]
pub fn write(format: Format, questions: &[DraftQuestion]) -> WrittenFile {
    let mut writer = FileWriter::new(format);
    let mut losses = Vec::new();
    for question in questions {
        let sentences = writer.write(question).into_iter();
        losses.extend(sentences.map(|text| WriteLoss { external_id: question.external_id.clone(), text }));
    }
    WrittenFile { text: writer.finish(), losses }
}

/// Writes a file question by question, for banks that do not fit into memory at once.
#[derive(Debug)]
pub struct FileWriter {
    format: Format,
    text: String,
    /// The topic of the last question that was written. GIFT and Moodle XML state a topic once for all questions below
    /// it.
    topic: Option<String>,
}

impl FileWriter {
    /// Begins an empty file in this format.
    #[must_use]
    pub fn new(format: Format) -> Self {
        let text = match format {
            Format::Gift | Format::Aiken => "",
            Format::MoodleXml => moodle_xml::BEGIN,
            Format::Qti => qti::BEGIN,
        };
        Self { format, text: text.to_owned(), topic: None }
    }

    /// Writes a question. Returns sentences that say which parts of the question the format cannot hold, or that the
    /// question is left out.
    #[must_use = "the returned sentences tell the author what is lost"]
    pub fn write(&mut self, question: &DraftQuestion) -> Vec<String> {
        let is_new_topic = self.topic.as_ref() != Some(&question.topic);
        if is_new_topic {
            self.topic = Some(question.topic.clone());
        }
        // Moodle XML has elements for files. In GIFT and QTI, the pictures are in the texts, as addresses with their
        // content.
        let inside = match self.format {
            _ if question.pictures.is_empty() => None,
            Format::Aiken => {
                return vec!["This question is left out: Aiken cannot store its pictures.".to_owned()];
            }
            Format::Gift | Format::Qti => Some(question.with_pictures_inside()),
            Format::MoodleXml => None,
        };
        let question = inside.as_ref().unwrap_or(question);
        match self.format {
            Format::Gift => gift::write(&mut self.text, question, is_new_topic),
            Format::Aiken => aiken::write(&mut self.text, question),
            Format::MoodleXml => moodle_xml::write(&mut self.text, question, is_new_topic),
            Format::Qti => qti::write(&mut self.text, question),
        }
    }

    /// Ends the file and returns its text.
    #[must_use]
    pub fn finish(mut self) -> String {
        self.text.push_str(match self.format {
            Format::Gift | Format::Aiken => "",
            Format::MoodleXml => moodle_xml::END,
            Format::Qti => qti::END,
        });
        self.text
    }
}
