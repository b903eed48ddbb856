//! Reads a text in one of the formats.

use crate::format::Format;
use crate::keep::{self, KnownPictures};
use crate::parsed::{ParsedFile, UnreadableFile};
use crate::{aiken, category, fence, gift, moodle_xml, qti};

/// Reads a text with all its questions. Refuses each entry that cannot be read as a question, and reads the other
/// entries.
///
/// # Errors
/// Returns [`UnreadableFile`] if the file as a whole is not a document of its format.
pub fn read(format: Format, text: &str) -> Result<ParsedFile, UnreadableFile> {
    read_with(format, text, &|_| None)
}

/// Reads a text with all its questions, as [`read`] does. A text may also show pictures that the application has
/// already stored: `known` returns the hash of such a picture by its address.
///
/// # Errors
/// Returns [`UnreadableFile`] if the file as a whole is not a document of its format.
pub fn read_with(
    format: Format,
    text: &str,
    known: &KnownPictures<'_>,
) -> Result<ParsedFile, UnreadableFile> {
    Ok(keep::Pictures::new(known).finish(read_texts(format, text)?))
}

/// Reads a text with all its questions, without keeping pictures: the texts still have the addresses of the file.
pub(crate) fn read_texts(format: Format, text: &str) -> Result<ParsedFile, UnreadableFile> {
    // The GIFT reader leaves out code fences itself, because they can also be around parts of the file.
    let without_fence = (format != Format::Gift).then(|| fence::without(text)).flatten();
    let text = without_fence.as_deref().unwrap_or(text);
    let mut parsed = match format {
        Format::Gift => gift::read(text),
        Format::Aiken => aiken::read(text),
        Format::MoodleXml => moodle_xml::read(text)?,
        Format::Qti => qti::read(text)?,
    };
    if let (Some(_), Some(first)) = (&without_fence, parsed.questions.first_mut()) {
        first.losses.push(fence::FENCE_LOSS.to_owned());
    }
    parsed.questions.iter_mut().for_each(category::shorten_topic);
    Ok(parsed)
}
