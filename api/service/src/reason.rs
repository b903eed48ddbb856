//! Checks the reasons that staff give for their actions.

use crate::name::has_visible;

/// Maximum number of characters in a reason.
pub const MAX_REASON_CHARS: usize = 1_000;

/// Returns a reason without the space around it, with the line breaks of Unix. Returns None if the reason has no
/// visible character, is longer than [`MAX_REASON_CHARS`], or contains control characters other than line breaks and
/// tabs.
pub(crate) fn checked(text: &str) -> Option<String> {
    let text = text.trim().replace("\r\n", "\n");
    let is_forbidden = |char: char| char.is_control() && !matches!(char, '\n' | '\t');
    let is_valid =
        has_visible(&text) && text.chars().count() <= MAX_REASON_CHARS && !text.contains(is_forbidden);
    is_valid.then_some(text)
}

/// Returns what a reason must be, for the end of a sentence: "1 to 1000 characters, …".
pub(crate) fn rule() -> String {
    format!(
        "1 to {MAX_REASON_CHARS} characters, at least one of them visible, without control characters except line \
         breaks and tabs"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_may_have_the_line_breaks_of_unix_and_windows() {
        for (text, expected) in [
            (" Wrong card. ", Some("Wrong card.")),
            ("Paid twice.\nBank told us.", Some("Paid twice.\nBank told us.")),
            ("Paid twice.\r\n\tBank told us.\r\n", Some("Paid twice.\n\tBank told us.")),
            ("Paid\rtwice", None),
            ("\u{200b} \n", None),
            ("Paid\u{0}twice", None),
            ("Paid\u{1b}[2Jtwice", None),
        ] {
            assert_eq!(checked(text).as_deref(), expected, "{text:?}");
        }
        assert!(checked(&"é".repeat(MAX_REASON_CHARS)).is_some());
        assert!(checked(&"é".repeat(MAX_REASON_CHARS + 1)).is_none());
    }
}
