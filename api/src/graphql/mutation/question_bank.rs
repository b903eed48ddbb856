//! The mutation `importQuestions`.

use async_graphql::{Context, ID, InputObject, Object};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use graphql_engine::guarded_fields;
use jishu_entity::SubjectId;

use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, refused_or};
use crate::graphql::node::GlobalKey;
use crate::graphql::permission::{Permission, requires_role};
use crate::graphql::types::{
    Difficulty, ErrorCode, QuestionFormat, QuestionLoss, QuestionNotice, QuestionRefusal, UserError,
    user_errors,
};
use jishu_service::account::Author;
use jishu_service::question_bank::{self, Defaults, ImportFile, ImportRefusal, ImportReport, ImportRequest};

/// The maximum number of items in each list of the response: the refused questions, the losses of questions, and the
/// notices.
const MAX_LISTED: usize = 1_000;

/// A file of questions for the question bank of a subject.
#[derive(InputObject)]
pub(super) struct ImportQuestionsInput {
    /// The id of the subject.
    subject_id: ID,
    /// The text of the file. Give either `text` or `package`.
    text: Option<String>,
    /// The bytes of a ZIP package with items of QTI and their pictures, in base64. Give either `text` or `package`.
    package: Option<String>,
    /// The format of `text`. If not given, the server detects the format. For a package, the format is ignored.
    format: Option<QuestionFormat>,
    /// The topic of questions for which the file names no topic: 1 to 200 characters.
    #[graphql(default = "General")]
    topic: String,
    /// The difficulty of questions for which the file gives no difficulty.
    #[graphql(default_with = "Difficulty::Medium")]
    difficulty: Difficulty,
    /// Whether a question without an id gets its name as the id, if the name has at most 128 characters. The name is
    /// the title of the question in GIFT or QTI, and its name in Moodle XML. Choose true only if no two questions of
    /// the subject have the same name. In one file, the later question would be refused. In a later import, the
    /// question would replace the earlier question. If false, the id is derived from the content of the question.
    #[graphql(default)]
    names_are_ids: bool,
    /// The reason for correcting keys: 1 to 1000 characters. If given, new sittings of fixed tests use the keys of the
    /// file, as after `correctQuestionKey`. If not given, fixed tests keep their keys.
    correct_keys: Option<String>,
    /// Whether to report the changes without storing anything.
    #[graphql(default)]
    dry_run: bool,
}

/// The response to `importQuestions`: a report, or the reason to refuse the whole file.
pub(super) struct ImportQuestionsPayload {
    outcome: Result<ImportReport, UserError>,
}

/// The response to `importQuestions`. With `dryRun`, it shows the result that the import would have.
#[Object]
impl ImportQuestionsPayload {
    /// The number of new questions.
    async fn created_count(&self) -> u32 {
        self.count(|report| report.created)
    }

    /// The number of questions that got a new version.
    async fn updated_count(&self) -> u32 {
        self.count(|report| report.updated)
    }

    /// The number of questions of the file that the bank already had with the same content.
    async fn unchanged_count(&self) -> u32 {
        self.count(|report| report.unchanged)
    }

    /// The refused questions and the reasons, in the order of the file: at most 1000. All other questions of the file
    /// were imported, or would be with `dryRun`.
    async fn refused(&self) -> Vec<QuestionRefusal> {
        self.list(|report| &report.refused)
    }

    /// The number of all refused questions, also beyond the first 1000.
    async fn refused_count(&self) -> usize {
        self.count(|report| report.refused_count)
    }

    /// The parts of imported questions that were left out or changed, and warnings, in the order of the file: at most
    /// 1000.
    async fn losses(&self) -> Vec<QuestionLoss> {
        self.list(|report| &report.losses)
    }

    /// The number of all losses, also beyond the first 1000.
    async fn loss_count(&self) -> usize {
        self.count(|report| report.losses.len())
    }

    /// Notices about imported questions, in the order of the file: at most 1000. A notice reports that fixed tests keep
    /// another key than the file has, or that a question is archived.
    async fn notices(&self) -> Vec<QuestionNotice> {
        self.list(|report| &report.notices)
    }

    /// The number of all notices, also beyond the first 1000.
    async fn notice_count(&self) -> usize {
        self.count(|report| report.notices.len())
    }

    /// The number of questions whose key, or whose explanation in fixed tests, was corrected because `correctKeys` was
    /// given.
    async fn corrected_count(&self) -> u32 {
        self.count(|report| report.corrected)
    }

    /// The reasons why nothing was imported. Empty on success.
    async fn user_errors(&self) -> Vec<&UserError> {
        user_errors(&self.outcome)
    }
}

