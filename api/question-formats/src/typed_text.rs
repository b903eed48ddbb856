//! Compares the text that a learner types with the accepted texts of a short answer.
//!
//! The comparison is that of Moodle (`compare_string_with_wildcard` in `question/type/shortanswer/question.php`). The
//! two texts are normalised to Unicode's form C, `*` stands for any characters, and `\*` for an asterisk. Case counts
//! if the question says so. Unlike Moodle, the comparison treats several spaces as one, also inside a text.
//!
//! The form is C and not KC, because KC would make `10²` and `102` the same answer.

use unicode_normalization::UnicodeNormalization;

/// An accepted text, prepared for comparisons.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TextPattern {
    /// The texts between the wildcards, in the form that [`canonical`] returns.
    parts: Vec<String>,
    is_case_sensitive: bool,
}

impl TextPattern {
    /// Prepares an accepted text for comparisons. In the accepted text, `*` is a wildcard, and `\*` an asterisk.
    #[must_use]
    pub fn new(accepted: &str, is_case_sensitive: bool) -> Self {
        let canonical = canonical(accepted, is_case_sensitive);
        let mut parts = vec![String::new()];
        let mut chars = canonical.chars().peekable();
        let mut is_after_wildcard = false;
        while let Some(char) = chars.next() {
            let is_wildcard = char == '*';
            match char {
                // Several wildcards in a row are the same as one wildcard.
                '*' if is_after_wildcard => {}
                '*' => parts.push(String::new()),
                '\\' if chars.peek() == Some(&'*') => push(&mut parts, chars.next()),
                char => push(&mut parts, Some(char)),
            }
            is_after_wildcard = is_wildcard;
        }
        Self { parts, is_case_sensitive }
    }

    /// Returns whether a text that a learner typed matches this accepted text.
    #[must_use]
    pub fn accepts(&self, typed: &str) -> bool {
        let typed = canonical(typed, self.is_case_sensitive);
        let (Some(first), Some(last)) = (self.parts.first(), self.parts.last()) else { return false };
        if !self.has_wildcard() {
            return typed == *first;
        }
        // The parts between the first and the last must follow one another in the typed text. Taking each part as early
        // as possible leaves the longest text for the next part.
        let Some(mut rest) = typed.strip_prefix(first.as_str()) else { return false };
        for part in &self.parts[1..self.parts.len() - 1] {
            let Some(at) = rest.find(part.as_str()) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last.as_str())
    }

    /// Returns whether the pattern has a wildcard, which stands for any characters.
    #[must_use]
    pub fn has_wildcard(&self) -> bool {
        self.parts.len() > 1
    }

    /// Returns whether the pattern accepts every text.
    #[must_use]
    pub fn accepts_everything(&self) -> bool {
        self.has_wildcard() && self.parts.iter().all(|part| part.trim().is_empty())
    }
}

fn push(parts: &mut [String], char: Option<char>) {
    if let Some(part) = parts.last_mut() {
        part.extend(char);
    }
}

/// Trims a text, and makes each run of white space one space.
#[must_use]
pub fn single_spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns the accepted text that accepts only this text: its asterisks are not wildcards.
#[must_use]
pub fn literal(text: &str) -> String {
    text.replace('*', "\\*")
}

/// Returns the text for which an accepted text without wildcards stands. Returns `None` if the accepted text has a
/// wildcard.
#[must_use]
pub fn as_literal(accepted: &str) -> Option<String> {
    let mut text = String::with_capacity(accepted.len());
    let mut chars = accepted.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '*' => return None,
            '\\' if chars.peek() == Some(&'*') => text.extend(chars.next()),
            char => text.push(char),
        }
    }
    Some(text)
}

