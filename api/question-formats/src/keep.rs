//! The last step of reading a question. It keeps the pictures of the question, and its texts then name the pictures by
//! their hashes.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::addresses::{OF_MOODLE, Reference, as_img, references, shows_more_than};
use crate::derived_id::add_derived_id;
use crate::draft::{DraftAnswer, DraftTextFormat};
use crate::labels::excerpt;
use crate::markup::escape;
use crate::parsed::{EXPLANATION_PART, EmbeddedFile, ParsedFile, ParsedQuestion};
use crate::picture::{
    self, MAX_PICTURE_BYTES_PER_FILE, MAX_PICTURE_BYTES_PER_QUESTION, NotKept, Picture, picture_address,
    without_picture_addresses,
};
use crate::visible::is_dead;

/// A function that returns the hash of a picture that the application has already stored, by the address in a text. It
/// returns `None` for any other address.
pub type KnownPictures<'k> = dyn Fn(&str) -> Option<String> + 'k;

/// An address that shows nothing. It replaces the address of a file that is not kept, because that address could reveal
/// the key.
const NOTHING: &str = "data:,";

/// The result of keeping the pictures of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptText {
    /// The text, which names its pictures by their hashes.
    pub text: String,
    /// The pictures that the application does not have yet.
    pub pictures: Vec<Picture>,
    /// Sentences for the author about each file that is not kept.
    pub losses: Vec<String>,
}

/// Keeps the pictures of a single text. `known` returns the hash of a picture that the application has already stored.
#[must_use]
pub fn keep_pictures(text: &str, format: DraftTextFormat, known: &KnownPictures<'_>) -> KeptText {
    let mut pictures = Pictures::new(known);
    let mut text = text.to_owned();
    without_picture_addresses(&mut text);
    let mut keeping = Keeping::new(&mut pictures, Vec::new());
    // The result is an error only if the pictures have more bytes than a whole file may have, which one text cannot
    // reach.
    let _ = keeping.keep(EXPLANATION_PART, &mut text, format);
    let Keeping { kept, losses, .. } = keeping;
    KeptText { text, pictures: kept, losses }
}

/// The pictures that were found so far in a file of questions.
pub(crate) struct Pictures<'k> {
    known: &'k KnownPictures<'k>,
    seen: HashMap<String, Arc<[u8]>>,
    /// The number of bytes that further pictures of the file may have. None if the pictures so far have too many.
    bytes_left: Option<usize>,
}

impl<'k> Pictures<'k> {
    pub(crate) fn new(known: &'k KnownPictures<'k>) -> Self {
        Self { known, seen: HashMap::new(), bytes_left: Some(MAX_PICTURE_BYTES_PER_FILE) }
    }

    /// Keeps the pictures of all questions of a file, and adds derived ids. Refuses a question if its stem or an option
    /// shows nothing without a file that is not kept.
    pub(crate) fn finish(&mut self, parsed: ParsedFile) -> ParsedFile {
        let ParsedFile { questions, refused, refused_count } = parsed;
        let mut finished =
            ParsedFile { questions: Vec::with_capacity(questions.len()), refused, refused_count };
        for question in questions {
            let (line, id) = (question.line, question.external_id.clone().or_else(|| question.name.clone()));
            finished.add(line, id.as_deref(), self.finish_question(question));
        }
        finished.refused.sort_by_key(|refused| refused.line);
        finished
    }

    fn finish_question(&mut self, mut question: ParsedQuestion) -> Result<ParsedQuestion, String> {
        let files = std::mem::take(&mut question.files);
        add_derived_id(&mut question, &files);
        let mut keeping = Keeping::new(self, files);
        let format = question.text_format;
        let mut dead = Vec::new();
        for (part, text) in parts(&mut question) {
            without_picture_addresses(text);
            if !keeping.keep(part, text, format)? && part != EXPLANATION_PART {
                dead.push((part, keeping.losses.last().cloned().unwrap_or_default()));
            }
        }
        let has_more = keeping.append_old_pictures(&mut question)?;
        dead.retain(|(part, _)| *part > 0 || !has_more);
        keeping.tell_of_the_rest();
        let Keeping { kept, losses, .. } = keeping;
        if let Some((part, loss)) = dead.into_iter().next() {
            let of = match part {
                0 => "Its text".to_owned(),
                option => {
                    format!("Option {}", char::from(b'A' + u8::try_from(option - 1).unwrap_or(25).min(25)))
                }
            };
            return Err(format!("{of} shows only a file that is not kept. {loss}"));
        }
        question.pictures = kept;
        for loss in losses {
            if !question.losses.contains(&loss) {
                question.losses.push(loss);
            }
        }
        Ok(question)
    }
}

