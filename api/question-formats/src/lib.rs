#![doc = include_str!("../README.md")]

mod addresses;
mod aiken;
mod assemble;
mod category;
mod comments;
mod derived_id;
mod detect;
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
mod read;
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
pub use package::{read_package, read_package_with, visit_package_texts};
pub use parsed::{MAX_REFUSED_LISTED, ParsedFile, ParsedQuestion, RefusedQuestion, UnreadableFile};
pub use picture::{
    MAX_PICTURE_BYTES, MAX_PICTURE_BYTES_PER_FILE, MAX_PICTURE_BYTES_PER_QUESTION, Picture, PictureKind,
    hash_of_picture, picture_address, picture_hashes, with_picture_addresses,
};
pub use read::{read, read_with};
pub use writer::{FileWriter, WriteLoss, WrittenFile, write};