/// Returns the form of a text in which it is compared with other texts.
fn canonical(text: &str, is_case_sensitive: bool) -> String {
    let text = single_spaced(text);
    match is_case_sensitive {
        true => text.nfc().collect(),
        // Converting to capital letters first joins letters that differ only as small letters, such as the two forms of
        // sigma. The capital letter of a dotless i is I, like that of a dotted i. So a dotless i stays as it is.
        false => {
            let folded = text.nfc().flat_map(|char| {
                let is_dotless = char == 'ı';
                let upper = char.to_uppercase().flat_map(char::to_lowercase).filter(move |_| !is_dotless);
                upper.chain(is_dotless.then_some(char))
            });
            folded.nfc().collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(accepted: &str, typed: &str, is_case_sensitive: bool) -> bool {
        TextPattern::new(accepted, is_case_sensitive).accepts(typed)
    }

    #[test]
    fn texts_are_compared_as_moodle_does() {
        // These examples are from Moodle's own test of `compare_string_with_wildcard`.
        for (typed, accepted, ignores_case, expected) in [
            ("Frog", "Frog", false, true),
            ("Frog", "frog", false, false),
            ("   Frog   ", "Frog", false, true),
            ("Frogs", "Frog", false, false),
            ("Frog", "frog", true, true),
            ("   FROG   ", "Frog", true, true),
            ("Frogs", "Frog", true, false),
            ("Frog", "F*og", false, true),
            ("Fog", "F*og", false, true),
            ("   Fat dog   ", "F*og", false, true),
            ("Frogs", "F*og", false, false),
            ("Fg", "F*og", false, false),
            ("frog", "F*og", false, false),
            ("   fat dog   ", "F*og", false, false),
            ("Frog", "F*og", true, true),
            ("   FAT DOG   ", "F*og", true, true),
            ("FROGS", "F*og", true, false),
            ("F*og", "F\\*og", true, true),
            ("Fog", "F\\*og", true, false),
            ("Fooog", "F**og", true, true),
            ("a(b)[c].|x", "a(b)[c].|x", true, true),
            ("", "*", true, true),
        ] {
            assert_eq!(accepts(accepted, typed, !ignores_case), expected, "{typed:?} {accepted:?}");
        }
    }

    #[test]
    fn case_and_unicode_forms_and_spaces_do_not_tell_texts_apart() {
        for (typed, accepted) in [
            ("e\u{301}cole", "ÉCOLE"),
            ("straße", "STRASSE"),
            ("ΟΔΟΣ", "οδος"),
            ("  New\u{a0}  York ", "new york"),
            ("कि\u{200d}", "कि\u{200d}"),
            ("\u{212b}", "å"),
        ] {
            assert!(accepts(accepted, typed, false), "{typed}");
        }
        for (typed, accepted) in [("102", "10²"), ("kız", "kiz"), ("Paris", "Pari"), ("newyork", "new york")]
        {
            assert!(!accepts(accepted, typed, false), "{typed}");
        }
        assert!(accepts("E\u{301}", "É", true) && !accepts("é", "É", true));
    }

    #[test]
    fn wildcards_take_any_text_between_the_parts() {
        for (typed, accepted, expected) in [
            ("aba", "ab*ba", false),
            ("abba", "ab*ba", true),
            ("a-x-b-y-c", "a*b*c", true),
            ("a-c-b", "a*b*c", false),
            ("xaab", "*ab", true),
            ("2*3", "2\\**", true),
            ("back\\slash", "back\\slash", true),
            ("\\*", "\\\\*", true),
        ] {
            assert_eq!(accepts(accepted, typed, true), expected, "{typed} {accepted}");
        }
        for text in ["a*b", "\\", "a\\*b", "**", "plain"] {
            assert_eq!(as_literal(&literal(text)).as_deref(), Some(text));
            assert!(
                accepts(&literal(text), text, true) && !TextPattern::new(&literal(text), true).has_wildcard()
            );
        }
        assert_eq!(as_literal("a*"), None);
        assert!(TextPattern::new(" * ", true).accepts_everything());
        assert!(!TextPattern::new("*a", true).accepts_everything());
    }
}
