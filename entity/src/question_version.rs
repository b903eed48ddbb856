//! Versions of questions: what one said at one time. Rows are never changed, so that an edit cannot change a past
//! result.

use sea_orm::entity::prelude::*;

use crate::{QuestionId, QuestionVersionId, TopicId};

/// How a question is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(24))")]
pub enum QuestionKind {
    /// With exactly one of its options, of which one is correct.
    #[sea_orm(string_value = "single_choice")]
    SingleChoice,
    /// With every correct option and no other.
    #[sea_orm(string_value = "multiple_choice")]
    MultipleChoice,
    /// With a number.
    #[sea_orm(string_value = "numeric")]
    Numeric,
}

/// How hard a question is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum Difficulty {
    /// Most learners get it right.
    #[sea_orm(string_value = "easy")]
    Easy,
    /// As hard as most of the examination.
    #[sea_orm(string_value = "medium")]
    Medium,
    /// Few learners get it right.
    #[sea_orm(string_value = "hard")]
    Hard,
}

/// How the texts of a question are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum TextFormat {
    /// As it stands.
    #[sea_orm(string_value = "plain")]
    Plain,
    /// Markdown (CommonMark).
    #[sea_orm(string_value = "markdown")]
    Markdown,
    /// HTML as authors wrote it: whoever shows it must sanitise it.
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
    /// The question.
    pub question_id: QuestionId,
    /// From 1.
    pub version: i32,
    /// What it is about.
    pub topic_id: TopicId,
    /// How hard it is.
    pub difficulty: Difficulty,
    /// How it is answered.
    pub kind: QuestionKind,
    /// How its texts are to be read: the stem, the options and the explanation.
    pub text_format: TextFormat,
    /// What is asked.
    pub stem: String,
    /// Why the key is the key.
    pub explanation: Option<String>,
    /// The key of a numeric question, an exact decimal number; null for the others.
    pub numeric_value: Option<String>,
    /// How far from the key an answer is still correct, the ends included; null where `numeric_value` is.
    pub numeric_tolerance: Option<String>,
    /// SHA-256 of everything else that it says, in hexadecimal: the same content makes no new version.
    pub content_hash: String,
    /// When it was written.
    pub created_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