impl ImportQuestionsPayload {
    fn count<N: Default>(&self, count: impl FnOnce(&ImportReport) -> N) -> N {
        self.outcome.as_ref().map(count).unwrap_or_default()
    }

    /// Returns the items of a list in the report, at most `MAX_LISTED`. Returns no items if the file was refused.
    fn list<Item: Clone, Shown: From<Item>>(
        &self,
        list: impl FnOnce(&ImportReport) -> &Vec<Item>,
    ) -> Vec<Shown> {
        let items = self.outcome.as_ref().map_or(&[][..], |report| list(report));
        items.iter().take(MAX_LISTED).cloned().map(Shown::from).collect()
    }
}

#[derive(Default)]
pub(super) struct QuestionBankMutation;

#[guarded_fields(requires_role)]
#[Object]
impl QuestionBankMutation {
    /// Imports a file of questions into the question bank of a subject. Only for AUTHOR and ADMIN. If the bank has a
    /// question with the same id and other content, the question gets a new version, and past results stay the same.
    /// Without `correctKeys`, some questions with another key than in the bank are refused: questions without an id,
    /// and questions whose key was corrected in the bank. An archived question stays archived. Importing the same file
    /// again changes nothing.
    async fn import_questions(
        &self,
        ctx: &Context<'_>,
        #[guard] author: Author,
        #[graphql(desc = "The file and its subject.")] input: ImportQuestionsInput,
    ) -> ApiResult<ImportQuestionsPayload> {
        let sent = if input.package.is_some() { "package" } else { "text" };
        let Some(subject_id) = SubjectId::parse(&input.subject_id) else {
            let error = import_error(&ImportRefusal::SubjectNotFound, sent);
            return Ok(ImportQuestionsPayload { outcome: Err(error) });
        };
        let file = match file(input.text, input.package) {
            Ok(file) => file,
            Err(error) => return Ok(ImportQuestionsPayload { outcome: Err(error) }),
        };
        let services = ctx.services()?;
        let request = ImportRequest {
            subject_id,
            format: input.format.map(Into::into),
            file,
            defaults: Defaults { topic: input.topic.trim().to_owned(), difficulty: input.difficulty.into() },
            names_are_ids: input.names_are_ids,
            correct_keys: input.correct_keys,
            dry_run: input.dry_run,
            actor: Some(author),
        };
        let imported = question_bank::import(&services.database, &*services.clock, request, &|_| {}).await;
        let outcome = refused_or(imported)?.map_err(|refusal| import_error(&refusal, sent));
        Ok(ImportQuestionsPayload { outcome })
    }
}

/// Makes the file of an import from the arguments. Fails with a user error unless exactly one of `text` and `package`
/// is given. Also fails if `package` is not a ZIP file in base64.
fn file(text: Option<String>, package: Option<String>) -> Result<ImportFile, UserError> {
    let unreadable =
        |message: &str, at| UserError::field(ErrorCode::QuestionsUnreadable, message, &["input", at]);
    match (text, package) {
        (Some(text), None) => Ok(ImportFile::Text(text)),
        (None, Some(package)) => {
            let bytes = STANDARD.decode(package.trim()).map_err(|_| {
                unreadable(
                    "The package is not base64. Encode the bytes of the ZIP file in base64.",
                    "package",
                )
            })?;
            if !question_bank::is_package(&bytes) {
                let message = "This is not a ZIP package. Give a file of another format in `text`.";
                return Err(unreadable(message, "package"));
            }
            Ok(ImportFile::Package(bytes))
        }
        (None, None) => Err(unreadable("Give `text` or `package`.", "text")),
        (Some(_), Some(_)) => Err(unreadable("Give either `text` or `package`, not both.", "package")),
    }
}

/// Makes the user error for an import that was refused. `sent` is the argument with which the client sent the file.
fn import_error(refusal: &ImportRefusal, sent: &str) -> UserError {
    let (code, path) = match refusal {
        ImportRefusal::SubjectNotFound => (ErrorCode::SubjectNotFound, "subjectId"),
        ImportRefusal::UnknownFormat(_) => (ErrorCode::QuestionFormatUnknown, "format"),
        ImportRefusal::Unreadable { .. } | ImportRefusal::Empty | ImportRefusal::TooManyRefused { .. } => {
            (ErrorCode::QuestionsUnreadable, sent)
        }
        ImportRefusal::DefaultTopic => (ErrorCode::TopicInvalid, "topic"),
        ImportRefusal::Reason => (ErrorCode::ReasonInvalid, "correctKeys"),
    };
    UserError::field(code, refusal.to_string(), &["input", path])
}
