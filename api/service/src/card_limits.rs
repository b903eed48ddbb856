//! The greatest values that a card can have.

/// Maximum extra time of a card's sittings: a day.
pub const MAX_EXTRA_SECONDS: i32 = 86_400;
/// Maximum number of attempts of a card.
pub const MAX_ATTEMPTS_PER_CARD: i32 = 1_000;
