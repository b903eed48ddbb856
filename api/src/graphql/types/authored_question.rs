//! Questions of a bank, as their authors see them.

use async_graphql::{Context, ID, Object, SimpleObject};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jishu_entity::{QuestionVersionId, SubjectId};

use super::session_question::{QuestionKind, TextFormat};
use super::{Difficulty, Subject};
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::node::GlobalKey;
use crate::graphql::pagination::{Connection, ListNode, PageArgs, connect, wants_rows};
use crate::graphql::scalar::{DateTime, Decimal};
use jishu_service::account::Author;
use jishu_service::page::Page;
use jishu_service::question_bank::{
    self, Authored, AuthoredCorrection, AuthoredVersion, DraftAnswer, DraftOption, Listing,
};

#[derive(Clone)]
pub(in crate::graphql) struct AuthoredQuestion {
    question: Authored,
    /// The author who reads it.
    author: Author,
}

impl AuthoredQuestion {
    pub(in crate::graphql) fn new(question: Authored, author: Author) -> Self {
        Self { question, author }
    }
}

/// A question of the bank with its key. Only authors and admins find one.
#[Object]
impl AuthoredQuestion {
    /// Global and opaque.
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.question.row.id.global()
    }

    /// The id that its authors gave it, or one derived from its content.
    async fn external_id(&self) -> &str {
        &self.question.row.external_id
    }

    /// The subject whose tests ask it.
    async fn subject(&self, ctx: &Context<'_>) -> ApiResult<Subject> {
        Ok(Subject(ctx.services()?.catalog.subject(self.question.row.subject_id).await?))
    }

    /// When it was archived. New tests do not ask an archived question. Null if it is in use.
    async fn archived_at(&self) -> Option<DateTime> {
        self.question.row.archived_at.map(DateTime)
    }

    /// Its current version, which new tests take.
    async fn current(&self) -> QuestionVersion {
        QuestionVersion::from(self.question.current.clone())
    }

    /// Its latest 20 versions, the newest first.
    async fn versions(&self, ctx: &Context<'_>) -> ApiResult<Vec<QuestionVersion>> {
        let key = (self.author.id(), self.question.row.id);
        let versions = ctx.loaders()?.question_versions.load_one(key).await?;
        Ok(versions.unwrap_or_default().into_iter().map(QuestionVersion::from).collect())
    }

    /// The latest 20 corrections of its key, the newest first.
    async fn corrections(&self, ctx: &Context<'_>) -> ApiResult<Vec<QuestionCorrection>> {
        let key = (self.author.id(), self.question.row.id);
        let corrections = ctx.loaders()?.question_corrections.load_one(key).await?;
        Ok(corrections.unwrap_or_default().into_iter().map(QuestionCorrection::from).collect())
    }

    /// The number of fixed tests that ask this question. A test is fixed once somebody has started it.
    async fn fixed_tests(&self) -> usize {
        self.question.tests
    }

    /// The number of fixed tests whose new sittings use another key than `current`. Use `correctQuestionKey` to
    /// correct them.
    async fn fixed_tests_with_other_key(&self) -> usize {
        self.question.tests_with_other_key
    }
}

/// One version of a question, with its key. A version never changes.
#[derive(SimpleObject)]
pub(in crate::graphql) struct QuestionVersion {
    /// Its number, from 1.
    number: i32,
    /// When this version was created.
    created_at: DateTime,
    /// Its topic.
    topic: String,
    /// How hard it is.
    difficulty: Difficulty,
    /// How it is answered.
    kind: QuestionKind,
    /// How to read its texts: plain, Markdown or HTML.
    text_format: TextFormat,
    /// The text of the question.
    stem: String,
    /// Its options, in the author's order; empty if the answer is a number.
    options: Vec<AuthoredOption>,
    /// The number that is correct; null if it has options.
    correct_value: Option<Decimal>,
    /// How far from `correctValue` an answer is still correct, the ends included; null if it has options.
    tolerance: Option<Decimal>,
    /// The explanation of the key; null if there is none.
    explanation: Option<String>,
}

/// An option of a question, with the key.
#[derive(SimpleObject)]
struct AuthoredOption {
    /// The id of this option in this version. Pass it to `correctQuestionKey`.
    id: ID,
    /// Its text.
    text: String,
    /// Whether it is correct.
    correct: bool,
}

