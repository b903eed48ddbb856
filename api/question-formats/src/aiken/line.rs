//! Recognises the kinds of lines that Aiken has, and lines that only look like them.

use std::iter::Peekable;
use std::str::Chars;

const KEY: &str = "ANSWER:";

/// Reads the letter and the text of an option: `A. text` or `A) text`. The space may be missing, as in Moodle. Returns
/// `None` for any other line.
pub(super) fn option(line: &str) -> Option<(char, &str)> {
    let mut chars = line.chars();
    let letter = chars.next().filter(char::is_ascii_uppercase)?;
    chars.next().filter(|mark| matches!(mark, '.' | ')'))?;
    Some((letter, chars.as_str().trim()))
}

/// Returns the letter of an option, or `None` if the line is not an option.
pub(super) fn letter(line: &str) -> Option<char> {
    option(line).map(|(letter, _)| letter)
}

/// Returns the text after `ANSWER:`, or `None` if the line does not begin with `ANSWER:`. If this word is not in
/// capital letters, the line must be below an option, or have a single letter after the word.
pub(super) fn key(line: &str, is_below_option: bool) -> Option<&str> {
    let (word, key) = line.trim().split_at_checked(KEY.len())?;
    let is_meant = word == KEY || is_below_option || key.trim().len() == 1;
    (is_meant && word.eq_ignore_ascii_case(KEY)).then(|| key.trim())
}

/// Returns whether a text has a line with a key in the form of Aiken. Braces after `ANSWER:`, as in GIFT, do not count.
pub(crate) fn looks_like(text: &str) -> bool {
    let mut is_below_option = false;
    let mut lines = text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty());
    lines.any(|line| {
        let mut chars = key(line, is_below_option).unwrap_or_default().chars();
        let is_letter = chars.next().is_some_and(|char| char.is_ascii_alphabetic());
        is_below_option = option(line).is_some();
        is_letter && chars.next().is_none_or(|char| matches!(char, ' ' | ',' | '.' | ')'))
    })
}

/// Returns whether a text has a line that looks like a key, in the form of Aiken or in a similar form: `答案：B`.
pub(crate) fn looks_nearly_like(text: &str) -> bool {
    text.split(['\n', '\r']).any(|line| like_key(line.trim()))
}

/// Returns whether a line looks like a key: `Ans. (b)`, `ANSWER B`, `**ANSWER: B**`. A key in the form of Aiken
/// (`ANSWER: B`) also counts, so callers that need the difference also use [`key`].
pub(super) fn like_key(line: &str) -> bool {
    const WORDS: [&str; 14] = [
        "correct answer",
        "right answer",
        "correct option",
        "right option",
        "answer key",
        "answer",
        "ans",
        "key",
        "正确答案",
        "答案",
        "सही उत्तर",
        "उत्तर",
        "जवाब",
        "विकल्प",
    ];
    let line = line
        .trim_matches(|char: char| char.is_whitespace() || matches!(char, '*' | '_' | '#' | '`'))
        .to_lowercase();
    let Some(rest) = WORDS.iter().find_map(|word| line.strip_prefix(word)) else { return false };
    let key = rest.trim_start_matches([':', '：', '=', '-', '–', '—', '.', ' ', '\u{a0}', '\t', '*', '_']);
    if key.len() == rest.len() {
        return false;
    }
    let mut words = key.split(|char: char| !char.is_alphanumeric()).filter(|word| !word.is_empty());
    words.next().is_some_and(|word| word.chars().count() == 1)
        && words.all(|word| word.chars().count() == 1 || word == "and")
}

