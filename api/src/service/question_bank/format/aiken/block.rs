//! The lines of one question, and their kinds.

use jishu_entity::question_version::TextFormat;

use super::super::super::draft::{DraftAnswer, DraftOption, Found};
use super::super::short;
use super::line::{self, Label};
use super::notes::{self, Notes};

/// Lines that belong together: up to `ANSWER:`, or up to a blank line if there is no key.
pub(super) struct Block<'t> {
    lines: &'t [&'t str],
    /// The indexes of the lines that are not blank, without the key. There is at least one.
    filled: Vec<usize>,
    /// The index of the `ANSWER:` line.
    key: Option<usize>,
    /// Whether a blank line divides text that belongs together.
    is_apart: bool,
    /// Whether it begins in the line below another question.
    is_below_key: bool,
}

impl<'t> Block<'t> {
    /// Finds the block that begins in this line.
    pub(super) fn find(lines: &'t [&'t str], start: usize, is_below_key: bool) -> Self {
        let mut block = Self { lines, filled: vec![start], key: None, is_apart: false, is_below_key };
        for at in start + 1..lines.len() {
            let text = lines[at];
            if text.is_empty() {
                continue;
            }
            let run = block.run_at_end();
            if line::key(text, run > 0 || block.ends_in_option()).is_some() {
                block.key = Some(at);
                break;
            }
            if lines[at - 1].is_empty() && !block.is_apart && line::letter(text) != letter_after(run) {
                let below: Vec<&str> = lines[at..].iter().copied().take_while(|it| !it.is_empty()).collect();
                if !leads_on(&block.texts(), run, &below) {
                    break;
                }
                block.is_apart = true;
            }
            block.filled.push(at);
        }
        block
    }

    /// Whether the block ends with `ANSWER:`.
    pub(super) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Returns the index of the line after the block.
    pub(super) fn end(&self) -> usize {
        self.key.or(self.filled.last().copied()).map_or(0, |at| at + 1)
    }

    /// Returns the reason why a block without a key is refused.
    pub(super) fn lacks(&self) -> String {
        let first = self.text(0);
        if notes::is_note(first) {
            return "This line belongs to no question. Write it directly below the ANSWER: of its question."
                .to_owned();
        }
        let has_options = self.filled[1..].iter().any(|at| line::option(self.lines[*at]).is_some());
        match (self.looks_like_option(), self.looks_like_key()) {
            (None, None) if !has_options => {
                "This text has no options and no key, so it is not a question. Remove it, or add both."
                    .to_owned()
            }
            (option, key) => {
                let lacks =
                    "The question has no key. End it with ANSWER: and the letter of the correct option."
                        .to_owned();
                let reasons: Vec<String> = option.into_iter().chain(Some(key.unwrap_or(lacks))).collect();
                reasons.join(" ")
            }
        }
    }

    /// Reads the question, with the lines below its key.
    pub(super) fn question(&self, notes: Notes) -> Result<Found, String> {
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
        let options: Vec<&str> = (first..self.filled.len())
            .filter_map(|at| line::option(self.text(at)))
            .map(|(_, text)| text)
            .collect();
        let key = self.key.and_then(|at| line::key(self.lines[at], true)).unwrap_or_default();
        let key = correct(key, &options)?;
        let option =
            |(at, text): (usize, &&str)| DraftOption { text: (*text).to_owned(), correct: at == key };
        Ok(Found {
            line: u32::try_from(self.filled[0] + 1).unwrap_or(u32::MAX),
            external_id: None,
            name: None,
            topic: notes.topic,
            difficulty: notes.difficulty,
            text_format: TextFormat::Plain,
            stem: self.texts()[..first].join("\n"),
            answer: DraftAnswer::Single(options.iter().enumerate().map(option).collect()),
            explanation: notes.explanation,
            files: Vec::new(),
            losses: notes.losses,
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

    /// Counts the lines at its end that are options from A on. Its first line is always text.
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

    /// Returns the index of its first option among its lines.
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
        match options.as_slice() {
            [] => Err("The question has no options. Write each on a line of its own, such as \"A. Oxygen\"."
                .to_owned()),
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

    /// Checks that the text above the options is one text. Another list from A on may belong to another question,
    /// whose key is missing. It belongs to this question if a second list goes with it.
    fn check_text(&self, first: usize) -> Result<(), String> {
        if self.is_below_key && first > 1 {
            return Err(format!(
                "This question begins directly below ANSWER:, so \"{}\" may belong to the question above. Leave a \
                 blank line between the two.",
                short(self.text(0))
            ));
        }
        if first > 1 && (notes::is_note(self.text(0)) || line::key(self.text(0), false).is_some()) {
            return Err(format!(
                "This question begins with \"{}\", which may belong to another question. Move that line below the \
                 ANSWER: of the question it belongs to.",
                short(self.text(0))
            ));
        }
        let is_gap = |at: usize| self.filled[at] > self.filled[at - 1] + 1;
        if (1..first).any(is_gap) {
            return Err("The question has a blank line in its text. Remove it.".to_owned());
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
            if !is_second_list(at - begin, &between) {
                let (line, text) = match between.first() {
                    Some(text) => (self.filled[at] + 1, *text),
                    None => (self.filled[next] + 1, self.text(next)),
                };
                return Err(something_else(line, text));
            }
        }
        Ok(())
    }

    fn looks_like_option(&self) -> Option<String> {
        let found = self.filled[1..].iter().find_map(|at| {
            line::like_option(self.lines[*at]).map(|advice| (at + 1, self.lines[*at], advice))
        });
        // Small letters may be a list beside proper options.
        let has_options = self.run_at_end() > 0;
        found.filter(|_| !has_options).map(|(number, text, advice)| {
            format!("Line {number}, \"{}\", only looks like an option. {advice}.", short(text))
        })
    }

    fn looks_like_key(&self) -> Option<String> {
        let at = self.filled[1..].iter().find(|at| line::like_key(self.lines[**at]))?;
        let text = short(self.lines[*at]);
        Some(format!("Line {}, \"{text}\", only looks like a key. Write it as ANSWER: B.", at + 1))
    }
}

/// Returns the letter of the option that follows this many options.
fn letter_after(options: usize) -> Option<char> {
    ('A'..='Z').nth(options)
}

fn something_else(line: usize, text: &str) -> String {
    format!(
        "Line {line}, \"{}\", follows the options but is not ANSWER:. Write each option on one line, then ANSWER: \
         with the letter of the correct option.",
        short(text)
    )
}

/// Whether lines below a list from A on are a second list of the same question. Examples are I, II below A, B in
/// lists that are matched, or R below A in an assertion and its reason.
fn is_second_list(first: usize, below: &[&str]) -> bool {
    let labels: Vec<Option<Label>> = below.iter().map(|text| Label::of(text)).collect();
    let begins = |pair: &[Option<Label>]| matches!(pair, [Some(one), Some(two)] if one.begins() && one.goes_on_with(*two));
    if first > 1 {
        return labels.windows(2).next().is_some_and(begins);
    }
    let is_reason = |label: &Option<Label>| matches!(label, Some(Label::Capital('R') | Label::Roman(_)));
    labels.windows(2).any(begins) || labels.iter().any(is_reason)
}

/// Whether text above a blank line continues below it. Headings and explanations do not. An unfinished sentence
/// and lists do, because a question without them would be incomplete.
fn leads_on(above: &[&str], run: usize, below: &[&str]) -> bool {
    let [first, .., last] = above else {
        return above.first().is_some_and(|line| line_leads_on(line, below));
    };
    if notes::is_note(first) {
        return false;
    }
    let text = &above[..above.len() - run];
    if run > 1 {
        // This is a question of its own without its key, or a list that belongs to the question below.
        return !text.iter().any(|line| line.contains(['?', '？']));
    }
    let has_list = above[1..].iter().any(|line| Label::of(line).is_some());
    has_list || first_label_is_of_list(first) || line_leads_on(last, below)
}

fn first_label_is_of_list(line: &str) -> bool {
    let is_heading = !line.ends_with(['.', ';', ',', ':']);
    Label::of(line).is_some_and(|label| !label.is_number()) && !is_heading
}

fn line_leads_on(last: &str, below: &[&str]) -> bool {
    if notes::is_note(last) {
        return false;
    }
    let is_heading = last.split_whitespace().count() <= 2;
    if last.ends_with([',', ';'])
        || (last.ends_with([':', '：']) && !is_heading)
        || first_label_is_of_list(last)
    {
        return true;
    }
    let Some(first) = below.first() else { return false };
    let labels: Vec<Label> = below.iter().map_while(|text| Label::of(text)).collect();
    let is_list = match labels.as_slice() {
        [one, two, ..] if one.goes_on_with(*two) => true,
        [one, ..] => !one.is_number(),
        [] => false,
    };
    let below = below.iter().take_while(|text| line::letter(text) != Some('A'));
    let asks = |text: &str| text.contains(['?', '？']);
    is_list
        || first.starts_with(char::is_lowercase)
        || (asks(last) && !below.into_iter().any(|text| asks(text)))
}

/// Finds the index of the correct option by the text after `ANSWER:`: its letter, and perhaps its text.
fn correct(key: &str, options: &[&str]) -> Result<usize, String> {
    let not_one = || {
        format!(
            "The key, \"{}\", is not one letter. Aiken has only single choices: write ANSWER: B.",
            short(key)
        )
    };
    let mut chars = key.chars();
    let letter = chars.next().filter(char::is_ascii_alphabetic).ok_or_else(not_one)?.to_ascii_uppercase();
    let rest = chars.as_str();
    let marked = rest.strip_prefix(['.', ')']);
    let text = marked.unwrap_or(rest).trim();
    if marked.is_none() && !rest.is_empty() && !rest.starts_with(' ') {
        return Err(not_one());
    }
    let at = ('A'..='Z').position(|other| other == letter).filter(|at| *at < options.len());
    let at = at.ok_or_else(|| {
        format!("The key is {letter}, but the question has no such option. Correct the letter after ANSWER:.")
    })?;
    if text.is_empty() || says_the_same(text, options[at]) {
        return Ok(at);
    }
    if let Some((other, _)) = options
        .iter()
        .zip('A'..)
        .map(|(option, letter)| (letter, option))
        .find(|(_, option)| says_the_same(text, option))
    {
        return Err(format!(
            "The key is {letter}, but the text after it is that of option {other}. Write only the letter."
        ));
    }
    // Like Moodle, takes the first letter and ignores the rest, unless the rest may be a second letter.
    let names_another =
        text.split(|char: char| !char.is_alphanumeric()).any(|word| word.len() == 1 && word != "a");
    let is_joined = ["and ", "or ", "&", ",", "/", "+"].iter().any(|join| text.starts_with(join));
    if marked.is_none() || is_joined || names_another { Err(not_one()) } else { Ok(at) }
}

fn says_the_same(one: &str, other: &str) -> bool {
    let words = |text: &str| text.to_lowercase().split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    words(one.trim_end_matches('.')) == words(other.trim_end_matches('.'))
}
