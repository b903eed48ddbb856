//! Reads the lines of one entry of a file in Aiken as a question.

use crate::assemble::finish_plain;
use crate::draft::{DraftAnswer, DraftOption, DraftTextFormat};
use crate::labels::excerpt;
use crate::parsed::ParsedQuestion;

use super::key::correct;
use super::labels;
use super::line;
use super::lists::{announces_options, is_list_intro, is_second_list};
use super::notes::Notes;
use super::paragraphs::{begins_part, continues_below, has_question_mark, is_heading, is_list_header};

/// The lines of one entry of a file, up to the line with `ANSWER:`. An entry without a key ends at a blank line.
pub(super) struct Block<'t> {
    lines: &'t [&'t str],
    /// The indexes of the lines that are not blank, without the key. There is at least one.
    filled: Vec<usize>,
    /// The index of the line with `ANSWER:`, or of a line that looks like a key.
    key: Option<usize>,
    /// Whether a blank line divides lines that seem to be the text of one question.
    is_apart: bool,
    /// The kind of the line above the block.
    above: Above,
}

/// The kind of the line above a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Above {
    /// The line is blank, or the block is at the beginning of the file.
    Blank,
    /// The line is the key of another question, or a note below that key.
    Question,
    /// The line is a key that has no options above it, so the block may continue the question of that key.
    Unsplit,
}

