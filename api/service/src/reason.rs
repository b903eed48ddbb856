//! Reasons that staff give for what they do.

use crate::name::has_visible;

/// Maximum number of characters of a reason.
pub const MAX_REASON_CHARS: usize = 1_000;

/// Trims a reason for storage. Returns None if it is blank, too long, or contains control characters other than line
/// breaks and tabs.
pub(crate) fn trimmed(text: &str) -> Option<&str> {
    let text = text.trim();
    let is_forbidden = |char: char| char.is_control() && !matches!(char, '\n' | '\t');
    let is_valid =
        has_visible(text) && text.chars().count() <= MAX_REASON_CHARS && !text.contains(is_forbidden);
    is_valid.then_some(text)
}
