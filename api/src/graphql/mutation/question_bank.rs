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

/// The maximum number of losses, and of notices, in a response.
const MAX_LISTED: usize = 1_000;

/// A file of questions for the question bank of a subject.
#[derive(InputObject)]
pub(super) struct ImportQuestionsInput {
    /// The id of the subject.
    subject_id: ID,
    /// The text of the file. Give it or `package`.
    text: Option<String>,
    /// The bytes of a ZIP package with items of QTI and their pictures, in base64. Give it or `text`.
    package: Option<String>,
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

/// The response to `importQuestions`: a report, or the reason to refuse the whole file.
pub(super) struct ImportQuestionsPayload {
    outcome: Result<ImportReport, UserError>,
}

/// The response to `importQuestions`.
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

    /// The number of questions that were already in the bank and did not change.
    async fn unchanged_count(&self) -> u32 {
        self.count(|report| report.unchanged)
    }

    /// The refused questions and the reasons, in the order of the file: at most 1000. The other questions were
    /// imported.
    async fn refused(&self) -> Vec<QuestionRefusal> {
        self.list(|report| &report.refused)
    }

    /// The number of refused questions.
    async fn refused_count(&self) -> usize {
        self.count(|report| report.refused_count)
    }

    /// The parts of imported questions that were left out, in the order of the file: at most 1000.
    async fn losses(&self) -> Vec<QuestionLoss> {
        self.list(|report| &report.losses)
    }

    /// The number of losses.
    async fn loss_count(&self) -> usize {
        self.count(|report| report.losses.len())
    }

    /// Notices about imported questions, in the order of the file: at most 1000. They report fixed tests that keep
    /// a different key, and archived questions.
    async fn notices(&self) -> Vec<QuestionNotice> {
        self.list(|report| &report.notices)
    }

    /// The number of notices.
    async fn notice_count(&self) -> usize {
        self.count(|report| report.notices.len())
    }

    /// The number of questions whose key was corrected because `correctKeys` was given.
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

    /// Returns the first items of a list of the report.
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
    /// Imports a file of questions into the question bank of a subject. If the content under an id has changed, the
    /// question gets a new version, and past results stay the same. A question without an id is refused if the bank
    /// has the same question with a different key. An archived question stays archived. Importing the same file
    /// again changes nothing. Only for AUTHOR and ADMIN.
    async fn import_questions(
        &self,
        ctx: &Context<'_>,
        #[guard] author: Author,
        #[graphql(desc = "The file and its subject.")] input: ImportQuestionsInput,
    ) -> ApiResult<ImportQuestionsPayload> {
        let Some(subject_id) = SubjectId::parse(&input.subject_id) else {
            return Ok(ImportQuestionsPayload { outcome: Err(ImportRefusal::SubjectNotFound.into()) });
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
        Ok(ImportQuestionsPayload { outcome: refused_or(imported)?.map_err(UserError::from) })
    }
}

/// Returns the file of an import.
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

impl From<ImportRefusal> for UserError {
    fn from(refusal: ImportRefusal) -> Self {
        let (code, path) = match &refusal {
            ImportRefusal::SubjectNotFound => (ErrorCode::SubjectNotFound, "subjectId"),
            ImportRefusal::UnknownFormat(_) => (ErrorCode::QuestionFormatUnknown, "format"),
            ImportRefusal::Unreadable { .. } | ImportRefusal::Empty | ImportRefusal::TooManyRefused(_) => {
                (ErrorCode::QuestionsUnreadable, "text")
            }
            ImportRefusal::DefaultTopic(_) => (ErrorCode::TopicInvalid, "topic"),
            ImportRefusal::Reason => (ErrorCode::ReasonInvalid, "correctKeys"),
        };
        Self::field(code, refusal.to_string(), &["input", path])
    }
}