/// Returns the stem, the options and the explanation of a question, each with its number as in [`EmbeddedFile::part`].
pub(crate) fn parts(question: &mut ParsedQuestion) -> impl Iterator<Item = (usize, &mut String)> {
    let options = match &mut question.answer {
        DraftAnswer::Single(options) | DraftAnswer::Multiple(options) => options.as_mut_slice(),
        DraftAnswer::Numeric { .. } | DraftAnswer::ShortAnswer { .. } => &mut [],
    };
    let options = options.iter_mut().map(|option| &mut option.text);
    let texts = [(0, &mut question.stem)].into_iter().chain((1..).zip(options));
    texts.chain(question.explanation.iter_mut().map(|text| (EXPLANATION_PART, text)))
}

/// The pictures of one question while they are being kept.
struct Keeping<'q, 'k> {
    pictures: &'q mut Pictures<'k>,
    files: Vec<EmbeddedFile>,
    /// The indexes of the files that a text shows.
    used: Vec<usize>,
    kept: Vec<Picture>,
    losses: Vec<String>,
}

/// A change of a text: a range in it, and the text that replaces this range.
type TextEdit = (Range<usize>, String);

impl<'q, 'k> Keeping<'q, 'k> {
    fn new(pictures: &'q mut Pictures<'k>, files: Vec<EmbeddedFile>) -> Self {
        Self { pictures, files, used: Vec::new(), kept: Vec::new(), losses: Vec::new() }
    }

    /// Keeps the pictures of a text, and replaces their addresses. Returns false if the text shows nothing without the
    /// pictures that are not kept. Refuses the question if the file has too many bytes of pictures.
    fn keep(&mut self, part: usize, text: &mut String, format: DraftTextFormat) -> Result<bool, String> {
        let mut edits: Vec<TextEdit> = Vec::new();
        let mut dead = Vec::new();
        let mut done = 0;
        for Reference { range, address, object } in references(text, format) {
            if range.as_ref().is_some_and(|range| range.start < done) {
                continue;
            }
            let found = match (self.resolve(part, &address), &range) {
                (None, _) => continue,
                (Some(_), _) if format == DraftTextFormat::Plain => Err(NotKept::InPlainText),
                (Some(Ok(_)), None) => Err(NotKept::Unplaced),
                (Some(found), _) => found,
            };
            match found.and_then(|found| self.add(found)) {
                Ok(hash) => {
                    let (place, instead) = match (object, range) {
                        (Some(object), _) => {
                            let img = as_img(&text[object.clone()], &picture_address(&hash));
                            (object, img)
                        }
                        (None, Some(range)) => (range, picture_address(&hash)),
                        (None, None) => continue,
                    };
                    done = place.end;
                    edits.push((place, instead));
                }
                Err(reason) => {
                    self.losses.push(loss(&address, &reason));
                    let Some(range) = range else { continue };
                    // Leave the address of a file for which learners must sign in to another system, such as Moodle: a
                    // learner may be signed in to that system.
                    if reason != NotKept::NeedsSignIn && format != DraftTextFormat::Plain {
                        edits.push((range.clone(), NOTHING.to_owned()));
                    }
                    dead.push(range);
                }
            }
            self.check_bytes_left()?;
        }
        let is_shown =
            dead.is_empty() || format == DraftTextFormat::Plain || shows_more_than(text, format, &dead);
        for (range, instead) in edits.into_iter().rev() {
            text.replace_range(range, &instead);
        }
        Ok(is_shown)
    }

    /// Finds the picture at an address: its hash if the application has the picture, otherwise its bytes. Returns the
    /// reason if the file at the address cannot be kept. Returns `None` if the address leads to the web, so that the
    /// text keeps the address.
    fn resolve(&mut self, part: usize, address: &str) -> Option<Result<Found, NotKept>> {
        let lower = address.get(..5).map(str::to_ascii_lowercase);
        if lower.as_deref() == Some("data:") {
            return Some(picture::decode_data_address(address).and_then(Picture::read).map(Found::New));
        }
        if let Some(hash) = (self.pictures.known)(address) {
            return Some(Ok(Found::Known(hash)));
        }
        if !is_dead(address) {
            return None;
        }
        if ["http://", "https://", "//"].iter().any(|start| address.to_ascii_lowercase().starts_with(start)) {
            return Some(Err(NotKept::NeedsSignIn));
        }
        let Some(index) = self.file(part, address) else { return Some(Err(NotKept::Missing)) };
        self.used.push(index);
        Some(self.read(index).map(Found::New))
    }

    /// Finds an embedded file by the address in a text, first among the files of the same part, then among the files of
    /// the other parts. Returns `None` if no file has this name.
    fn file(&self, part: usize, address: &str) -> Option<usize> {
        let name = address.strip_prefix(OF_MOODLE).unwrap_or(address).trim_start_matches('/');
        let plain = name.split(['?', '#']).next().unwrap_or_default();
        let unescaped = String::from_utf8_lossy(&picture::unescaped(plain)).into_owned();
        let is_named = |file: &EmbeddedFile| {
            let path = format!("{}{}", file.folder.trim_start_matches('/'), file.name);
            [name, plain, unescaped.as_str()].iter().any(|name| *name == file.name || *name == path)
        };
        let find = |is_part: bool| {
            self.files
                .iter()
                .position(|file| (file.part == part) == is_part && !file.name.is_empty() && is_named(file))
        };
        find(true).or_else(|| find(false))
    }

