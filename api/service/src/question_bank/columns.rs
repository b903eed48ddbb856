//! Conversions between drafts and the columns of `question_versions`.

use jishu_entity::question_version::{Difficulty, QuestionKind, TextFormat};
use question_formats::{DraftAnswer, DraftDifficulty, DraftTextFormat, OptionOrder};

/// Returns the kind of question that is stored for an answer.
pub(super) fn kind(answer: &DraftAnswer) -> QuestionKind {
    match answer {
        DraftAnswer::Single(_) => QuestionKind::SingleChoice,
        DraftAnswer::Multiple(_) => QuestionKind::MultipleChoice,
        DraftAnswer::Numeric { .. } => QuestionKind::Numeric,
        DraftAnswer::ShortAnswer { .. } => QuestionKind::ShortAnswer,
    }
}

/// Converts a difficulty for storage.
pub(crate) fn difficulty(difficulty: DraftDifficulty) -> Difficulty {
    match difficulty {
        DraftDifficulty::Easy => Difficulty::Easy,
        DraftDifficulty::Medium => Difficulty::Medium,
        DraftDifficulty::Hard => Difficulty::Hard,
    }
}

/// Converts a stored difficulty to that of a draft.
pub(super) fn draft_difficulty(difficulty: Difficulty) -> DraftDifficulty {
    match difficulty {
        Difficulty::Easy => DraftDifficulty::Easy,
        Difficulty::Medium => DraftDifficulty::Medium,
        Difficulty::Hard => DraftDifficulty::Hard,
    }
}

/// Converts a text format for storage.
pub(super) fn text_format(format: DraftTextFormat) -> TextFormat {
    match format {
        DraftTextFormat::Plain => TextFormat::Plain,
        DraftTextFormat::Markdown => TextFormat::Markdown,
        DraftTextFormat::Html => TextFormat::Html,
    }
}

/// Converts a stored text format to that of a draft.
pub(super) fn draft_text_format(format: TextFormat) -> DraftTextFormat {
    match format {
        TextFormat::Plain => DraftTextFormat::Plain,
        TextFormat::Markdown => DraftTextFormat::Markdown,
        TextFormat::Html => DraftTextFormat::Html,
    }
}

/// Returns the options that keep their positions as bits for storage: bit n is the option at position n. Leaves out
/// position 63 and later positions, which no question has.
pub(super) fn fixed_options(order: &OptionOrder) -> i64 {
    order.fixed.iter().filter(|position| **position < 63).fold(0, |bits, position| bits | 1 << position)
}
