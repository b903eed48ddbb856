//! Pictures in the texts of questions. A text names a picture by the hash of its bytes, wherever these bytes are
//! stored.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD as PADDED};
use infer::MatcherType;
use sha2::{Digest, Sha256};

/// The maximum number of bytes of a picture. A diagram as wide as a screen has about 100 KiB.
pub const MAX_PICTURE_BYTES: usize = 1024 * 1024;
/// The maximum number of bytes of all pictures of a question.
pub const MAX_PICTURE_BYTES_PER_QUESTION: usize = 4 * 1024 * 1024;
/// The maximum number of bytes of all pictures that are read from one file of questions.
pub const MAX_PICTURE_BYTES_PER_FILE: usize = 64 * 1024 * 1024;

/// The beginning of the address by which a text names a picture. The hash follows.
const SCHEME: &str = "picture:sha256-";
/// The number of hexadecimal digits of a hash.
const HASH_DIGITS: usize = 64;

/// A decoder that accepts Base64 with or without padding, as other systems write it.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The kind of a picture. All kinds are bitmaps, because pictures of other kinds, such as SVG, can run scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PictureKind {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// GIF.
    Gif,
    /// WebP.
    Webp,
    /// AVIF.
    Avif,
}

impl PictureKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Png, Self::Jpeg, Self::Gif, Self::Webp, Self::Avif];

    /// Returns the media type, such as `image/png`.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
            Self::Avif => "image/avif",
        }
    }

    /// Returns the kind with this media type, or `None` if no kind has this media type.
    #[must_use]
    pub fn of_media_type(media_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.media_type() == media_type)
    }

    /// Returns the extension of the names of files of this kind.
    fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Gif => "gif",
            Self::Webp => "webp",
            Self::Avif => "avif",
        }
    }
}

/// A picture that a question shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// The SHA-256 of the bytes in hexadecimal.
    pub hash: String,
    /// The kind of the picture, by its bytes. The name of its file does not matter.
    pub kind: PictureKind,
    /// The content of the file.
    pub bytes: Arc<[u8]>,
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picture({} {:?}, {} bytes)", self.hash, self.kind, self.bytes.len())
    }
}

impl Picture {
    /// Makes a picture of the bytes of a file. The kind of the picture depends only on these bytes.
    ///
    /// # Errors
    /// Returns the reason why the bytes are not a picture that is kept.
    pub(crate) fn read(bytes: Arc<[u8]>) -> Result<Self, NotKept> {
        let kind = kind_of(&bytes)?;
        Ok(Self { hash: hash_of_picture(&bytes), kind, bytes })
    }

    /// Returns a name for the picture in a file of questions. The name is made from the hash of the bytes, so it does
    /// not reveal the right answer, as the name of an uploaded file could.
    pub(crate) fn file_name(&self) -> String {
        format!("picture-{}.{}", self.hash.get(..16).unwrap_or(&self.hash), self.kind.extension())
    }

    /// Returns the bytes of the picture in Base64.
    pub(crate) fn base64(&self) -> String {
        PADDED.encode(&self.bytes)
    }

    /// Returns a `data:` address that contains the bytes of the picture.
    pub(crate) fn data_address(&self) -> String {
        format!("data:{};base64,{}", self.kind.media_type(), self.base64())
    }
}

/// Returns the hash by which texts name a picture: the SHA-256 of its bytes in hexadecimal.
#[must_use]
pub fn hash_of_picture(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the address by which a text names the picture with this hash.
#[must_use]
pub fn picture_address(hash: &str) -> String {
    format!("{SCHEME}{hash}")
}

/// Returns the hashes of the pictures that a text names, in the order of the text.
pub fn picture_hashes(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices(SCHEME).filter_map(|(at, _)| hash_at(&text[at + SCHEME.len()..]))
}

/// Returns the hash at the beginning of a text, or `None` if the text begins with something else.
fn hash_at(text: &str) -> Option<&str> {
    let hash = text.get(..HASH_DIGITS)?;
    hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).then_some(hash)
}

/// Replaces the addresses by which a text names pictures. `address` gets the hash of a picture and returns the new
/// address. If `address` returns `None`, the old address stays.
#[must_use]
pub fn with_picture_addresses(text: &str, mut address: impl FnMut(&str) -> Option<String>) -> Cow<'_, str> {
    if !text.contains(SCHEME) {
        return Cow::Borrowed(text);
    }
    let mut parts = text.split(SCHEME);
    let mut replaced = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match hash_at(part).and_then(|hash| Some((address(hash)?, &part[hash.len()..]))) {
            Some((address, after)) => replaced.extend([address.as_str(), after]),
            None => replaced.extend([SCHEME, part]),
        }
    }
    Cow::Owned(replaced)
}

/// Changes a text from a file, so that it names no pictures by their hashes. Only texts that the reader has finished
/// may name pictures in this way.
pub(crate) fn without_picture_addresses(text: &mut String) {
    if text.contains(SCHEME) {
        *text = text.replace(SCHEME, "picture-sha256-");
    }
}

