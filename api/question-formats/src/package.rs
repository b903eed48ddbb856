//! Reads packages of questions: ZIP archives with items of QTI, and usually with a manifest, `imsmanifest.xml`.
//! <https://www.imsglobal.org/content/packaging/index.html>
//!
//! No file is unpacked to disk. Limits on the number and the sizes of files prevent an archive from filling the memory.

use std::collections::{HashMap, HashSet};
use std::io::{Cursor, Read};
use std::sync::Arc;

use roxmltree::Node;
use zip::ZipArchive;

use crate::addresses::references;
use crate::format::Format;
use crate::keep::{self, KnownPictures, Pictures};
use crate::labels::excerpt;
use crate::parsed::{EmbeddedFile, ParsedFile, ParsedQuestion, RefusedQuestion, UnreadableFile};
use crate::picture::{self, MAX_PICTURE_BYTES, NotKept, hash_of_picture};
use crate::read::read_texts;
use crate::xml::{self, Xml};
use crate::xml_source::prepare;

/// The maximum number of files in a package.
const MAX_FILES: usize = 10_000;
/// The maximum number of bytes of an XML file that is read from a package.
const MAX_FILE_BYTES: u64 = 8 * 1024 * 1024;
/// The number of bytes of XML files and pictures after which no further XML file is read from a package. The pictures
/// of the last XML file can exceed this number.
const MAX_TOTAL_BYTES: u64 = 64 * 1024 * 1024;
/// The maximum ratio of the size of a file to its compressed size. Items of QTI reach about 30.
const MAX_RATIO: u64 = 200;
/// The size in bytes below which a file may have any ratio.
const MIN_RATIO_BYTES: u64 = 64 * 1024;

/// The placeholders by which addresses of Canvas refer to the folder of all files of a course.
const BASES: [&str; 2] = ["$IMS-CC-FILEBASE$", "$IMS_CC_FILEBASE$"];

const MANIFEST: &str = "imsmanifest.xml";

/// Files by which other kinds of ZIP archives are recognised: the beginning of the name of a file, and the kind of the
/// archive.
const DOCUMENTS: [(&str, &str); 8] = [
    ("word/", "a document of Word (.docx)"),
    ("xl/", "a table of Excel (.xlsx)"),
    ("ppt/", "a presentation of PowerPoint (.pptx)"),
    ("moodle_backup.xml", "a backup of Moodle (.mbz)"),
    ("META-INF/container.xml", "an e-book (EPUB)"),
    ("META-INF/manifest.xml", "a document of OpenDocument, such as .odt"),
    ("h5p.json", "content of H5P"),
    ("AndroidManifest.xml", "an app"),
];

/// The hash of a file in hexadecimal, and the bytes of the file.
type HashedFile = (String, Arc<[u8]>);

/// A package, and the number of bytes that may still be read from it.
struct Package<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    /// The names of the files in the order of the archive, with slashes between folders.
    names: Vec<String>,
    /// The indexes of the files by their names in lower case.
    by_name: HashMap<String, usize>,
    bytes_left: u64,
    /// The files that texts show and that were already read, by index, with their hashes or the reasons why they are
    /// not kept.
    read: HashMap<usize, Result<HashedFile, NotKept>>,
}

/// Reads the questions of a package: the files in the order of its manifest, then the files that the manifest does not
/// name.
///
/// The line of a question or a refusal is its number in the package, counted from 1, because several files can have the
/// same line numbers. The reason of a refusal names the file and the line in this file.
///
/// # Errors
/// Returns [`UnreadableFile`] if the archive is damaged, is too large, has a path that leads out of it, or has no
/// items.
pub fn read_package(bytes: &[u8]) -> Result<ParsedFile, UnreadableFile> {
    read_package_with(bytes, &|_| None)
}

