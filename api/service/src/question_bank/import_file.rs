//! The file of an import, before its questions are read.

use question_formats::{explain_unknown, is_package};

use super::report::ImportRefusal;

/// The content of a file that is imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportFile {
    /// A text in one of the formats.
    Text(String),
    /// The bytes of a ZIP package with items of QTI.
    Package(Vec<u8>),
}

impl ImportFile {
    /// Makes an import file of these bytes: a package if they are a ZIP archive, and a text otherwise. A text must be
    /// in UTF-8.
    ///
    /// # Errors
    /// Refuses bytes that are neither a ZIP archive nor a text in UTF-8 without NUL bytes. The refusal has the line of
    /// the problem, or names the kind of the file if it is known.
    pub fn read(bytes: Vec<u8>) -> Result<Self, ImportRefusal> {
        match is_package(&bytes) {
            true => Ok(Self::Package(bytes)),
            false => decode(&bytes).map(|text| Self::Text(text.to_owned())),
        }
    }

    /// Returns words for the question at this line, for messages. In a package, the line is the number of the question.
    pub(super) fn name_of_question(&self, line: u32) -> String {
        match self {
            Self::Text(_) => format!("the question in line {line}"),
            Self::Package(_) => format!("question {line} of the package"),
        }
    }
}

/// Returns the text of a file, which must be in UTF-8. Removes the byte order marks at the start, which some editors
/// write.
///
/// # Errors
/// Refuses a file that is not in UTF-8 or has a NUL byte. The refusal has the line of the problem. If the kind of the
/// file is known, such as a PDF, the refusal names the kind.
pub(super) fn decode(bytes: &[u8]) -> Result<&str, ImportRefusal> {
    let unreadable = |at: usize, reason: &str| {
        let ends = bytes[..at].iter().zip(&bytes[1..]);
        let ends = ends.filter(|(byte, next)| **byte == b'\n' || **byte == b'\r' && **next != b'\n');
        let line = ends.count() + 1;
        ImportRefusal::Unreadable { line: u32::try_from(line).unwrap_or(u32::MAX), reason: reason.to_owned() }
    };
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(unreadable(0, "it is in UTF-16. Save it in UTF-8."));
    }
    let nul = bytes.iter().position(|byte| *byte == 0);
    if let Some(kind) =
        (nul.is_some() || std::str::from_utf8(bytes).is_err()).then(|| explain_unknown(bytes)).flatten()
    {
        return Err(unreadable(0, &kind));
    }
    if let Some(nul) = nul {
        return Err(unreadable(nul, NUL_BYTE_REASON));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        unreadable(
            error.valid_up_to(),
            "it is not in UTF-8. Save it in UTF-8, not in Latin-1 or Windows-1252.",
        )
    })?;
    Ok(text.trim_start_matches('\u{feff}'))
}

/// The reason to refuse a file with a NUL byte.
const NUL_BYTE_REASON: &str = "it has a NUL byte, which a text cannot have. Remove it.";