/// Returns advice on how to write a line that only looks like an option. Returns `None` if the line is an option or
/// does not look like one.
pub(super) fn like_option(line: &str) -> Option<&'static str> {
    const CAPITAL: &str = "Write its letter as a capital, such as A)";
    const BARE: &str = "Write A) and not (A)";
    const MARK: &str = "Write A. or A) in ASCII, without a space before the mark";
    if option(line).is_some() {
        return None;
    }
    let mut chars = line.chars();
    let first = chars.next()?;
    if matches!(first, '(' | '[' | '（' | '【') {
        let is_letter = chars.next().is_some_and(|char| char.is_ascii_alphabetic());
        return (is_letter && chars.next().is_some_and(|char| matches!(char, ')' | ']' | '）' | '】')))
            .then_some(BARE);
    }
    let mark = chars.as_str().trim_start().chars().next()?;
    if first.is_ascii_lowercase() {
        return matches!(chars.next(), Some('.' | ')')).then_some(CAPITAL);
    }
    let is_letter = first.is_ascii_uppercase() || ('Ａ'..='Ｚ').contains(&first);
    (is_letter && matches!(mark, '．' | '、' | '。' | '）' | ':' | '：' | '-' | '–' | '—' | ']' | '.' | ')'))
        .then_some(MARK)
}

/// The label of a line in a list inside a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    /// `I.`, `II.`
    Roman(usize),
    /// `i.`, `ii.`
    SmallRoman(usize),
    /// `1.`, `2.`
    Number(usize),
    /// `P.`, `Q.`, `R.`: a capital that is not a Roman number.
    Capital(char),
    /// `a.`, `b.`
    Small(char),
}

const ROMAN: [&str; 15] =
    ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII", "XIII", "XIV", "XV"];

impl Label {
    /// Reads the label of a line in a list: `I. text`, `I) text`, `I: text` or `(I) text`. Returns `None` for a line
    /// without a label.
    pub(super) fn of(line: &str) -> Option<Self> {
        let mut chars = line.chars().peekable();
        let is_bracketed = chars.next_if(|char| matches!(char, '(' | '[')).is_some();
        let word = word(&mut chars);
        let is_marked = match chars.next()? {
            ')' => true,
            ']' => is_bracketed,
            '.' | ':' => !is_bracketed,
            _ => false,
        };
        if !is_marked || chars.peek().is_some_and(char::is_ascii_digit) {
            return None;
        }
        if let Ok(number) = word.parse() {
            return Some(Self::Number(number));
        }
        let roman = |word: &str| ROMAN.iter().position(|roman| *roman == word).map(|at| at + 1);
        if let Some(number) = roman(&word) {
            return Some(Self::Roman(number));
        }
        let is_small = word.chars().all(|char| char.is_ascii_lowercase());
        if let Some(number) = is_small.then(|| roman(&word.to_ascii_uppercase())).flatten() {
            return Some(Self::SmallRoman(number));
        }
        let mut letters = word.chars();
        match (letters.next(), letters.next()) {
            (Some(letter), None) if letter.is_ascii_uppercase() => Some(Self::Capital(letter)),
            (Some(letter), None) if letter.is_ascii_lowercase() => Some(Self::Small(letter)),
            _ => None,
        }
    }

    /// Returns whether a list can begin with this label: I, i, 1, P, a or p.
    pub(super) fn begins(self) -> bool {
        match self {
            Self::Roman(number) | Self::SmallRoman(number) | Self::Number(number) => number == 1,
            Self::Capital(letter) => letter == 'P',
            Self::Small(letter) => matches!(letter, 'a' | 'p'),
        }
    }

    /// Returns whether `next` is the label that follows this label.
    pub(super) fn goes_on_with(self, next: Self) -> bool {
        match (self, next) {
            (Self::Roman(at), Self::Roman(next))
            | (Self::SmallRoman(at), Self::SmallRoman(next))
            | (Self::Number(at), Self::Number(next)) => next == at + 1,
            (Self::Capital(at), Self::Capital(next)) | (Self::Small(at), Self::Small(next)) => {
                u32::from(next) == u32::from(at) + 1
            }
            _ => false,
        }
    }

    /// Returns whether the label is a number. A number can be the number of a question as well as the label of an
    /// entry.
    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Number(_))
    }
}

fn word(chars: &mut Peekable<Chars<'_>>) -> String {
    std::iter::from_fn(|| chars.next_if(char::is_ascii_alphanumeric)).take(5).collect()
}