/// Reads a package, as [`read_package`] does. A text may also show pictures that the application has already stored:
/// `known` returns the hash of a stored picture by its address.
///
/// # Errors
/// Returns the errors of [`read_package`].
pub fn read_package_with(bytes: &[u8], known: &KnownPictures<'_>) -> Result<ParsedFile, UnreadableFile> {
    let mut package = Package::open(bytes)?;
    let mut pictures = Pictures::new(known);
    let mut parsed = ParsedFile::default();
    let mut has_test = false;
    for index in package.order()? {
        let name = package.names[index].clone();
        if !is_xml(&name) || name.rsplit('/').next() == Some(MANIFEST) {
            continue;
        }
        match package.text(index)? {
            Ok(text) => match xml::root_name(&text) {
                Some("assessmentItem" | "qti-assessment-item" | "question-bank" | "questestinterop") => {
                    add(&mut parsed, &name, package.read(Format::Qti, &name, &text, &mut pictures));
                }
                Some("quiz") if xml::detect(&text).is_some() => {
                    add(&mut parsed, &name, package.read(Format::MoodleXml, &name, &text, &mut pictures));
                }
                Some("assessmentTest" | "qti-assessment-test") => has_test = true,
                // Skip other XML files, such as metadata.
                _ => {}
            },
            Err(reason) => add(&mut parsed, &name, Err(UnreadableFile { line: 1, reason })),
        }
    }
    if parsed.questions.is_empty() && parsed.refused_count == 0 {
        let reason = match (document_kind(bytes), has_test) {
            (Some(kind), _) => {
                format!("The file is {kind}. Export the questions as GIFT, Aiken, Moodle XML or QTI.")
            }
            (None, true) => {
                "The package has a test, but not its items. Export the test with its items.".to_owned()
            }
            (None, false) => {
                "The package has no items of QTI. Export the questions as QTI 2.1, 2.2 or 3.0.".to_owned()
            }
        };
        return Err(unreadable(reason));
    }
    Ok(parsed)
}

/// Calls `visit` with the text of each XML file in a package. Skips a file that cannot be read; [`read_package`]
/// reports it. Stops if the files have too many bytes.
pub fn visit_package_texts(bytes: &[u8], visit: &mut dyn FnMut(&str)) {
    let Ok(mut package) = Package::open(bytes) else { return };
    for index in 0..package.names.len() {
        if is_xml(&package.names[index]) {
            match package.text(index) {
                Ok(Ok(text)) => visit(&text),
                Ok(Err(_)) => {}
                Err(_) => return,
            }
        }
    }
}

/// Returns the kind of a ZIP archive that is not a package of questions, such as a document of Word. Returns `None` for
/// any other archive.
pub(crate) fn document_kind(bytes: &[u8]) -> Option<&'static str> {
    let names = Package::open(bytes).ok()?.names;
    let has = |begin: &str| names.iter().any(|name| name.starts_with(begin));
    DOCUMENTS.iter().find(|(begin, _)| has(begin)).map(|(_, kind)| *kind)
}

fn unreadable(reason: impl Into<String>) -> UnreadableFile {
    UnreadableFile { line: 1, reason: reason.into() }
}

fn is_xml(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    // macOS adds files with attributes to an archive. These files are not XML, whatever their names are.
    let is_of_macos = name.starts_with("__MACOSX/") || file.starts_with("._");
    !is_of_macos && file.rsplit_once('.').is_some_and(|(_, extension)| extension.eq_ignore_ascii_case("xml"))
}

/// Adds the questions and refusals of a file in the package, and numbers them. Names the file and the line in the
/// reason of each refusal.
fn add(parsed: &mut ParsedFile, name: &str, read: Result<ParsedFile, UnreadableFile>) {
    let number = |parsed: &ParsedFile, more: usize| {
        u32::try_from(parsed.questions.len() + parsed.refused_count + more).unwrap_or(u32::MAX)
    };
    let in_file = |line: u32, reason: &str| format!("In {}, line {line}: {reason}", excerpt(name));
    match read {
        Ok(file) => {
            let unlisted = file.refused_count - file.refused.len();
            let questions = file.questions.into_iter().map(|question| (question.line, Ok(question)));
            let refused = file.refused.into_iter().map(|refused| (refused.line, Err(refused)));
            let mut entries: Vec<(u32, Result<ParsedQuestion, RefusedQuestion>)> =
                questions.chain(refused).collect();
            entries.sort_by_key(|(line, _)| *line);
            for (line, entry) in entries {
                let number = number(parsed, 1);
                match entry {
                    Ok(question) => parsed.questions.push(ParsedQuestion { line: number, ..question }),
                    Err(RefusedQuestion { external_id, reason, .. }) => {
                        parsed.add(number, external_id.as_deref(), Err(in_file(line, &reason)));
                    }
                }
            }
            parsed.refused_count += unlisted;
        }
        Err(UnreadableFile { line, reason }) => {
            parsed.add(number(parsed, 1), None, Err(in_file(line, &reason)));
        }
    }
}

