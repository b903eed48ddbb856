//! Values of a catalogue file together with their lines.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_saphyr::Spanned;

/// A value, and the line of the file that contains it. The line is 0 if the value was not read from a file.
#[derive(Clone, Debug)]
pub(crate) struct Lined<T> {
    pub(crate) value: T,
    pub(super) line: u64,
}

impl<T> From<T> for Lined<T> {
    fn from(value: T) -> Self {
        Self { value, line: 0 }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Lined<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, .. } = Spanned::deserialize(deserializer)?;
        Ok(Self { value, line: referenced.line() })
    }
}

impl<T: Serialize> Serialize for Lined<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

/// Returns the line of a value, or None if the file does not have the value.
pub(super) fn line_of<T>(value: Option<&Lined<T>>) -> Option<u64> {
    value.map(|value| value.line)
}
