//! Reads the key of a question, which is the text after `ANSWER:`.

use crate::labels::excerpt;

/// Returns the index of the correct option, or the reason why the key is refused. A key is the letter of an option,
/// with or without the text of this option.
pub(super) fn correct(key: &str, options: &[&str]) -> Result<usize, String> {
    let not_one = || {
        format!(
            "Its key, \"{}\", is not one letter. Aiken has single choices only: write ANSWER: B.",
            excerpt(key)
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
    if text.is_empty() || is_same_text(text, options[at]) {
        return Ok(at);
    }
    if let Some((other, _)) = options
        .iter()
        .zip('A'..)
        .map(|(option, letter)| (letter, option))
        .find(|(_, option)| is_same_text(text, option))
    {
        return Err(format!(
            "The key is {letter}, but the text after it is that of option {other}. Write only the letter."
        ));
    }
    // Moodle ignores the text after the first letter. This reader refuses the key if that text names a second letter or
    // is not marked by `.` or `)`.
    let names_another =
        text.split(|char: char| !char.is_alphanumeric()).any(|word| word.len() == 1 && word != "a");
    let is_joined = ["and ", "or ", "&", ",", "/", "+"].iter().any(|join| text.starts_with(join));
    if marked.is_none() || is_joined || names_another { Err(not_one()) } else { Ok(at) }
}

/// Returns whether two texts are equal without regard to case, white space and a full stop at the end.
fn is_same_text(one: &str, other: &str) -> bool {
    let words = |text: &str| text.to_lowercase().split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    words(one.trim_end_matches('.')) == words(other.trim_end_matches('.'))
}