    fn read(&self, index: usize) -> Result<Picture, NotKept> {
        let Some(file) = self.files.get(index) else { return Err(NotKept::Missing) };
        let bytes = match &file.bytes {
            Some(bytes) => bytes.clone()?,
            None => picture::decode(&file.content)?,
        };
        Picture::read(bytes)
    }

    /// Adds a picture to the pictures of the question, unless the application has it. Returns the hash of the picture.
    /// Refuses a picture with which the pictures of the question would have too many bytes.
    fn add(&mut self, found: Found) -> Result<String, NotKept> {
        let mut picture = match found {
            Found::Known(hash) => return Ok(hash),
            Found::New(picture) => picture,
        };
        let hash = picture.hash.clone();
        if self.kept.iter().any(|kept| kept.hash == hash) {
            return Ok(hash);
        }
        let kept: usize = self.kept.iter().map(|kept| kept.bytes.len()).sum();
        if kept + picture.bytes.len() > MAX_PICTURE_BYTES_PER_QUESTION {
            return Err(NotKept::TooMuch);
        }
        if let Some(bytes) = self.pictures.seen.get(&hash) {
            picture.bytes = Arc::clone(bytes);
        } else {
            self.pictures.seen.insert(hash.clone(), Arc::clone(&picture.bytes));
            let left = self.pictures.bytes_left;
            self.pictures.bytes_left = left.and_then(|left| left.checked_sub(picture.bytes.len()));
        }
        self.kept.push(picture);
        Ok(hash)
    }

    /// Refuses the question if the pictures of the file up to this question have too many bytes.
    fn check_bytes_left(&self) -> Result<(), String> {
        match self.pictures.bytes_left {
            None => Err(format!(
                "The pictures up to this question have more than {} MiB. Split the file, and import its parts.",
                MAX_PICTURE_BYTES_PER_FILE / 1024 / 1024
            )),
            Some(_) => Ok(()),
        }
    }

    /// Shows the pictures of old versions of Moodle below the stem, as Moodle does: no text has the address of such a
    /// picture. Returns whether it added a picture to the stem.
    fn append_old_pictures(&mut self, question: &mut ParsedQuestion) -> Result<bool, String> {
        let mut has_shown = false;
        let below: Vec<usize> =
            (0..self.files.len()).filter(|index| self.files[*index].shown_below.is_some()).collect();
        for index in below {
            self.used.push(index);
            let name = self.files[index].shown_below.clone().unwrap_or_default();
            let picture = match self.files[index].content.is_empty() {
                true => Err(NotKept::Missing),
                false => self.read(index),
            };
            match picture.and_then(|picture| self.add(Found::New(picture))) {
                Ok(hash) => {
                    append(question, &picture_address(&hash));
                    has_shown = true;
                }
                Err(reason) => self.losses.push(loss(&name, &reason)),
            }
            self.check_bytes_left()?;
        }
        Ok(has_shown)
    }

    /// Adds a loss for each embedded file that no text shows.
    fn tell_of_the_rest(&mut self) {
        for (index, file) in self.files.iter().enumerate() {
            if !self.used.contains(&index) {
                self.losses.push(loss(&file.name, &NotKept::NotShown));
            }
        }
    }
}

/// A picture that a text shows.
enum Found {
    New(Picture),
    /// The hash of a picture that the application has already stored.
    Known(String),
}

/// Returns the sentence of the loss for a file that is not kept.
fn loss(address: &str, reason: &NotKept) -> String {
    let name = match address.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("data:")) {
        true => address.split(',').next().unwrap_or_default(),
        false => address.strip_prefix(OF_MOODLE).unwrap_or(address).trim_start_matches('/'),
    };
    let name = String::from_utf8_lossy(&picture::unescaped(name)).into_owned();
    format!("The file \"{}\" is left out: {reason}", excerpt(&name))
}

/// Appends a picture to the stem. If the question is plain text, first converts its texts to HTML.
fn append(question: &mut ParsedQuestion, address: &str) {
    if question.text_format == DraftTextFormat::Plain {
        for (_, text) in parts(question) {
            *text = escape(text).replace('\n', "<br/>\n");
        }
        question.text_format = DraftTextFormat::Html;
    }
    question.stem.push_str(&match question.text_format {
        DraftTextFormat::Markdown => format!("\n\n![]({address})"),
        _ => format!("<p><img src=\"{address}\" alt=\"\"/></p>"),
    });
}

#[cfg(test)]
mod tests;
