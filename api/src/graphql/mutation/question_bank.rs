//! The mutation `importQuestions`.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use jishu_entity::SubjectId;

use crate::graphql::context::ContextExt;
use crate::graphql::error::ApiResult;
use crate::graphql::node::GlobalKey;
use crate::graphql::types::{
    Difficulty, ErrorCode, QuestionFormat, QuestionLoss, QuestionNotice, QuestionRefusal, UserError,
};
use jishu_service::question_bank::{self, Defaults, ImportError, ImportReport, ImportRequest};

/// The maximum number of losses, and of notices, in a response.
const MOST_LOSSES: usize = 1_000;

/// A file of questions for the question bank of a subject.
#[derive(InputObject)]
pub(super) struct ImportQuestionsInput {
    /// The id of the subject.
    subject_id: ID,
    /// The text of the file.
    text: String,
    /// The format of the file. If not given, it is detected from the text.
    format: Option<QuestionFormat>,
    /// The topic of questions for which the file names none: at most 200 characters.
    #[graphql(default = "General")]
    topic: String,
    /// The difficulty of questions for which the file gives none.
    #[graphql(default_with = "Difficulty::Medium")]
    difficulty: Difficulty,
    /// Whether to use the name of a question as its id if it has no id. The name is a title in GIFT or QTI, and a
    /// name in Moodle XML. Use this only if no two questions of the subject share a name; otherwise one replaces
    /// the other. If false, such a question gets an id derived from its content.
    #[graphql(default)]
    names_are_ids: bool,
    /// The reason for correcting keys: 1 to 1000 characters. If given, new sittings of fixed tests use the keys of
    /// the file, as with `correctQuestionKey`. If not given, fixed tests keep their keys.
    correct_keys: Option<String>,
    /// Whether to only report the changes and write nothing.
    #[graphql(default)]
    dry_run: bool,
}

/// The response to `importQuestions`.
#[derive(Default, SimpleObject)]
pub(super) struct ImportQuestionsPayload {
    /// The number of new questions.
    created_count: u32,
    /// The number of questions that got a new version.
    updated_count: u32,
    /// The number of questions that were already in the bank and did not change.
    unchanged_count: u32,
    /// The refused questions and the reasons, in the order of the file: at most 1000. The other questions were
    /// imported.
    refused: Vec<QuestionRefusal>,
    /// The number of refused questions.
    refused_count: usize,
    /// The parts of imported questions that were left out, in the order of the file: at most 1000.
    losses: Vec<QuestionLoss>,
    /// The number of losses.
    loss_count: usize,
    /// Notices about imported questions, in the order of the file: at most 1000. They report fixed tests that keep
    /// a different key, and archived questions.
    notices: Vec<QuestionNotice>,
    /// The number of notices.
    notice_count: usize,
    /// The number of questions whose key was corrected because `correctKeys` was given.
    corrected_count: u32,
    /// The reasons why nothing was imported. Empty on success.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub(super) struct QuestionBankMutation;

#[Object]
impl QuestionBankMutation {
    /// Imports a file of questions into the question bank of a subject. If the content under an id has changed, the
    /// question gets a new version, and past results stay the same. A question without an id is refused if the bank
    /// has the same question with a different key. An archived question stays archived. Importing the same file
    /// again changes nothing. Only for AUTHOR and ADMIN.
    async fn import_questions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The file and its subject.")] input: ImportQuestionsInput,
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
