//! Whether the table of cards has the old key, the new key, both or neither.

use std::fmt;

use serde::Serialize;

use crate::inspect::Inspection;

/// Whether the table of cards has the old key, which is a bug, and the new key, which must exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// The table has only the old key.
    OldOnly,
    /// The table has the old key and the new key.
    OldAndNew,
    /// The table has only the new key, as it should.
    NewOnly,
    /// The table has neither the old key nor the new key, and no duplicate cards.
    Neither,
    /// The table has neither the old key nor the new key, and has duplicate cards.
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
    /// Returns which of the old key and the new key the table of cards has. A new key that does not work does not
    /// count.
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
