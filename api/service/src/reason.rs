//! Checks the reasons that staff give for their actions.

use crate::name::has_visible;

/// Maximum number of characters in a reason.
pub const MAX_REASON_CHARS: usize = 1_000;

/// Returns a reason without the space around it. Returns None if the reason has no visible character, is longer than
/// [`MAX_REASON_CHARS`], or contains control characters other than line feeds and tabs.
pub(crate) fn trimmed(text: &str) -> Option<&str> {
    let text = text.trim();
    let is_forbidden = |char: char| char.is_control() && !matches!(char, '\n' | '\t');
    let is_valid =
        has_visible(text) && text.chars().count() <= MAX_REASON_CHARS && !text.contains(is_forbidden);
    is_valid.then_some(text)
}
