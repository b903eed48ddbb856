//! Questions of a question bank, as authors see them.

use async_graphql::{Context, ID, Object, SimpleObject};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use graphql_engine::plain_fields;
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
use jishu_service::picture::PictureAddresses;
use jishu_service::question_bank::{
    self, AuthoredCorrection, AuthoredVersion, BankQuestion, DraftAnswer, DraftOption, QuestionFilter,
};

#[derive(Clone)]
pub(in crate::graphql) struct AuthoredQuestion {
    question: BankQuestion,
    /// The author who reads the question.
    author: Author,
}

impl AuthoredQuestion {
    pub(in crate::graphql) fn new(question: BankQuestion, author: Author) -> Self {
        Self { question, author }
    }
}

/// A question in the question bank, with its key. Only AUTHOR and ADMIN can read it.
#[plain_fields]
#[Object]
impl AuthoredQuestion {
    /// The global id of the question. It is opaque: do not parse it.
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.question.row.id.global()
    }

    /// The id that the authors gave the question. If they gave none, an id that the server derived from the content of
    /// the question.
    async fn external_id(&self) -> &str {
        &self.question.row.external_id
    }

    /// The subject to whose question bank the question belongs.
    async fn subject(&self, ctx: &Context<'_>) -> ApiResult<Subject> {
        Subject::load(ctx, self.question.row.subject_id).await
    }

    /// The time at which the question was archived. New tests do not ask archived questions. Null if the question is
    /// not archived.
    async fn archived_at(&self) -> Option<DateTime> {
        self.question.row.archived_at.map(DateTime)
    }

    /// The current version of the question. New tests use it.
    async fn current(&self, ctx: &Context<'_>) -> ApiResult<QuestionVersion> {
        Ok(QuestionVersion::new(self.question.current.clone(), &ctx.services()?.pictures))
    }

    /// The versions of the question, newest first: at most the latest 20.
    async fn versions(&self, ctx: &Context<'_>) -> ApiResult<Vec<QuestionVersion>> {
        let key = (self.author, self.question.row.id);
        let versions = ctx.loaders()?.question_versions.load_one(key).await?;
        let pictures = &ctx.services()?.pictures;
        let shown = |version| QuestionVersion::new(version, pictures);
        Ok(versions.unwrap_or_default().into_iter().map(shown).collect())
    }

    /// The corrections of the key of the question, newest first: at most the latest 20.
    async fn corrections(&self, ctx: &Context<'_>) -> ApiResult<Vec<QuestionCorrection>> {
        let key = (self.author, self.question.row.id);
        let corrections = ctx.loaders()?.question_corrections.load_one(key).await?;
        Ok(corrections.unwrap_or_default().into_iter().map(QuestionCorrection::from).collect())
    }

    /// The number of fixed tests that ask this question. A test becomes fixed when a learner first starts it.
    async fn fixed_tests(&self) -> usize {
        self.question.tests
    }

    /// The number of fixed tests whose new sittings use another key of this question than `current` has. Use
    /// `correctQuestionKey` to correct the key in these tests.
    async fn fixed_tests_with_other_key(&self) -> usize {
        self.question.tests_with_other_key
    }
}

/// One version of a question, with its key. A version never changes.
#[derive(SimpleObject)]
pub(in crate::graphql) struct QuestionVersion {
    /// The number of the version, counted from 1.
    number: i32,
    /// The time at which this version was created.
    created_at: DateTime,
    /// The name of the topic of the question.
    topic: String,
    /// The difficulty of the question.
    difficulty: Difficulty,
    /// The kind of answer that the question takes.
    kind: QuestionKind,
    /// The format of the texts of the question: plain text, Markdown or HTML.
    text_format: TextFormat,
    /// The text of the question.
    stem: String,
    /// The options, in the author's order. Empty for a question without options.
    options: Vec<AuthoredOption>,
    /// Whether sittings show all options in the author's order. If false, sittings shuffle the options whose
    /// `keepsPosition` is false. False for a question without options.
    keeps_option_order: bool,
    /// The correct number. Null unless the question is numeric.
    correct_value: Option<Decimal>,
    /// The largest difference from `correctValue` at which an answer is still correct. Null unless the question is
    /// numeric.
    tolerance: Option<Decimal>,
    /// The texts that are correct, each of which gets full marks. `*` stands for any number of characters, and `\*` for
    /// an asterisk. Null unless the question is a short answer.
    correct_texts: Option<Vec<String>>,
    /// Whether an answer must have the same capital and small letters as a correct text. Null unless the question is a
    /// short answer.
    case_sensitive: Option<bool>,
    /// The explanation of the key. Null if the author wrote no explanation.
    explanation: Option<String>,
}

/// An option of a question in the question bank, with the key.
#[derive(SimpleObject)]
struct AuthoredOption {
    /// The id of this option in this version, for `correctQuestionKey`.
    id: ID,
    /// The text of the option.
    text: String,
    /// Whether the option is correct.
    correct: bool,
    /// Whether every sitting shows the option at its position in the author's order.
    keeps_position: bool,
}