impl<'a> Package<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, UnreadableFile> {
        let damaged =
            |_| unreadable("The ZIP archive is damaged, or of a kind that cannot be read. Pack it again.");
        let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
        if archive.len() > MAX_FILES {
            return Err(unreadable(format!(
                "The package has more than {MAX_FILES} files. Split it into several packages."
            )));
        }
        if archive.has_overlapping_entries().map_err(damaged)? {
            return Err(unreadable("The files in the ZIP archive overlap. Pack it again."));
        }
        let mut names = Vec::with_capacity(archive.len());
        for index in 0..archive.len() {
            let file = archive.by_index_raw(index).map_err(damaged)?;
            let (size, packed) = (file.size(), file.compressed_size());
            // Some programs on Windows write backslashes between folders.
            let name = String::from_utf8_lossy(file.name_raw()).replace('\\', "/");
            if leads_out(&name) {
                return Err(unreadable(format!(
                    "The package has the path \"{}\", which leads out of the package. Pack it again without this path.",
                    excerpt(&name)
                )));
            }
            if size > MIN_RATIO_BYTES && size / packed.max(1) > MAX_RATIO {
                return Err(unreadable(format!(
                    "The file {} in the package is more than {MAX_RATIO} times as large as its compressed form, which no \
                     file of questions is. Remove it.",
                    excerpt(&name)
                )));
            }
            names.push(name);
        }
        let by_name =
            names.iter().enumerate().rev().map(|(index, name)| (name.to_lowercase(), index)).collect();
        Ok(Self { archive, names, by_name, bytes_left: MAX_TOTAL_BYTES, read: HashMap::new() })
    }

    /// Reads the questions of a file, with the pictures in the package that their texts show.
    fn read(
        &mut self,
        format: Format,
        name: &str,
        text: &str,
        pictures: &mut Pictures<'_>,
    ) -> Result<ParsedFile, UnreadableFile> {
        let mut parsed = read_texts(format, text)?;
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        for question in &mut parsed.questions {
            let text_format = question.text_format;
            let mut files = Vec::new();
            for (part, text) in keep::parts(question) {
                for address in references(text, text_format).into_iter().map(|reference| reference.address) {
                    let Some(index) = self.find(folder, &address) else { continue };
                    let (content, bytes) = match self.file(index) {
                        Ok((hash, bytes)) => (hash, Ok(bytes)),
                        Err(reason) => (String::new(), Err(reason)),
                    };
                    files.push(EmbeddedFile {
                        part,
                        name: address.trim_start_matches('/').to_owned(),
                        content,
                        folder: String::new(),
                        bytes: Some(bytes),
                        shown_below: None,
                    });
                }
            }
            question.files.extend(files);
        }
        Ok(pictures.finish(parsed))
    }

    /// Finds the file at a relative address in a text of a file in `folder`. Returns `None` if the package has no such
    /// file, or if the address is not relative or leads out of the package.
    fn find(&self, folder: &str, address: &str) -> Option<usize> {
        let address = address.split(['?', '#']).next().unwrap_or_default().trim();
        let is_relative = !address.is_empty() && !address.starts_with('/') && !address.contains(':');
        let path = String::from_utf8(picture::unescaped(address)).ok().filter(|_| is_relative)?;
        let path = path.replace('\\', "/");
        // Canvas writes addresses relative to the folder of all files of a course.
        for base in BASES {
            if let Some(path) = path.strip_prefix(base) {
                let path = path.trim_start_matches('/').to_lowercase();
                let named = |folder: &str| self.by_name.get(&format!("{folder}{path}")).copied();
                return named("web_resources/").or_else(|| named(""));
            }
        }
        let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()?),
                part => parts.push(part),
            }
        }
        self.by_name.get(&parts.join("/").to_lowercase()).copied()
    }

    /// Reads a file that a text shows. Returns its hash and its bytes, or the reason why it is not kept.
    fn file(&mut self, index: usize) -> Result<HashedFile, NotKept> {
        if let Some(read) = self.read.get(&index) {
            return read.clone();
        }
        let read = self.read_bytes(index).map(|bytes| (hash_of_picture(&bytes), Arc::from(bytes)));
        self.read.insert(index, read.clone());
        read
    }

    fn read_bytes(&mut self, index: usize) -> Result<Vec<u8>, NotKept> {
        let most = u64::try_from(MAX_PICTURE_BYTES).unwrap_or(u64::MAX);
        let file = self.archive.by_index(index).map_err(|_| NotKept::Damaged)?;
        let mut bytes = Vec::new();
        file.take(most + 1).read_to_end(&mut bytes).map_err(|_| NotKept::Damaged)?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if length > most {
            return Err(NotKept::TooLarge);
        }
        // Do not refuse the package here if too few bytes are left. `text` then refuses the package at the next file
        // of questions.
        self.bytes_left = self.bytes_left.saturating_sub(length);
        Ok(bytes)
    }

    /// Returns the indexes of all files: first the files that the manifest names, in the order of the manifest, then
    /// all other files in the order of the archive.
    fn order(&mut self) -> Result<Vec<usize>, UnreadableFile> {
        let mut order = Vec::new();
        let is_manifest = |name: &&String| name.rsplit('/').next() == Some(MANIFEST);
        let manifest = self.names.iter().filter(is_manifest).min_by_key(|name| name.len()).cloned();
        if let Some(name) = manifest {
            let index = self.names.iter().position(|other| *other == name).unwrap_or_default();
            let folder = name.strip_suffix(MANIFEST).unwrap_or_default();
            let text = self.text(index)?.unwrap_or_default();
            // If the manifest cannot be read, all files keep the order of the archive.
            for href in hrefs(&text).unwrap_or_default() {
                let path = format!("{folder}{href}");
                let same = |other: &String| other.eq_ignore_ascii_case(&path);
                order.extend(self.names.iter().position(same));
            }
        }
        order.extend(0..self.names.len());
        let mut seen = HashSet::new();
        order.retain(|index| seen.insert(*index));
        Ok(order)
    }

    /// Returns the text of a file. The inner error is the reason to refuse only this file, and the outer error refuses
    /// the package.
    fn text(&mut self, index: usize) -> Result<Result<String, String>, UnreadableFile> {
        let Ok(file) = self.archive.by_index(index) else {
            return Ok(Err("It is encrypted or damaged. Pack it again without a password.".to_owned()));
        };
        let most = MAX_FILE_BYTES.min(self.bytes_left);
        let mut bytes = Vec::new();
        let read = file.take(most + 1).read_to_end(&mut bytes);
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if length > MAX_FILE_BYTES {
            return Ok(Err(format!("It has more than {} MiB. Split it.", MAX_FILE_BYTES / 1024 / 1024)));
        }
        if length > self.bytes_left {
            return Err(unreadable(format!(
                "The files of questions in the package and the files that they show have more than {} MiB together. \
                 Split the package into several.",
                MAX_TOTAL_BYTES / 1024 / 1024
            )));
        }
        self.bytes_left -= length;
        if read.is_err() {
            return Ok(Err(
                "It is damaged, or its compression is not Deflate. Pack it again with Deflate.".to_owned()
            ));
        }
        Ok(String::from_utf8(bytes)
            .map(|text| text.trim_start_matches('\u{feff}').replace("\r\n", "\n"))
            .map_err(|_| "It is not in UTF-8. Save it in UTF-8.".to_owned()))
    }
}

/// Returns whether a path leads out of the folder in which an archive is unpacked.
fn leads_out(name: &str) -> bool {
    let has_drive = name.as_bytes().get(1) == Some(&b':');
    name.starts_with('/') || has_drive || name.contains('\0') || name.split('/').any(|part| part == "..")
}

/// Returns the addresses of the resources of a manifest, below the bases (`xml:base`) that the manifest declares.
fn hrefs(manifest: &str) -> Result<Vec<String>, UnreadableFile> {
    let source = prepare(manifest)?;
    let xml = Xml::parse(&source)?;
    let base = |node: Node<'_, '_>| {
        node.attribute(("http://www.w3.org/XML/1998/namespace", "base")).unwrap_or_default().to_owned()
    };
    let resources = xml.document.descendants().filter(|node| node.tag_name().name() == "resource");
    let unescaped = |href: &str| String::from_utf8_lossy(&picture::unescaped(href)).into_owned();
    let href = |resource: Node<'_, '_>| {
        let above = resource.parent().map(base).unwrap_or_default();
        Some(format!("{above}{}{}", base(resource), unescaped(resource.attribute("href")?.trim())))
    };
    Ok(resources.filter_map(href).collect())
}

#[cfg(test)]
mod tests;
