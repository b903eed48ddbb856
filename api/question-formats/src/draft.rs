//! The draft of a question: its content, independent of the format of the file.

use rust_decimal::Decimal;

use crate::hash::ContentHash;
use crate::picture::{Picture, with_picture_addresses};

/// The difficulty of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DraftDifficulty {
    /// Most learners answer the question correctly.
    Easy,
    /// The question is about as hard as most questions of the examination.
    Medium,
    /// Few learners answer the question correctly.
    Hard,
}

/// The markup language of the texts of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DraftTextFormat {
    /// Text without markup.
    Plain,
    /// Markdown (CommonMark).
    Markdown,
    /// HTML as its authors wrote it. Sanitise it before you show it.
    Html,
}

/// An option of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DraftOption {
    /// The text of the option.
    pub text: String,
    /// Whether the option is correct.
    pub correct: bool,
}

/// The type of a question, with its options and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DraftAnswer {
    /// The learner chooses one option.
    Single(Vec<DraftOption>),
    /// The learner chooses all correct options and no other.
    Multiple(Vec<DraftOption>),
    /// The learner enters a number.
    Numeric {
        /// The correct number.
        value: Decimal,
        /// The greatest distance from `value` at which an answer is still correct.
        tolerance: Decimal,
    },
    /// The learner enters a text.
    ShortAnswer {
        /// The accepted texts, each of which gets full marks. `*` stands for any characters, and `\*` for an asterisk.
        texts: Vec<String>,
        /// Whether capital and small letters differ.
        is_case_sensitive: bool,
    },
}

impl DraftAnswer {
    /// Returns the options. The result is empty for a question without options.
    #[must_use]
    pub fn options(&self) -> &[DraftOption] {
        match self {
            Self::Single(options) | Self::Multiple(options) => options,
            Self::Numeric { .. } | Self::ShortAnswer { .. } => &[],
        }
    }
}

/// The order in which a sitting shows the options of a question.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OptionOrder {
    /// Whether a sitting shuffles the options. If false, the options stay as the authors ordered them.
    pub shuffled: bool,
    /// The indexes, from 0 and in ascending order, of the options that keep their positions while the other options are
    /// shuffled. Empty if `shuffled` is false.
    pub fixed: Vec<usize>,
}

impl Default for OptionOrder {
    /// Returns the order in which all options are shuffled.
    fn default() -> Self {
        Self { shuffled: true, fixed: Vec::new() }
    }
}

impl OptionOrder {
    /// Returns the order in which all options keep their positions.
    #[must_use]
    pub fn kept() -> Self {
        Self { shuffled: false, fixed: Vec::new() }
    }

    /// Returns the order in which the options are shuffled, except those with the indexes `fixed`. If some options are
    /// fixed and fewer than two of the `count` options could move, all options keep their positions.
    #[must_use]
    pub fn shuffled_except(mut fixed: Vec<usize>, count: usize) -> Self {
        fixed.retain(|index| *index < count);
        fixed.sort_unstable();
        fixed.dedup();
        match fixed.is_empty() || count - fixed.len() > 1 {
            true => Self { shuffled: true, fixed },
            false => Self::kept(),
        }
    }

    /// Returns whether the option with this index keeps its position.
    #[must_use]
    pub fn keeps(&self, index: usize) -> bool {
        !self.shuffled || self.fixed.contains(&index)
    }
}

/// A complete question, ready to be stored or written to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DraftQuestion {
    /// The line of the file on which the question begins, counted from 1. In a package, the number of the question. It
    /// is 0 if the question is not from a file.
    pub line: u32,
    /// The id that identifies the question across files.
    pub external_id: String,
    /// The origin of `external_id`.
    pub id_origin: IdOrigin,
    /// The name of the topic.
    pub topic: String,
    /// The difficulty.
    pub difficulty: DraftDifficulty,
    /// The markup language of the stem, the options and the explanation.
    pub text_format: DraftTextFormat,
    /// The text of the question, without its options.
    pub stem: String,
    /// The type of the question, with its options and its key.
    pub answer: DraftAnswer,
    /// The order in which a sitting shows the options. It means nothing for a question without options.
    pub option_order: OptionOrder,
    /// The text that explains the key to learners; `None` if the question has no explanation.
    pub explanation: Option<String>,
    /// The pictures that the texts show, without the pictures that the application already has. A text names a picture
    /// by its hash. A writer puts the pictures into the file.
    pub pictures: Vec<Picture>,
}

