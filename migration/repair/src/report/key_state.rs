//! The key that the table of cards has, of two possible ones.

use std::fmt;

use serde::Serialize;

use crate::inspect::Inspection;

/// The key that the table of cards has, of two possible ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Only the old key.
    OldOnly,
    /// The table has both keys.
    OldAndNew,
    /// Only the new key, as it should be.
    NewOnly,
    /// The table has neither key.
    Neither,
    /// The table has neither key, and has duplicate cards.
    NeitherWithDuplicates,
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OldOnly => "only the old key",
            Self::OldAndNew => "the old key and the new key",
            Self::NewOnly => "only the new key",
            Self::Neither => "neither key",
            Self::NeitherWithDuplicates => "neither key, and duplicate cards",
        })
    }
}

impl Inspection {
    /// Returns which of the two keys the table of cards has.
    #[must_use]
    pub fn key_state(&self) -> KeyState {
        match (self.state.old_keys().next(), self.state.new_key()) {
            (Some(_), None) => KeyState::OldOnly,
            (Some(_), Some(_)) => KeyState::OldAndNew,
            (None, Some(_)) => KeyState::NewOnly,
            (None, None) if self.figures.duplicates.count > 0 => KeyState::NeitherWithDuplicates,
            (None, None) => KeyState::Neither,
        }
    }
}
