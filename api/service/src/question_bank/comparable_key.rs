//! Keys in a form that can be compared between two versions of a question.

use std::collections::{BTreeSet, HashMap};

use jishu_entity::{QuestionVersionId, question_version};
use question_formats::typed_text::TextPattern;
use question_formats::{DraftAnswer, DraftOption};
use rust_decimal::Decimal;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use super::read::answers;
use crate::error::Fault;

/// Maximum number of versions that one statement reads. The fixed tests of a subject can ask for any number of
/// versions, and SQLite allows 32,766 parameters for a statement.
const MAX_VERSIONS_PER_STATEMENT: usize = 5_000;

/// A key with all that a comparison needs: all options with their correctness, a number with its tolerance, or texts.
#[derive(Clone, Debug)]
pub(super) enum ComparableKey {
    Single(Vec<DraftOption>),
    Multiple(Vec<DraftOption>),
    Number { value: Decimal, tolerance: Decimal },
    Texts(BTreeSet<TextPattern>),
}

impl ComparableKey {
    /// Tells whether two keys have the same correct answer. Keys of different kinds of questions never agree.
    ///
    /// The order of options does not matter: keys agree if the texts of their correct options are the same. If an
    /// author edited texts of options, the keys agree if the correct options have the same positions.
    pub(super) fn agrees_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Single(one), Self::Single(other)) | (Self::Multiple(one), Self::Multiple(other)) => {
                agree(one, other)
            }
            (
                Self::Number { value, tolerance },
                Self::Number { value: other, tolerance: other_tolerance },
            ) => value == other && tolerance == other_tolerance,
            (Self::Texts(one), Self::Texts(other)) => one == other,
            _ => false,
        }
    }
}

/// Returns the texts of the correct options if `correct` is true, and the texts of the wrong options otherwise.
fn texts(options: &[DraftOption], correct: bool) -> BTreeSet<&str> {
    options.iter().filter(|option| option.correct == correct).map(|option| option.text.as_str()).collect()
}

/// Tells whether the same options are correct in two lists, by their texts or by their positions.
fn agree(one: &[DraftOption], other: &[DraftOption]) -> bool {
    if texts(one, true) == texts(other, true) {
        return true;
    }
    let positions = |options: &[DraftOption]| options.iter().map(|option| option.correct).collect::<Vec<_>>();
    // Positions count only if the texts do not contradict them. If a text is correct in one list and wrong in the
    // other, the author changed the key, not the text of an option.
    positions(one) == positions(other)
        && texts(one, true).is_disjoint(&texts(other, false))
        && texts(one, false).is_disjoint(&texts(other, true))
}

impl From<&DraftAnswer> for ComparableKey {
    fn from(answer: &DraftAnswer) -> Self {
        match answer {
            DraftAnswer::Single(options) => Self::Single(options.clone()),
            DraftAnswer::Multiple(options) => Self::Multiple(options.clone()),
            DraftAnswer::Numeric { value, tolerance } => {
                Self::Number { value: value.normalize(), tolerance: tolerance.normalize() }
            }
            DraftAnswer::ShortAnswer { texts, is_case_sensitive } => {
                Self::Texts(texts.iter().map(|text| TextPattern::new(text, *is_case_sensitive)).collect())
            }
        }
    }
}

/// A key and its explanation.
#[derive(Clone, Debug)]
pub(super) struct KeyAndExplanation {
    pub(super) key: ComparableKey,
    pub(super) explanation: Option<String>,
}

/// Loads the keys and the explanations of these versions. Leaves out versions that do not exist.
pub(super) async fn keys(
    connection: &impl ConnectionTrait,
    versions: &BTreeSet<QuestionVersionId>,
) -> Result<HashMap<QuestionVersionId, KeyAndExplanation>, Fault> {
    let versions: Vec<QuestionVersionId> = versions.iter().copied().collect();
    let mut keys = HashMap::with_capacity(versions.len());
    for versions in versions.chunks(MAX_VERSIONS_PER_STATEMENT) {
        let rows = question_version::Entity::find()
            .filter(question_version::Column::Id.is_in(versions.iter().copied()))
            .all(connection)
            .await?;
        let answers = answers(connection, &rows).await?;
        let key = |row: question_version::Model| {
            let key = ComparableKey::from(answers.get(&row.id)?);
            Some((row.id, KeyAndExplanation { key, explanation: row.explanation }))
        };
        keys.extend(rows.into_iter().filter_map(key));
    }
    Ok(keys)
}
