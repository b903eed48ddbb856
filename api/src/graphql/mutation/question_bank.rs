//! Changing the question bank.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use jishu_entity::SubjectId;

use crate::graphql::context::ContextExt;
use crate::graphql::error::ApiResult;
use crate::graphql::node::GlobalKey;
use crate::graphql::types::{
    Difficulty, ErrorCode, QuestionFormat, QuestionLoss, QuestionNotice, QuestionRefusal, UserError,
};
use jishu_service::question_bank::{self, Defaults, ImportError, ImportReport, ImportRequest};

/// Maximum number of losses, and of notices, in a response.
const MOST_LOSSES: usize = 1_000;

/// A file of questions for the bank of a subject.
#[derive(InputObject)]
pub(super) struct ImportQuestionsInput {
    /// The subject.
    subject_id: ID,
    /// The file's text.
    text: String,
    /// What it is written in; told from the text if not given.
    format: Option<QuestionFormat>,
    /// The topic of questions that name none: at most 200 characters.
    #[graphql(default = "General")]
    topic: String,
    /// The difficulty of questions that name none.
    #[graphql(default_with = "Difficulty::Medium")]
    difficulty: Difficulty,
    /// Whether the name of a question that has no id is its id: a title in GIFT or QTI, a name in Moodle XML. Only for
    /// files in which each question has a name of its own, which no question of another file has; else one replaces the
    /// other. If not, such a question gets an id made of what it asks.
    #[graphql(default)]
    names_are_ids: bool,
    /// The reason for correcting keys: 1 to 1000 characters. If given, new sittings of fixed tests take the key of
    /// the file, as with `correctQuestionKey`. If not, fixed tests keep their keys.
    correct_keys: Option<String>,
    /// Only report what would be done, and write nothing.
    #[graphql(default)]
    dry_run: bool,
}

/// The response to `importQuestions`.
#[derive(Default, SimpleObject)]
pub(super) struct ImportQuestionsPayload {
    /// How many questions were new.
    created_count: u32,
    /// How many questions got a new version.
    updated_count: u32,
    /// How many were there as they are.
    unchanged_count: u32,
    /// What was refused and why, in the file's order: the first 1000. The other questions were imported.
    refused: Vec<QuestionRefusal>,
    /// How many were refused.
    refused_count: usize,
    /// What was left behind of questions that were imported, in the file's order: the first 1000.
    losses: Vec<QuestionLoss>,
    /// How many losses there are.
    loss_count: usize,
    /// Messages about imported questions, in the file's order: at most 1000. They report fixed tests that keep
    /// another key, and archived questions.
    notices: Vec<QuestionNotice>,
    /// How many notices there are.
    notice_count: usize,
    /// The number of questions whose key was corrected, because `correctKeys` was given.
    corrected_count: u32,
    /// Why nothing was imported.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub(super) struct QuestionBankMutation;

#[Object]
impl QuestionBankMutation {
    /// Imports a file of questions into the bank of a subject. If the content under an id has changed, the
    /// question gets a new version, and past results stay as they are. A question without an id is refused if the
    /// bank has the same question with another key. An archived question stays archived. Importing the same file
    /// again changes nothing. For authors and admins.
    async fn import_questions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The file, and where it belongs.")] input: ImportQuestionsInput,
    ) -> ApiResult<ImportQuestionsPayload> {
        let author = ctx.require_author().await?;
        let Some(subject_id) = SubjectId::parse(&input.subject_id) else {
            return refused(ImportError::SubjectNotFound);
        };
        let services = ctx.services()?;
        let request = ImportRequest {
            subject_id,
            format: input.format.map(Into::into),
            text: input.text,
            defaults: Defaults { topic: input.topic.trim().to_owned(), difficulty: input.difficulty.into() },
            names_are_ids: input.names_are_ids,
            correct_keys: input.correct_keys,
            dry_run: input.dry_run,
            actor: Some(author),
        };
        match question_bank::import(&services.database, &*services.clock, request, &|_| {}).await {
            Ok(report) => Ok(ImportQuestionsPayload::from(report)),
            Err(error) => refused(error),
        }
    }
}

impl From<ImportReport> for ImportQuestionsPayload {
    fn from(report: ImportReport) -> Self {
        Self {
            created_count: report.created,
            updated_count: report.updated,
            unchanged_count: report.unchanged,
            refused_count: report.refused_count,
            refused: report.refused.into_iter().map(QuestionRefusal::from).collect(),
            loss_count: report.losses.len(),
            losses: report.losses.into_iter().take(MOST_LOSSES).map(QuestionLoss::from).collect(),
            notice_count: report.notices.len(),
            notices: report.notices.into_iter().take(MOST_LOSSES).map(QuestionNotice::from).collect(),
            corrected_count: report.corrected,
            user_errors: Vec::new(),
        }
    }
}

fn refused(error: ImportError) -> ApiResult<ImportQuestionsPayload> {
    let message = error.to_string();
    let (code, path) = match error {
        ImportError::SubjectNotFound => (ErrorCode::SubjectNotFound, "subjectId"),
        ImportError::UnknownFormat => (ErrorCode::QuestionFormatUnknown, "format"),
        ImportError::Unreadable { .. } | ImportError::Empty | ImportError::TooManyRefused(_) => {
            (ErrorCode::QuestionsUnreadable, "text")
        }
        ImportError::DefaultTopic(_) => (ErrorCode::TopicInvalid, "topic"),
        ImportError::Reason => (ErrorCode::ReasonInvalid, "correctKeys"),
        ImportError::Database(error) => return Err(error.into()),
    };
    let user_errors = vec![UserError::field(code, message, &["input", path])];
    Ok(ImportQuestionsPayload { user_errors, ..ImportQuestionsPayload::default() })
}