/// A correction of the key of a question.
#[derive(SimpleObject)]
pub(in crate::graphql) struct QuestionCorrection {
    /// The number of the version whose key or explanation was corrected.
    from_version: i32,
    /// The number of the version with the right key and explanation.
    to_version: i32,
    /// The time of the correction. Sittings that start later are marked with the right key.
    corrected_at: DateTime,
    /// The name of the person who made the correction. Null if an operator made it on the command line.
    corrected_by: Option<String>,
    /// The reason for the correction.
    reason: String,
}

impl QuestionVersion {
    fn new(version: AuthoredVersion, pictures: &PictureAddresses) -> Self {
        let AuthoredVersion { row, topic, answer, option_order } = version;
        let id = row.id;
        let option = |((position, index), option): ((i32, usize), &DraftOption)| AuthoredOption {
            id: option_id(id, position),
            text: pictures.show(&option.text).into_owned(),
            correct: option.correct,
            keeps_position: option_order.keeps(index),
        };
        let options = (0..).zip(0..).zip(answer.options()).map(option).collect();
        let (number, texts) = match answer {
            DraftAnswer::Numeric { value, tolerance } => (Some((Decimal(value), Decimal(tolerance))), None),
            DraftAnswer::ShortAnswer { texts, is_case_sensitive } => (None, Some((texts, is_case_sensitive))),
            DraftAnswer::Single(_) | DraftAnswer::Multiple(_) => (None, None),
        };
        let (correct_value, tolerance) = number.unzip();
        let (correct_texts, case_sensitive) = texts.unzip();
        Self {
            number: row.version,
            created_at: DateTime(row.created_at),
            topic,
            difficulty: row.difficulty.into(),
            kind: row.kind.into(),
            text_format: row.text_format.into(),
            stem: pictures.show(&row.stem).into_owned(),
            options,
            keeps_option_order: !option_order.shuffled,
            correct_value,
            tolerance,
            correct_texts,
            case_sensitive,
            explanation: row.explanation.as_deref().map(|text| pictures.show(text).into_owned()),
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

/// Reads the version of the question and the position of the option from the id of an option. Returns `None` if the
/// text does not have the form of an id of an option.
pub(in crate::graphql) fn authored_option(id: &ID) -> Option<(QuestionVersionId, i32)> {
    let bytes = URL_SAFE_NO_PAD.decode(id.as_bytes()).ok()?;
    let (version, position) =
        std::str::from_utf8(&bytes).ok()?.strip_prefix("AuthoredOption:")?.split_once(':')?;
    let named = (QuestionVersionId(version.parse().ok()?), position.parse().ok()?);
    // Rejects "01" and "+1", so that an option has only one id.
    (option_id(named.0, named.1) == *id).then_some(named)
}

impl ListNode for AuthoredQuestion {
    const NAME: &'static str = "AuthoredQuestion";
}

pub(in crate::graphql) type AuthoredQuestionConnection = Connection<AuthoredQuestion, AuthoredQuestionTotal>;

pub(in crate::graphql) struct AuthoredQuestionTotal {
    listing: QuestionFilter,
    author: Author,
}

#[Object]
impl AuthoredQuestionTotal {
    /// The number of items on all pages of this list together. The server counts them only if this field is selected.
    async fn total_count(&self, ctx: &Context<'_>) -> ApiResult<u64> {
        Ok(question_bank::count(ctx.services()?.database.reader(), self.author, &self.listing).await?)
    }
}

const LIST_NAME: &str = "AuthoredQuestion";

/// Reads a page of the questions of a subject for an author: only the archived questions if `archived` is true,
/// otherwise only the questions that are not archived. Reads no rows if the client selects neither `edges` nor
/// `pageInfo`.
pub(in crate::graphql) async fn question_page(
    ctx: &Context<'_>,
    author: Author,
    subject_id: &ID,
    args: PageArgs,
    search: Option<String>,
    archived: bool,
) -> ApiResult<AuthoredQuestionConnection> {
    let no_subject =
        || ApiError::bad_input("There is no such subject. Take `subjectId` from `catalogueSubjects`.");
    let subject_id = SubjectId::parse(subject_id).ok_or_else(no_subject)?;
    let services = ctx.services()?;
    if services.catalog.snapshot().subject(subject_id).is_none() {
        return Err(no_subject());
    }
    let request = args.request(ctx, LIST_NAME)?;
    let listing = QuestionFilter { subject_id, archived, search };
    let page = if wants_rows(ctx) {
        question_bank::page(services.database.reader(), author, &listing, request).await?
    } else {
        Page { rows: Vec::new(), has_previous: false, has_next: false }
    };
    let key = |question: &BankQuestion| question.row.id.0;
    let node = |question| AuthoredQuestion::new(question, author);
    Ok(connect(LIST_NAME, page, key, node, AuthoredQuestionTotal { listing, author }))
}
