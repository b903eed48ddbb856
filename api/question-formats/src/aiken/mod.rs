//! Aiken: a question, its options each on a line after a letter, and `ANSWER:` with the letter of the correct
//! option.
//! <https://docs.moodle.org/en/Aiken_format>
//!
//! Two rules go beyond those of Moodle. The text of a question may have several lines, even a list that looks like
//! options. Lines below `ANSWER:` belong to the question above them. A block that could be read in two ways is refused
//! as a whole.

mod block;
mod key;
mod labels;
mod line;
mod lists;
mod notes;
mod paragraphs;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use line::{looks_like, looks_nearly_like};
pub(crate) use write::write;

use crate::parsed::ParsedFile;
use block::{Above, Block};
use notes::Notes;

/// Reads all questions of a file. Refuses each block that cannot be read as a question, and still reads
/// the other blocks.
pub(crate) fn read(text: &str) -> ParsedFile {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_glued = notes::is_glued(&lines);
    let mut parsed = ParsedFile::default();
    let (mut at, mut above) = (0, Above::Blank);
    while at < lines.len() {
        if lines[at].is_empty() {
            (at, above) = (at + 1, Above::Blank);
            continue;
        }
        let block = Block::find(&lines, at, above);
        let number = u32::try_from(at + 1).unwrap_or(u32::MAX);
        let question = if block.has_key() {
            // Notes below the key of a refused question belong to that question, so the notes are skipped, too.
            let notes = Notes::read(&lines, block.end(), is_glued);
            at = notes.end;
            block.question(notes)
        } else {
            at = block.end();
            Err(block.lacks())
        };
        above = match block.has_key() {
            true if block.is_unsplit() => Above::Unsplit,
            true => Above::Question,
            false => Above::Blank,
        };
        parsed.add(number, None, question);
    }
    parsed
}
