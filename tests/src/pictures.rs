//! Pictures for tests, and packages that contain pictures.

use std::io::{Cursor, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A PNG picture of one pixel, in base64. Every browser can show it.
const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// Returns the bytes of a PNG picture, with `mark` appended. Browsers ignore `mark`, but pictures with different marks
/// have different bytes.
///
/// # Panics
/// Never panics.
#[must_use]
pub fn png(mark: &str) -> Vec<u8> {
    let mut bytes = STANDARD.decode(PIXEL).expect("base64");
    bytes.extend_from_slice(mark.as_bytes());
    bytes
}

/// Returns bytes in base64.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Returns a `<file>` element of Moodle XML, with these bytes in base64.
#[must_use]
pub fn moodle_file(name: &str, bytes: &[u8]) -> String {
    format!("<file name=\"{name}\" path=\"/\" encoding=\"base64\">{}</file>", base64(bytes))
}

/// Packs files into a ZIP archive.
///
/// # Panics
/// Panics if the archive cannot be written.
#[must_use]
pub fn package(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(*name, SimpleFileOptions::default()).expect("a file");
        writer.write_all(bytes).expect("it is written");
    }
    writer.finish().expect("an archive").into_inner()
}

/// Returns the hashes in all addresses of pictures in a text: the hexadecimal digits after each `/media/`.
#[must_use]
pub fn media_keys(text: &str) -> Vec<String> {
    text.split("/media/")
        .skip(1)
        .map(|rest| rest.chars().take_while(char::is_ascii_hexdigit).collect())
        .collect()
}
