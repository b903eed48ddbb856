//! Removes code fences around whole files, as chat programs write them: a line such as `` ```xml `` above and a line ``
//! ``` `` below.

use std::borrow::Cow;

const MARK: &str = "```";

/// The sentence of the loss for a code fence that is left out.
pub(crate) const FENCE_LOSS: &str = "The code fence (```) around the questions is left out.";

/// Returns the language of a line that is a code fence, or an empty text if the fence names no language. Returns `None`
/// if the line is not a code fence.
pub(crate) fn language(line: &str) -> Option<&str> {
    let language = line.trim().strip_prefix(MARK)?.trim_start_matches('`').trim();
    language.chars().all(|char| char.is_alphanumeric() || matches!(char, '-' | '_' | '.')).then_some(language)
}

/// Returns a text in which the two lines of the code fence around it are empty, so that line numbers stay the same.
/// Returns `None` if there is no fence around the whole text.
pub(crate) fn without(text: &str) -> Option<String> {
    let filled = |line: &&str| !line.trim_start_matches('\u{feff}').trim().is_empty();
    let first = text.lines().find(filled)?;
    let last = text.lines().rfind(filled)?;
    let is_fenced = language(first.trim_start_matches('\u{feff}')).is_some() && language(last) == Some("");
    let (start, end) = (text.find(first)?, text.rfind(last)?);
    if !is_fenced || start + first.len() > end {
        return None;
    }
    Some(format!("{}{}{}", &text[..start], &text[start + first.len()..end], &text[end + last.len()..]))
}

/// Returns a text without the code fence around it, or the text itself if no fence is around it.
pub(crate) fn stripped(text: &str) -> Cow<'_, str> {
    without(text).map_or(Cow::Borrowed(text), Cow::Owned)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_fence_around_a_text_is_found() {
        for (text, without) in [
            ("```xml\n<quiz/>\n```\n", Some("\n<quiz/>\n\n")),
            ("\u{feff}\n```\r\na\r\n```", Some("\u{feff}\n\r\na\r\n")),
            ("````aiken\na\n````", Some("\na\n")),
            ("```\na", None),
            ("a\n```", None),
            ("```", None),
            ("```a b c\nx\n```", None),
            ("", None),
        ] {
            let found = super::without(text);
            assert_eq!(found.as_deref(), without, "{text}");
        }
    }
}