impl<'t> Block<'t> {
    /// Finds the block that begins in the line `start`. `above` is the kind of the line above the block.
    pub(super) fn find(lines: &'t [&'t str], start: usize, above: Above) -> Self {
        let mut block = Self { lines, filled: vec![start], key: None, is_apart: false, above };
        for at in start + 1..lines.len() {
            let text = lines[at];
            if text.is_empty() {
                continue;
            }
            let run = block.run_at_end();
            if line::key(text, run > 0).is_some() || (line::like_key(text) && block.has_options()) {
                block.key = Some(at);
                break;
            }
            if lines[at - 1].is_empty() && !block.is_apart && !block.goes_on_with_option(at, run) {
                let below: Vec<&str> = lines[at..].iter().copied().take_while(|it| !it.is_empty()).collect();
                if block.ends_in_notes() || !continues_below(&block.texts(), run, &below) {
                    break;
                }
                block.is_apart = true;
            }
            block.filled.push(at);
        }
        block
    }

    /// Returns whether the line `at` is the next option after `run` options. The first line of a stem can look like
    /// option A, too: `A. Assertion: …`. So a line with A counts as an option only if B, a key or nothing follows.
    fn goes_on_with_option(&self, at: usize, run: usize) -> bool {
        let letter = |at: &usize| line::letter(self.lines[*at]);
        if letter(&at) != letter_after(run) {
            return false;
        }
        let next = (at + 1..self.lines.len()).find(|at| !self.lines[*at].is_empty());
        run > 0
            || next
                .is_none_or(|next| letter(&next) == Some('B') || line::key(self.lines[next], true).is_some())
    }

    /// Returns whether a line below the first line is an option, or looks like an option.
    fn has_options(&self) -> bool {
        let mut lines = self.filled[1..].iter().map(|at| self.lines[*at]);
        lines.any(|line| line::option(line).is_some() || line::like_option(line).is_some())
    }

    /// Returns whether the key has no option A above it, so that the lines below the key may belong to the question.
    pub(super) fn is_unsplit(&self) -> bool {
        self.run_at_end() == 0 && !self.has_options_from_a()
    }

    /// Returns whether the block has notes, such as `Explanation:`, directly below an option. Then it has no key.
    fn ends_in_notes(&self) -> bool {
        let note = (1..self.filled.len()).find(|at| labels::is_note(self.text(*at)));
        note.is_some_and(|note| line::option(self.text(note - 1)).is_some())
    }

    fn has_options_from_a(&self) -> bool {
        self.filled[1..].iter().any(|at| line::letter(self.lines[*at]) == Some('A'))
            || self.looks_like_option().is_some()
    }

    /// Returns whether the block ends with `ANSWER:`, or with a line that looks like a key.
    pub(super) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Returns the index of the line after the block.
    pub(super) fn end(&self) -> usize {
        self.key.or(self.filled.last().copied()).map_or(0, |at| at + 1)
    }

    /// Returns the reason why this block, which has no key, is refused.
    pub(super) fn lacks(&self) -> String {
        let first = self.text(0);
        if labels::is_note(first) {
            return "This note belongs to no question. Write the note directly below the ANSWER: line of its question."
                .to_owned();
        }
        let has_options = self.filled[1..].iter().any(|at| line::option(self.lines[*at]).is_some());
        match self.looks_like_option() {
            None if !has_options => {
                "It has no options with a key below them, so it is not a question. Remove it, or give it both."
                    .to_owned()
            }
            option => {
                let lacks =
                    "It has no key below its options. Write ANSWER: and the letter of the correct option there."
                        .to_owned();
                let reasons: Vec<String> = option.into_iter().chain(Some(lacks)).collect();
                reasons.join(" ")
            }
        }
    }

    /// Reads the block as a question, with the notes below its key. Returns the reason if the block is refused.
    pub(super) fn question(&self, notes: Notes) -> Result<ParsedQuestion, String> {
        if let Some(key) = self.looks_like_key() {
            let reasons: Vec<String> = self.looks_like_option().into_iter().chain(Some(key)).collect();
            return Err(reasons.join(" "));
        }
        if self.is_apart {
            return Err(
                "The question has a blank line in its text. Remove the blank line, or the text above it."
                    .to_owned(),
            );
        }
        if let Some(second) = notes.second_key {
            return Err(format!(
                "Line {} has a second ANSWER:. Keep one: Aiken has only single choices.",
                second + 1
            ));
        }
        let first = self.first_option()?;
        self.check_text(first)?;
        self.check_options(first)?;
        let options: Vec<&str> = (first..self.filled.len())
            .filter_map(|at| line::option(self.text(at)))
            .map(|(_, text)| text)
            .collect();
        let key = self.key.and_then(|at| line::key(self.lines[at], true)).unwrap_or_default();
        let key = correct(key, &options)?;
        let option =
            |(at, text): (usize, &&str)| DraftOption { text: (*text).to_owned(), correct: at == key };
        let stem = self.texts()[..first].join("\n");
        let texts: Vec<String> = options.iter().map(|text| (*text).to_owned()).collect();
        let mut losses = notes.losses;
        let option_order = finish_plain(&stem, &texts, notes.explanation.as_deref(), &mut losses);
        Ok(ParsedQuestion {
            line: u32::try_from(self.filled[0] + 1).unwrap_or(u32::MAX),
            external_id: None,
            derived_id: String::new(),
            earlier_derived_id: None,
            name: None,
            topic: notes.topic,
            difficulty: notes.difficulty,
            text_format: DraftTextFormat::Plain,
            stem,
            answer: DraftAnswer::Single(options.iter().enumerate().map(option).collect()),
            option_order,
            explanation: notes.explanation,
            pictures: Vec::new(),
            files: Vec::new(),
            losses,
        })
    }

    fn text(&self, at: usize) -> &'t str {
        self.lines[self.filled[at]]
    }

    fn texts(&self) -> Vec<&'t str> {
        self.filled.iter().map(|at| self.lines[*at]).collect()
    }

    fn ends_in_option(&self) -> bool {
        self.filled.len() > 1 && line::option(self.text(self.filled.len() - 1)).is_some()
    }

    /// Counts the options, lettered from A on, at the end of the block. Returns 0 if the block does not end with these
    /// options. The first line is always text.
    fn run_at_end(&self) -> usize {
        let mut at = self.filled.len();
        let last = if self.ends_in_option() { line::letter(self.text(at - 1)) } else { None };
        let Some(last) = last else { return 0 };
        for letter in ('A'..=last).rev() {
            at -= 1;
            if at == 0 || line::letter(self.text(at)) != Some(letter) {
                return 0;
            }
        }
        self.filled.len() - at
    }

    /// Returns the index of the first option among the filled lines, or the reason why the block has no valid options.
    fn first_option(&self) -> Result<usize, String> {
        let run = self.run_at_end();
        if run > 0 {
            return Ok(self.filled.len() - run);
        }
        let number = |at: usize| self.filled[at] + 1;
        let options: Vec<usize> =
            (0..self.filled.len()).filter(|at| line::option(self.text(*at)).is_some()).collect();
        if let Some(like) = self.looks_like_option() {
            return Err(like);
        }
        let inside = options.iter().find_map(|at| next_inside(self.text(*at)).map(|next| (*at, next)));
        if let Some((at, next)) = inside.filter(|(at, _)| *at > 0) {
            return Err(several_in(number(at), self.text(at), next));
        }
        let first = options.iter().find(|at| **at > 0 && line::letter(self.text(**at)) == Some('A'));
        let stray = first.and_then(|first| (*first..self.filled.len()).find(|at| !options.contains(at)));
        match options.as_slice() {
            [.., last] if stray.is_some_and(|stray| stray < *last) => {
                let stray = stray.unwrap_or_default();
                Err(format!(
                    "Line {}, \"{}\", stands between its options and is not an option. Write each option on one line.",
                    number(stray),
                    excerpt(self.text(stray))
                ))
            }
            [] => {
                Err("It has no options. Write each on a line of its own, such as \"A. Oxygen\".".to_owned())
            }
            [.., last] if last + 1 < self.filled.len() => {
                Err(something_else(number(last + 1), self.text(last + 1)))
            }
            [0, ..] if line::letter(self.text(0)) == Some('A') => {
                Err("The question has no text. Write the text on the line above its options.".to_owned())
            }
            [.., last] => Err(format!(
                "The options up to line {} are not lettered A, B, C and so on. Letter them in this order.",
                number(*last)
            )),
        }
    }

    /// Checks that the lines above the options are the text of this question only. Lines with the letters A, B and so
    /// on in this text can be the options of another question whose key is missing. They count as a list of this
    /// question only if a second list follows them, or a line that announces the options.
    fn check_text(&self, first: usize) -> Result<(), String> {
        if self.above == Above::Unsplit {
            return Err("This question begins directly below an ANSWER: line without options, so it may be the \
                        end of the text above that line. Remove that ANSWER: line, or leave a blank line below that \
                        line."
                .to_owned());
        }
        if self.above == Above::Question && first > 1 {
            return Err(format!(
                "This question begins directly below another question, so \"{}\" may belong to that question. Leave \
                 a blank line between the two.",
                excerpt(self.text(0))
            ));
        }
        if first > 1 && (labels::is_note(self.text(0)) || line::key(self.text(0), false).is_some()) {
            return Err(format!(
                "This question begins with \"{}\", which may belong to another question. Move a note directly below \
                 the ANSWER: line of its question, and an ANSWER: line directly below the options of its question.",
                excerpt(self.text(0))
            ));
        }
        let is_gap = |at: usize| self.filled[at] > self.filled[at - 1] + 1;
        if (1..first).any(is_gap) {
            return Err("The question has a blank line in its text. Remove the blank line.".to_owned());
        }
        let stem = self.text(0);
        if self.filled[first] > self.filled[first - 1] + 1
            && (labels::is_note(stem) || (first == 1 && is_heading(stem)))
        {
            return Err(format!(
                "It has no text: \"{}\" above the blank line looks like a heading or a note. Write the question on the \
                 line above its options.",
                excerpt(stem)
            ));
        }
        let has_no_text = line::letter(stem) == Some('A') && line::letter(self.text(1)) == Some('B');
        let stray = (1..first).find(|at| has_no_text || labels::is_explanation(self.text(*at)));
        if let Some(at) = stray {
            return Err(something_else(self.filled[at] + 1, self.text(at)));
        }
        let mut at = 1;
        while at < first {
            if line::letter(self.text(at)) != Some('A') {
                at += 1;
                continue;
            }
            let begin = at;
            while at < first && line::letter(self.text(at)) == letter_after(at - begin) {
                at += 1;
            }
            let next = (at..first).find(|at| line::letter(self.text(*at)) == Some('A')).unwrap_or(first);
            let between: Vec<&str> = (at..next).map(|at| self.text(at)).collect();
            // If the text above the list has a question mark, statements or another list, the list is probably the
            // options of that text.
            let is_text = |at: usize| {
                let text = self.text(at);
                has_question_mark(text)
                    || (begins_part(text) && !is_list_header(text))
                    || line::letter(text) == Some('A')
            };
            let is_other = at - begin > 1 && (0..begin).any(is_text);
            let is_list = is_second_list(at - begin, &between)
                || (next == first
                    && (0..begin).any(|at| is_list_intro(self.text(at)))
                    && announces_options(&between));
            if is_other || !is_list {
                let (line, text) = match between.first() {
                    Some(text) => (self.filled[at] + 1, *text),
                    None => (self.filled[next] + 1, self.text(next)),
                };
                return Err(something_else(line, text));
            }
        }
        Ok(())
    }

    /// Checks that the question has more than one option, and that the line of the last option contains no other
    /// option.
    fn check_options(&self, first: usize) -> Result<(), String> {
        let last = self.filled.len() - 1;
        match next_inside(self.text(last)) {
            Some(next) => Err(several_in(self.filled[last] + 1, self.text(last), next)),
            None if first == last => {
                Err("It has one option. Give 2 to 26, each on a line of its own.".to_owned())
            }
            None => Ok(()),
        }
    }

    fn looks_like_option(&self) -> Option<String> {
        let found = self.filled[1..].iter().find_map(|at| {
            line::like_option(self.lines[*at]).map(|advice| (at + 1, self.lines[*at], advice))
        });
        // Lines with small letters can be a list in the text, if proper options are below them.
        let has_options = self.run_at_end() > 0;
        found.filter(|_| !has_options).map(|(number, text, advice)| {
            format!("Line {number}, \"{}\", only looks like an option. {advice}.", excerpt(text))
        })
    }

    fn looks_like_key(&self) -> Option<String> {
        let at = self.key.filter(|at| line::key(self.lines[*at], true).is_none())?;
        let text = excerpt(self.lines[at]);
        Some(format!("Line {}, \"{text}\", only looks like a key. Write it as ANSWER: B.", at + 1))
    }
}