/// The reason why a file of a question is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotKept {
    /// The file of questions does not contain the file.
    Missing,
    /// The text shows the file, but the place of the file's address in the text was not found.
    Unplaced,
    /// The address of the file leads into a Moodle that asks learners to sign in.
    NeedsSignIn,
    /// No text of the question shows the file.
    NotShown,
    /// The text is plain, so it shows no pictures.
    InPlainText,
    /// The file is an SVG picture.
    Svg,
    /// The file is a recording.
    Recording,
    /// The file is of another kind. The variant has its media type, or `None` if the media type is not known.
    OtherKind(Option<&'static str>),
    /// The file is empty, is not valid Base64, or is damaged in an archive.
    Damaged,
    /// The file has more bytes than a picture may have.
    TooLarge,
    /// With this file, the question would have more bytes of pictures than it may have.
    TooMuch,
}

impl fmt::Display for NotKept {
    /// Writes the reason and what to do about it. The text begins with a small letter, because it follows a colon.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mebibytes = |bytes: usize| bytes / 1024 / 1024;
        match self {
            Self::Missing => f.write_str(
                "the file of questions does not have it. Embed it, or put it on a web server and link to it with https://.",
            ),
            Self::Unplaced => f.write_str("its address in the text has an unusual form. Write it as in ![](a.png)."),
            Self::NeedsSignIn => f.write_str(
                "its address leads into a Moodle that asks learners to sign in. Embed the file, as exports of Moodle do.",
            ),
            Self::NotShown => f.write_str("no text of the question shows it."),
            Self::InPlainText => f.write_str(
                "the text is plain, so it shows no pictures. Write the text in HTML or Markdown.",
            ),
            Self::Svg => f.write_str(
                "it is an SVG picture, which can run scripts. Save it as PNG or WebP.",
            ),
            Self::Recording => f.write_str(
                "it is audio or video, which is not kept. Put it on a web server and link to it with https://.",
            ),
            Self::OtherKind(kind) => {
                let kind = kind.map(|kind| format!(", but {kind}")).unwrap_or_default();
                write!(
                    f,
                    "by its content, it is not a PNG, JPEG, GIF, WebP or AVIF picture{kind}. Save it as PNG."
                )
            }
            Self::Damaged => f.write_str("it is empty or damaged. Embed it again."),
            Self::TooLarge => write!(
                f,
                "it has more than {} MiB. Make the picture smaller.",
                mebibytes(MAX_PICTURE_BYTES)
            ),
            Self::TooMuch => write!(
                f,
                "the pictures of the question have more than {} MiB. Make them smaller.",
                mebibytes(MAX_PICTURE_BYTES_PER_QUESTION)
            ),
        }
    }
}

/// Returns the kind of picture that a file is by its bytes, or the reason why it is not kept.
fn kind_of(bytes: &[u8]) -> Result<PictureKind, NotKept> {
    if bytes.is_empty() {
        return Err(NotKept::Damaged);
    }
    if bytes.len() > MAX_PICTURE_BYTES {
        return Err(NotKept::TooLarge);
    }
    let found = infer::get(bytes);
    if let Some(kind) = found.and_then(|found| PictureKind::of_media_type(found.mime_type())) {
        return Ok(kind);
    }
    if is_svg(bytes) {
        return Err(NotKept::Svg);
    }
    match found {
        Some(found) if matches!(found.matcher_type(), MatcherType::Audio | MatcherType::Video) => {
            Err(NotKept::Recording)
        }
        found => Err(NotKept::OtherKind(found.map(|found| found.mime_type()))),
    }
}

/// Returns whether a file is XML or HTML with an element `svg` near its beginning.
fn is_svg(bytes: &[u8]) -> bool {
    let begin = String::from_utf8_lossy(&bytes[..bytes.len().min(4096)]).to_ascii_lowercase();
    begin.trim_start_matches('\u{feff}').trim_start().starts_with('<') && begin.contains("<svg")
}

/// Decodes Base64 without white space. Refuses damaged Base64, and Base64 of a file that is clearly too large.
/// [`Picture::read`] checks the exact size.
pub(crate) fn decode(base64: &str) -> Result<Arc<[u8]>, NotKept> {
    // Four characters of Base64 stand for three bytes. Do not decode a file that is too large.
    if base64.len() / 4 * 3 > MAX_PICTURE_BYTES + 3 {
        return Err(NotKept::TooLarge);
    }
    LENIENT.decode(base64).map(Arc::from).map_err(|_| NotKept::Damaged)
}

/// Decodes an address that contains a file, such as `data:image/png;base64,…`. Without `;base64`, the bytes of the
/// file follow the comma, and some of them are escaped. Refuses a damaged address, and one that is clearly too long.
/// [`Picture::read`] checks the exact size of the file.
pub(crate) fn decode_data_address(address: &str) -> Result<Arc<[u8]>, NotKept> {
    let (head, content) = address.split_once(',').ok_or(NotKept::Damaged)?;
    // A byte of the file needs at most 4 characters of the address: 4/3 characters of Base64, each of which can be
    // escaped with 3 characters.
    if content.len() > MAX_PICTURE_BYTES * 4 {
        return Err(NotKept::TooLarge);
    }
    let bytes = unescaped(content);
    if !head.trim_end().to_ascii_lowercase().ends_with(";base64") {
        return Ok(bytes.into());
    }
    let base64: String = String::from_utf8_lossy(&bytes).split_whitespace().collect();
    decode(&base64.replace('-', "+").replace('_', "/"))
}

/// Replaces the escapes of an address by their bytes: `%20` becomes a space.
pub(crate) fn unescaped(address: &str) -> Vec<u8> {
    let mut parts = address.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend_from_slice(&part.as_bytes()[2..]);
            }
            None => {
                bytes.push(b'%');
                bytes.extend_from_slice(part.as_bytes());
            }
        }
    }
    bytes
}
