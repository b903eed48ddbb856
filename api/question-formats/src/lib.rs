#![doc = include_str!("../README.md")]

mod addresses;
mod aiken;
mod assemble;
mod category;
mod comments;
mod derived_id;
mod draft;
mod entities;
mod fence;
mod format;
mod gift;
mod hash;
mod html;
mod keep;
mod key;
mod kind;
mod labels;
mod markup;
mod moodle_xml;
pub mod number;
mod order;
mod package;
mod parsed;
mod picture;
mod pointing;
mod qti;
mod short_answer;
pub mod typed_text;
mod visible;
mod weights;
mod writer;
mod xhtml;
mod xml;
mod xml_source;

#[cfg(test)]
mod round_trip;

pub use category::MAX_TOPIC_CHARS;
pub use derived_id::is_derived_id;
pub use draft::{
    DraftAnswer, DraftDifficulty, DraftOption, DraftQuestion, DraftTextFormat, IdOrigin, OptionOrder,
};
pub use format::Format;
pub use keep::{KeptText, KnownPictures, keep_pictures};
pub use kind::{explain_unknown, is_package};
pub use labels::excerpt;
pub use package::read_package;
pub use parsed::{MAX_REFUSED_LISTED, ParsedFile, ParsedQuestion, RefusedQuestion, UnreadableFile};
pub use picture::{
    MAX_PICTURE_BYTES, MAX_PICTURE_BYTES_PER_FILE, MAX_PICTURE_BYTES_PER_QUESTION, Picture, PictureKind,
    hash_of_picture, picture_address, picture_hashes, with_picture_addresses,
};
pub use writer::{FileWriter, WriteLoss, WrittenFile, write};

/// Reads a whole file. Entries that are not questions are refused one by one.
///
/// # Errors
/// Returns [`UnreadableFile`] if the file as a whole is not a document of its format.
pub fn read(format: Format, text: &str) -> Result<ParsedFile, UnreadableFile> {
    read_with(format, text, &|_| None)
}

/// Reads a whole file as [`read`] does. A text may also show pictures that the application has stored already: `known`
/// finds the hash of such a picture by its address.
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

/// Reads a whole file, but leaves its pictures where they are.
pub(crate) fn read_texts(format: Format, text: &str) -> Result<ParsedFile, UnreadableFile> {
    // The reader of GIFT leaves out fences itself: they can also be around parts of the file.
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