/// The origin of the external id of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdOrigin {
    /// The authors chose the id.
    Given,
    /// The id was derived from the stem, the options and the embedded files. A question with the same content has the
    /// same id.
    Derived {
        /// The id that earlier versions of this software derived, which ignored embedded files. `None` if the earlier
        /// id is equal to the id, or is not known.
        earlier: Option<String>,
    },
}

impl DraftQuestion {
    /// Returns the stem, the options and the explanation.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let options = self.answer.options().iter().map(|option| option.text.as_str());
        [self.stem.as_str()].into_iter().chain(options).chain(self.explanation.as_deref())
    }

    /// Returns the question with its pictures inside its texts. The name of each picture becomes a `data:` address that
    /// contains its bytes.
    pub(crate) fn with_pictures_inside(&self) -> Self {
        let inside = |text: &str| {
            let picture = |hash: &str| self.pictures.iter().find(|picture| picture.hash == hash);
            with_picture_addresses(text, |hash| picture(hash).map(Picture::data_address)).into_owned()
        };
        let mut question = self.clone();
        question.stem = inside(&self.stem);
        question.explanation = self.explanation.as_deref().map(inside);
        if let DraftAnswer::Single(options) | DraftAnswer::Multiple(options) = &mut question.answer {
            options.iter_mut().for_each(|option| option.text = inside(&option.text));
        }
        question
    }

    /// Returns the SHA-256 of the content in hexadecimal. The content is everything but the line, the id and the bytes
    /// of pictures. The texts contain the hashes of their pictures.
    #[must_use]
    pub fn content_hash(&self) -> String {
        let mut hash = ContentHash::default();
        let difficulty = match self.difficulty {
            DraftDifficulty::Easy => "easy",
            DraftDifficulty::Medium => "medium",
            DraftDifficulty::Hard => "hard",
        };
        let kind = match self.answer {
            DraftAnswer::Single(_) => "single",
            DraftAnswer::Multiple(_) => "multiple",
            DraftAnswer::Numeric { .. } => "numeric",
            DraftAnswer::ShortAnswer { .. } => "short answer",
        };
        let text_format = match self.text_format {
            DraftTextFormat::Plain => "plain",
            DraftTextFormat::Markdown => "markdown",
            DraftTextFormat::Html => "html",
        };
        let explanation = self.explanation.as_deref().unwrap_or_default();
        for part in [&self.topic, difficulty, kind, text_format, &self.stem, explanation] {
            hash.add(part);
        }
        if let DraftAnswer::Numeric { value, tolerance } = &self.answer {
            hash.add(&value.normalize().to_string());
            hash.add(&tolerance.normalize().to_string());
        }
        if let DraftAnswer::ShortAnswer { texts, is_case_sensitive } = &self.answer {
            hash.add(if *is_case_sensitive { "case counts" } else { "case does not count" });
            texts.iter().for_each(|text| hash.add(text));
        }
        for option in self.answer.options() {
            hash.add(&option.text);
            hash.add(if option.correct { "correct" } else { "wrong" });
        }
        // A question with the default order has the same hash as before drafts had an order.
        if self.option_order != OptionOrder::default() && !self.answer.options().is_empty() {
            hash.add(if self.option_order.shuffled { "shuffled except" } else { "kept" });
            self.option_order.fixed.iter().for_each(|index| hash.add(&index.to_string()));
        }
        hash.hex()
    }
}
