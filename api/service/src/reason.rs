//! Checks the reasons that staff give for their actions.

use crate::name::has_visible;

/// Maximum number of characters in a reason.
pub const MAX_REASON_CHARS: usize = 1_000;

/// Returns a reason without the space around it. Returns None if the reason has no visible character, is longer than
/// [`MAX_REASON_CHARS`], or contains control characters other than line breaks and tabs.
pub(crate) fn trimmed(text: &str) -> Option<&str> {
    let text = text.trim();
    let is_forbidden = |char: char| char.is_control() && !matches!(char, '\n' | '\r' | '\t');
    let is_valid =
        has_visible(text) && text.chars().count() <= MAX_REASON_CHARS && !text.contains(is_forbidden);
    is_valid.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_may_have_line_breaks_of_every_system() {
        for (text, expected) in [
            (" Wrong card. ", Some("Wrong card.")),
            ("Paid twice.\nBank told us.", Some("Paid twice.\nBank told us.")),
            ("Paid twice.\r\n\tBank told us.\r\n", Some("Paid twice.\r\n\tBank told us.")),
            ("\u{200b} \n", None),
            ("Paid\u{0}twice", None),
            ("Paid\u{1b}[2Jtwice", None),
        ] {
            assert_eq!(trimmed(text), expected, "{text:?}");
        }
        assert!(trimmed(&"é".repeat(MAX_REASON_CHARS)).is_some());
        assert!(trimmed(&"é".repeat(MAX_REASON_CHARS + 1)).is_none());
    }
}
