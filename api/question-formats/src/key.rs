//! The key of a question as a reader finds it, before the texts of the options are added to the key.

use rust_decimal::Decimal;

use crate::draft::{DraftAnswer, DraftOption};

/// The key of a question, without the texts of its options.
pub(crate) enum ParsedKey {
    Choice {
        /// Whether the learner may choose several options.
        is_multiple: bool,
        /// Whether each option is correct.
        correct: Vec<bool>,
    },
    Number {
        value: Decimal,
        tolerance: Decimal,
    },
    Text {
        texts: Vec<String>,
        is_case_sensitive: bool,
    },
}

impl ParsedKey {
    /// Combines the key with the texts of the options. The key of a number or a text ignores the texts of options.
    pub(crate) fn with_options(self, texts: Vec<String>) -> DraftAnswer {
        match self {
            Self::Choice { is_multiple, correct } => {
                let options = texts.into_iter().zip(correct);
                let options = options.map(|(text, correct)| DraftOption { text, correct }).collect();
                if is_multiple { DraftAnswer::Multiple(options) } else { DraftAnswer::Single(options) }
            }
            Self::Number { value, tolerance } => DraftAnswer::Numeric { value, tolerance },
            Self::Text { texts, is_case_sensitive } => DraftAnswer::ShortAnswer { texts, is_case_sensitive },
        }
    }
}
