//! Versions of questions. Rows never change, so that an edit of a question cannot change a past result.

use sea_orm::entity::prelude::*;

use crate::{QuestionId, QuestionVersionId, TopicId};

/// The way in which a question is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(24))")]
pub enum QuestionKind {
    /// The learner chooses one option. One option is correct.
    #[sea_orm(string_value = "single_choice")]
    SingleChoice,
    /// The learner chooses one or more options. The answer is correct if it has all correct options and no other.
    #[sea_orm(string_value = "multiple_choice")]
    MultipleChoice,
    /// The learner enters a number.
    #[sea_orm(string_value = "numeric")]
    Numeric,
    /// The learner enters a text.
    #[sea_orm(string_value = "short_answer")]
    ShortAnswer,
}

/// The difficulty of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum Difficulty {
    /// Most learners answer the question correctly.
    #[sea_orm(string_value = "easy")]
    Easy,
    /// The usual difficulty of the examination.
    #[sea_orm(string_value = "medium")]
    Medium,
    /// Few learners answer the question correctly.
    #[sea_orm(string_value = "hard")]
    Hard,
}

/// The format of the texts of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum TextFormat {
    /// Plain text.
    #[sea_orm(string_value = "plain")]
    Plain,
    /// Markdown (CommonMark).
    #[sea_orm(string_value = "markdown")]
    Markdown,
    /// HTML as the authors wrote it. A client must sanitise the HTML before showing it.
    #[sea_orm(string_value = "html")]
    Html,
}

/// A row of `question_versions`. UNIQUE (question_id, version).
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "question_versions")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: QuestionVersionId,
    /// The question to which the version belongs.
    pub question_id: QuestionId,
    /// The number of this version of the question, from 1.
    pub version: i32,
    /// The topic of the question.
    pub topic_id: TopicId,
    /// The difficulty of the question.
    pub difficulty: Difficulty,
    /// The way in which the question is answered.
    pub kind: QuestionKind,
    /// The format of the stem, the options and the explanation.
    pub text_format: TextFormat,
    /// The stem: the text that asks the question.
    pub stem: String,
    /// The explanation of the key. Null if there is none.
    pub explanation: Option<String>,
    /// The key of a numeric question, as an exact decimal number. Null for other questions.
    pub numeric_value: Option<String>,
    /// The largest difference from the key at which an answer is still correct. Null if `numeric_value` is null.
    pub numeric_tolerance: Option<String>,
    /// Whether a sitting shows the options in the author's order. Otherwise a sitting shuffles the options.
    pub keeps_options: bool,
    /// The options that keep their positions while the other options are shuffled, as bits: bit n is the option at the
    /// author's position n. 0 if `keeps_options` is true.
    pub fixed_options: i64,
    /// Whether capital and small letters count as different in a short answer. False for other kinds of questions.
    pub is_case_sensitive: bool,
    /// The SHA-256 hash of the content, in hexadecimal. An import of unchanged content does not create a new version.
    pub content_hash: String,
    /// The time when the version was created.
    pub created_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
