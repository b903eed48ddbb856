//! Places where tests make things go wrong. Without the feature `failpoints` nothing of it is compiled in.
//!
//! `JISHU_ABORT_AT=NAME` ends the process there, as `kill -9` would. `JISHU_PLANT=NAME` plants a fault, so that
//! the kill harness can show that it would catch one.

/// The boundaries between the statements of a purchase, in order.
pub const PURCHASE_BOUNDARIES: [&str; 9] = [
    "purchase.locked",
    "purchase.key-checked",
    "purchase.resolved",
    "purchase.inserted",
    "purchase.entitled",
    "purchase.cards-made",
    "purchase.cart-cleared",
    "purchase.audited",
    "purchase.committed",
];

/// The boundaries between the statements of a sitting's start and its end.
pub const SITTING_BOUNDARIES: [&str; 7] = [
    "start.locked",
    "start.inserted",
    "start.counted",
    "submit.locked",
    "submit.saved",
    "close.scored",
    "close.counted",
];

/// A fault that can be planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The cards are made in a second transaction.
    Split,
    /// What is owned is read before the transaction, and the buyer is not locked.
    Unlocked,
    /// An error of the last statement is ignored.
    Swallowed,
    /// A repeated key is answered whatever the body.
    KeyNotCompared,
    /// One card too few is made, and nobody counts.
    Miscounted,
    /// Answers are acknowledged before they are stored.
    Unstored,
    /// Answers are saved without holding their sitting open.
    NotHeld,
    /// A sitting that is resumed gets its whole time again.
    DeadlineAnew,
    /// What a sitting comes to is not added to the learner's topics.
    NotAdded,
    /// A sitting that is over is scored again.
    ScoredAgain,
}

impl Fault {
    /// Those of purchases.
    pub const OF_PURCHASES: [Self; 5] =
        [Self::Split, Self::Unlocked, Self::Swallowed, Self::KeyNotCompared, Self::Miscounted];

    /// Those of sittings.
    pub const OF_SITTINGS: [Self; 5] =
        [Self::Unstored, Self::NotHeld, Self::DeadlineAnew, Self::NotAdded, Self::ScoredAgain];

    /// Its name in `JISHU_PLANT`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Split => "split",
            Self::Unlocked => "unlocked",
            Self::Swallowed => "swallowed",
            Self::KeyNotCompared => "key-not-compared",
            Self::Miscounted => "miscounted",
            Self::Unstored => "unstored",
            Self::NotHeld => "not-held",
            Self::DeadlineAnew => "deadline-anew",
            Self::NotAdded => "not-added",
            Self::ScoredAgain => "scored-again",
        }
    }
}

/// Whether this fault is planted.
#[cfg(feature = "failpoints")]
pub(crate) fn planted(fault: Fault) -> bool {
    static PLANTED: std::sync::LazyLock<Option<String>> =
        std::sync::LazyLock::new(|| std::env::var("JISHU_PLANT").ok());
    PLANTED.as_deref() == Some(fault.name())
}

/// Whether this fault is planted: never.
#[cfg(not(feature = "failpoints"))]
pub(crate) const fn planted(_: Fault) -> bool {
    false
}

/// Ends the process if it was told to end here.
#[cfg(feature = "failpoints")]
pub(crate) fn boundary(name: &str) {
    if std::env::var("JISHU_ABORT_AT").is_ok_and(|at| at == name) {
        std::process::abort();
    }
}

/// Does nothing.
#[cfg(not(feature = "failpoints"))]
pub(crate) const fn boundary(_: &str) {}
