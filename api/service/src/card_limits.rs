//! The greatest values that support can grant to a card. Authors cannot give a subject more attempts per card either.

/// Maximum extra time of each sitting of a card, in seconds: a day.
pub const MAX_EXTRA_SECONDS: i32 = 86_400;
/// Maximum number of attempts of a card.
pub const MAX_ATTEMPTS_PER_CARD: i32 = 1_000;
