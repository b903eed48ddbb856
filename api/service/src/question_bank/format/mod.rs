//! The formats that banks are exchanged in: which there are, and how one is told from another.

mod aiken;
mod category;
mod comments;
mod entities;
mod gift;
mod html;
mod markup;
mod moodle_xml;
mod qti;
mod weights;
mod xhtml;
mod xml;

#[cfg(test)]
mod round_trip;

use jishu_entity::question_version::Difficulty;

use super::draft::{DraftQuestion, Found};
use super::report::{Loss, MOST_REFUSED, Refusal};

/// A format of files of questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Moodle's text format. <https://docs.moodle.org/en/GIFT_format>
    Gift,
    /// A question, lettered options, `ANSWER: B`. <https://docs.moodle.org/en/Aiken_format>
    Aiken,
    /// Moodle's own. <https://docs.moodle.org/en/Moodle_XML_format>
    MoodleXml,
    /// 1EdTech's Question and Test Interoperability 3.0. <https://www.imsglobal.org/spec/qti/v3p0/impl>
    Qti,
}

impl Format {
    /// What a text is written in, if it looks like one of them.
    #[must_use]
    pub fn detect(text: &str) -> Option<Self> {
        let text = text.trim_start_matches('\u{feff}').trim_start();
        // A text of the other formats can begin with HTML.
        if let Some(format) = text.starts_with('<').then(|| xml::detect(text)).flatten() {
            return Some(format);
        }
        if aiken::looks_like(text) {
            return Some(Self::Aiken);
        }
        if text.contains('{') || text.starts_with("::") || text.starts_with("$CATEGORY:") {
            return Some(Self::Gift);
        }
        // Reads it as Aiken, so that the refusal says what to write instead.
        aiken::looks_nearly_like(text).then_some(Self::Aiken)
    }

    /// What files with this name are written in, if their name tells.
    #[must_use]
    pub fn of_file_name(name: &str) -> Option<Self> {
        let extension = name.rsplit_once('.')?.1.to_ascii_lowercase();
        match extension.as_str() {
            "gift" => Some(Self::Gift),
            "aiken" => Some(Self::Aiken),
            "qti" => Some(Self::Qti),
            _ => None,
        }
    }
}

/// Why nothing of a text can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub(super) line: u32,
    pub(super) reason: String,
}

/// What a text has.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) questions: Vec<Found>,
    /// The first of those that were refused: a file in another format is refused line by line.
    pub(super) refused: Vec<Refusal>,
    /// How many were refused.
    pub(super) refused_count: usize,
}

impl Reading {
    fn take(&mut self, line: u32, external_id: Option<&str>, question: Result<Found, String>) {
        match question {
            Ok(found) => self.questions.push(found),
            Err(_) if self.refused.len() >= MOST_REFUSED => self.refused_count += 1,
            Err(reason) => {
                self.refused_count += 1;
                // What is too long to be an id is too long to be told.
                let external_id = external_id.map(|id| id.chars().take(128).collect());
                self.refused.push(Refusal { line, external_id, reason, advice: None });
            }
        }
    }
}

/// Reads a text whole.
pub(super) fn read(format: Format, text: &str) -> Result<Reading, Unreadable> {
    match format {
        Format::Gift => Ok(gift::read(text)),
        Format::Aiken => Ok(aiken::read(text)),
        Format::MoodleXml => moodle_xml::read(text),
        Format::Qti => qti::read(text),
    }
}

/// Writes questions, one after the other.
#[derive(Debug)]
pub(super) struct Writer {
    format: Format,
    text: String,
    /// The topic that was named last.
    topic: Option<String>,
    losses: Vec<Loss>,
}

impl Writer {
    pub(super) fn new(format: Format) -> Self {
        let text = match format {
            Format::Gift | Format::Aiken => "",
            Format::MoodleXml => moodle_xml::BEGIN,
            Format::Qti => qti::BEGIN,
        };
        Self { format, text: text.to_owned(), topic: None, losses: Vec::new() }
    }

    pub(super) fn write(&mut self, question: &DraftQuestion) {
        let is_new_topic = self.topic.as_ref() != Some(&question.topic);
        if is_new_topic {
            self.topic = Some(question.topic.clone());
        }
        let losses = match self.format {
            Format::Gift => gift::write(&mut self.text, question, is_new_topic),
            Format::Aiken => aiken::write(&mut self.text, question),
            Format::MoodleXml => moodle_xml::write(&mut self.text, question, is_new_topic),
            Format::Qti => qti::write(&mut self.text, question),
        };
        let loss = |what| Loss { line: 0, external_id: question.external_id.clone(), what };
        self.losses.extend(losses.into_iter().map(loss));
    }

    pub(super) fn finish(mut self) -> (String, Vec<Loss>) {
        self.text.push_str(match self.format {
            Format::Gift | Format::Aiken => "",
            Format::MoodleXml => moodle_xml::END,
            Format::Qti => qti::END,
        });
        (self.text, self.losses)
    }
}

/// The name of a difficulty in tags.
fn difficulty_name(difficulty: Difficulty) -> &'static str {
    match difficulty {
        Difficulty::Easy => "easy",
        Difficulty::Medium => "medium",
        Difficulty::Hard => "hard",
    }
}

/// The difficulty of this name.
fn difficulty(name: &str) -> Option<Difficulty> {
    [Difficulty::Easy, Difficulty::Medium, Difficulty::Hard]
        .into_iter()
        .find(|difficulty| difficulty_name(*difficulty).eq_ignore_ascii_case(name.trim()))
}

/// Takes the difficulty out of tags such as `difficulty:hard`; tells of the others.
fn read_tags<'a>(tags: impl IntoIterator<Item = &'a str>, losses: &mut Vec<String>) -> Option<Difficulty> {
    let mut found = None;
    for tag in tags {
        match tag.trim().split_once(':') {
            Some((key, value)) if key.eq_ignore_ascii_case("difficulty") && difficulty(value).is_some() => {
                found = difficulty(value);
            }
            _ => losses.push(format!("The tag \"{}\" is left out: questions have no tags.", short(tag))),
        }
    }
    found
}

/// The id and the name of a question, where it has them and they differ.
fn read_identity(id: Option<&str>, name: Option<&str>) -> (Option<String>, Option<String>) {
    let filled = |text: Option<&str>| text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let (id, name) = (filled(id), filled(name));
    let name = name.filter(|name| Some(name) != id.as_ref());
    (id, name)
}

/// The beginning of a text, for messages.
pub(super) fn short(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let text = lines.join(" ");
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