/// A correction of a key.
#[derive(SimpleObject)]
pub(in crate::graphql) struct QuestionCorrection {
    /// The number of the version whose key was wrong.
    from_version: i32,
    /// The number of the version with the right key.
    to_version: i32,
    /// When it was corrected. Sittings that started later are marked by the right key.
    corrected_at: DateTime,
    /// The name of the person who corrected it; null if an operator did so on the command line.
    corrected_by: Option<String>,
    /// The reason for the correction.
    reason: String,
}

impl From<AuthoredVersion> for QuestionVersion {
    fn from(version: AuthoredVersion) -> Self {
        let AuthoredVersion { row, topic, answer } = version;
        let id = row.id;
        let option = |(position, option): (i32, &DraftOption)| AuthoredOption {
            id: option_id(id, position),
            text: option.text.clone(),
            correct: option.correct,
        };
        let (correct_value, tolerance) = match &answer {
            DraftAnswer::Numeric { value, tolerance } => (Some(Decimal(*value)), Some(Decimal(*tolerance))),
            DraftAnswer::Single(_) | DraftAnswer::Multiple(_) => (None, None),
        };
        Self {
            number: row.version,
            created_at: DateTime(row.created_at),
            topic,
            difficulty: row.difficulty.into(),
            kind: row.kind.into(),
            text_format: row.text_format.into(),
            stem: row.stem,
            options: (0..).zip(answer.options()).map(option).collect(),
            correct_value,
            tolerance,
            explanation: row.explanation,
        }
    }
}

impl From<AuthoredCorrection> for QuestionCorrection {
    fn from(correction: AuthoredCorrection) -> Self {
        Self {
            from_version: correction.previous_version,
            to_version: correction.version,
            corrected_at: DateTime(correction.row.corrected_at),
            corrected_by: correction.by,
            reason: correction.row.reason,
        }
    }
}

fn option_id(version: QuestionVersionId, position: i32) -> ID {
    ID(URL_SAFE_NO_PAD.encode(format!("AuthoredOption:{version}:{position}")))
}

/// Reads the version and the position that an id of an option names; None for other ids.
pub(in crate::graphql) fn authored_option(id: &ID) -> Option<(QuestionVersionId, i32)> {
    let bytes = URL_SAFE_NO_PAD.decode(id.as_bytes()).ok()?;
    let (version, position) =
        std::str::from_utf8(&bytes).ok()?.strip_prefix("AuthoredOption:")?.split_once(':')?;
    let named = (QuestionVersionId(version.parse().ok()?), position.parse().ok()?);
    // Rejects "01" and "+1": an option has only one id.
    (option_id(named.0, named.1) == *id).then_some(named)
}

impl ListNode for AuthoredQuestion {
    const NAME: &'static str = "AuthoredQuestion";
}

pub(in crate::graphql) type AuthoredQuestionConnection = Connection<AuthoredQuestion, AuthoredQuestionTotal>;

pub(in crate::graphql) struct AuthoredQuestionTotal {
    listing: Listing,
    author: Author,
}

#[Object]
impl AuthoredQuestionTotal {
    /// The total number of items; counted only when selected.
    async fn total_count(&self, ctx: &Context<'_>) -> ApiResult<u64> {
        Ok(question_bank::count(ctx.services()?.database.reader(), self.author, &self.listing).await?)
    }
}

const LIST: &str = "AuthoredQuestion";

/// Reads a page of the bank of a subject, for an author.
pub(in crate::graphql) async fn question_page(
    ctx: &Context<'_>,
    subject_id: &ID,
    args: PageArgs,
    search: Option<String>,
    archived: bool,
) -> ApiResult<AuthoredQuestionConnection> {
    let author = ctx.require_author().await?;
    let no_subject =
        || ApiError::bad_input("There is no such subject. Take `subjectId` from `course.subjects`.");
    let subject_id = SubjectId::parse(subject_id).ok_or_else(no_subject)?;
    let services = ctx.services()?;
    if services.catalog.snapshot().subject(subject_id).is_none() {
        return Err(no_subject());
    }
    let request = args.request(ctx, LIST)?;
    let listing = Listing { subject_id, archived, search };
    let page = if wants_rows(ctx) {
        question_bank::page(services.database.reader(), author, &listing, request).await?
    } else {
        Page { rows: Vec::new(), has_previous: false, has_next: false }
    };
    let key = |question: &Authored| question.row.id.0;
    let node = |question| AuthoredQuestion::new(question, author);
    connect(LIST, page, key, node, AuthoredQuestionTotal { listing, author })
}
