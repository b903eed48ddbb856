#![doc = include_str!("../README.md")]

mod aiken;
mod category;
mod comments;
mod derived_id;
mod draft;
mod entities;
mod format;
mod gift;
mod hash;
mod html;
mod key;
mod labels;
mod markup;
mod moodle_xml;
pub mod number;
mod parsed;
mod qti;
mod weights;
mod writer;
mod xhtml;
mod xml;

#[cfg(test)]
mod round_trip;

pub use derived_id::{derive_id, is_derived_id};
pub use draft::{DraftAnswer, DraftDifficulty, DraftOption, DraftQuestion, DraftTextFormat, IdOrigin};
pub use format::Format;
pub use labels::excerpt;
pub use parsed::{
    EmbeddedFile, MAX_REFUSED_LISTED, ParsedFile, ParsedQuestion, RefusedQuestion, UnreadableFile,
};
pub use writer::{FileWriter, WriteLoss, WrittenFile, write};

/// Reads a whole file. Entries that are not questions are refused one by one.
///
/// # Errors
/// Returns [`UnreadableFile`] if the file as a whole is not a document of its format.
pub fn read(format: Format, text: &str) -> Result<ParsedFile, UnreadableFile> {
    match format {
        Format::Gift => Ok(gift::read(text)),
        Format::Aiken => Ok(aiken::read(text)),
        Format::MoodleXml => moodle_xml::read(text),
        Format::Qti => qti::read(text),
    }
}
