//! The spelling of status words in the database. The spelling depends on the program that wrote the words: SQLAlchemy
//! stores the names of an enumeration's members, often in capitals.

use crate::sql::same;

/// The words that a status column has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusSpelling {
    words: Vec<String>,
    /// Whether the column's type allows no other words.
    is_closed: bool,
}

impl StatusSpelling {
    /// Returns the spelling of a column whose type allows only these words.
    pub(super) fn closed(words: Vec<String>) -> Self {
        Self { words, is_closed: true }
    }

    /// Returns the spelling of a column that has these words and may have others.
    pub(super) fn open(words: Vec<String>) -> Self {
        Self { words, is_closed: false }
    }

    /// Returns the word as this column spells it. A word that the column does not have yet is in capitals if all words
    /// of the column are in capitals. `None` if the type of the column does not allow the word.
    pub(crate) fn of(&self, word: &str) -> Option<String> {
        if let Some(known) = self.words.iter().find(|known| same(known, word)) {
            return Some(known.clone());
        }
        let in_capitals = |known: &String| known.to_ascii_uppercase() == *known;
        let all_in_capitals = !self.words.is_empty() && self.words.iter().all(in_capitals);
        let word = if all_in_capitals { word.to_ascii_uppercase() } else { word.to_owned() };
        (!self.is_closed).then_some(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_word_is_spelled_as_its_column_spells_it() {
        let closed = StatusSpelling::closed(words(&["OPEN", "ABANDONED"]));
        assert_eq!(closed.of("abandoned").as_deref(), Some("ABANDONED"));
        assert_eq!(closed.of("completed"), None);
        let open = |known: &[&str]| StatusSpelling::open(words(known));
        assert_eq!(open(&["IN_PROGRESS"]).of("abandoned").as_deref(), Some("ABANDONED"));
        assert_eq!(open(&["IN_PROGRESS", "new"]).of("abandoned").as_deref(), Some("abandoned"));
        assert_eq!(open(&[]).of("abandoned").as_deref(), Some("abandoned"));
    }
}
