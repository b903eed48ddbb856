//! The formats of files of questions.

/// A format of files of questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Moodle's text format. <https://docs.moodle.org/en/GIFT_format>
    Gift,
    /// A question, options with letters, and a line such as `ANSWER: B`. <https://docs.moodle.org/en/Aiken_format>
    Aiken,
    /// The XML format of Moodle. <https://docs.moodle.org/en/Moodle_XML_format>
    MoodleXml,
    /// Question and Test Interoperability (QTI) of 1EdTech. Versions 1.2 and 2.0 to 3.0 are read, and 3.0 is written.
    /// <https://www.imsglobal.org/spec/qti/v3p0/impl>
    Qti,
}

impl Format {
    /// Returns the format of a file with this name, if the extension of the name is `gift`, `aiken` or `qti`. Returns
    /// `None` for any other name.
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
