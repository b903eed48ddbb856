//! The formats, and how a format is recognised.

use crate::{aiken, fence, gift, kind, xml};

/// A format of files of questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Moodle's text format. <https://docs.moodle.org/en/GIFT_format>
    Gift,
    /// A question, options with letters, and a line such as `ANSWER: B`. <https://docs.moodle.org/en/Aiken_format>
    Aiken,
    /// The XML format of Moodle. <https://docs.moodle.org/en/Moodle_XML_format>
    MoodleXml,
    /// Question and Test Interoperability 2.0 to 3.0 of 1EdTech. 3.0 is written. <https://www.imsglobal.org/spec/qti/v3p0/impl>
    Qti,
}

impl Format {
    /// Guesses the format of a text. Returns `None` if the text looks like none of the formats; then [`explain_unknown`]
    /// may say what it is.
    ///
    /// [`explain_unknown`]: crate::explain_unknown
    #[must_use]
    pub fn detect(text: &str) -> Option<Self> {
        let text = fence::stripped(text);
        let text = text.trim_start_matches('\u{feff}').trim_start();
        // A text in GIFT or Aiken can begin with an HTML tag, so `<` alone does not decide.
        if let Some(format) = text.starts_with('<').then(|| xml::detect(text)).flatten() {
            return Some(format);
        }
        if kind::of_text(text).is_some() {
            return None;
        }
        if aiken::looks_like(text) {
            return Some(Self::Aiken);
        }
        if gift::looks_like(text) {
            return Some(Self::Gift);
        }
        // The Aiken reader will refuse this text with advice on how to write the key.
        aiken::looks_nearly_like(text).then_some(Self::Aiken)
    }

    /// Returns the format of files with this name, if the extension of the name tells it.
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