/// Returns the letter of the option that follows this many options, or `None` after Z.
fn letter_after(options: usize) -> Option<char> {
    ('A'..='Z').nth(options)
}

/// Returns the letter of the next option if the line of an option also contains the next option: `A. x  B. y`.
/// Otherwise, returns `None`.
fn next_inside(line: &str) -> Option<char> {
    let (letter, text) = line::option(line)?;
    let next = letter_after(usize::try_from(u32::from(letter) - u32::from('A')).ok()? + 1)?;
    let mut words = text.split_whitespace().skip(1);
    words
        .any(|word| {
            word.strip_prefix(next)
                .is_some_and(|rest| rest.starts_with(['.', ')']) && !rest[1..].ends_with('.'))
        })
        .then_some(next)
}

fn several_in(line: usize, text: &str, next: char) -> String {
    format!(
        "Line {line}, \"{}\", has option {next} inside another option. Write each option on a line of its own.",
        excerpt(text)
    )
}

fn something_else(line: usize, text: &str) -> String {
    format!(
        "Line {line}, \"{}\", can stand neither in the text of the question nor after the options. Write each option \
         on one line. Below the last option, write ANSWER: and the letter of the correct option. Write an explanation \
         below ANSWER:. In a list in the question, begin the lines with I, II or P, Q.",
        excerpt(text)
    )
}
