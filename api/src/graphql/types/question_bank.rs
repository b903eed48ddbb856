//! The question bank: export, and reports about files of questions.

use async_graphql::{Context, Enum, ID, SimpleObject};
use jishu_entity::{QuestionId, SubjectId};

use crate::graphql::context::ContextExt;
use crate::graphql::cursor::{Cursor, CursorHead};
use crate::graphql::error::{ApiError, ApiResult, refused_or};
use crate::graphql::node::GlobalKey;
use jishu_service::account::Author;
use jishu_service::question_bank::{self, Advice, ExportRefusal, Format, MAX_QUESTIONS_PER_EXPORT};

/// A file format for questions.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "Format")]
pub(in crate::graphql) enum QuestionFormat {
    /// GIFT, the text format of Moodle. An export keeps everything except slashes at the start of the name of a topic,
    /// and short answers with `->` in a correct text.
    Gift,
    /// Aiken, a text format for single-choice questions. An export has no ids, topics, difficulties or explanations,
    /// and leaves out questions with pictures.
    Aiken,
    /// Moodle XML. An export keeps everything except slashes at the start of the name of a topic.
    MoodleXml,
    /// QTI: choices, short answers and numeric items of the versions 1.2 and 2.0 to 3.0. A file has one item, or a
    /// `question-bank` element with several items, or, in QTI 1.2, a `questestinterop` element. An export is QTI 3.0.
    /// It keeps everything except HTML that QTI does not allow, and short answers with wildcards.
    Qti,
}

/// A part of a file that was not imported. It is not a question that the bank can store, or it conflicts with a
/// question of the bank or of the file.
#[derive(SimpleObject)]
pub(in crate::graphql) struct QuestionRefusal {
    /// The line of the file at which the refused part begins, counted from 1. In a package, the number of the question.
    line: u32,
    /// The id of the question in the file. If the file gives no id, the name of the question, or null.
    external_id: Option<String>,
    /// An explanation for people: why the part was refused, and what to do.
    reason: String,
}

/// A part of a question that an import or an export left out or changed, or a warning about the question. In an export,
/// the part can be the whole question.
#[derive(SimpleObject)]
pub(in crate::graphql) struct QuestionLoss {
    /// The line at which the question begins in the imported file, counted from 1. In a package, the number of the
    /// question. Null in an export.
    line: Option<u32>,
    /// The external id of the question.
    external_id: String,
    /// An explanation for people: which part was left out or changed, or what may be wrong with the question.
    what: String,
}

/// A notice about an imported question, for the author of the question.
#[derive(SimpleObject)]
pub(in crate::graphql) struct QuestionNotice {
    /// The line at which the question begins in the file, counted from 1. In a package, the number of the question.
    line: u32,
    /// The external id of the question.
    external_id: String,
    /// An explanation for people: what was noticed, and what to do.
    text: String,
}

impl From<question_bank::Notice> for QuestionNotice {
    fn from(notice: question_bank::Notice) -> Self {
        let question_bank::Notice { line, external_id, text, advice } = notice;
        Self { line, external_id, text: format!("{text} {}", advice_text(advice)) }
    }
}

impl From<question_bank::RejectedQuestion> for QuestionRefusal {
    fn from(refusal: question_bank::RejectedQuestion) -> Self {
        let question_bank::RejectedQuestion { line, external_id, mut reason, advice } = refusal;
        if let Some(advice) = advice {
            reason = format!("{reason} {}", advice_text(advice));
        }
        Self { line, external_id, reason }
    }
}

/// Returns the advice as a sentence that names mutations and arguments of the API.
fn advice_text(advice: Advice) -> &'static str {
    match advice {
        Advice::CorrectKey => {
            "To use the file's key in new sittings, call `correctQuestionKey`, or import again with `correctKeys`."
        }
        Advice::CorrectKeyOrGiveId => {
            "If both are the same question, correct the key with `correctQuestionKey`, or import with `correctKeys`. If \
             not, give the question in the file an id."
        }
        Advice::CorrectKeyBack => "If the key of the file is right, import it with `correctKeys`.",
        Advice::Restore => "To restore it, call `setQuestionArchived`.",
    }
}

impl From<question_bank::Loss> for QuestionLoss {
    fn from(loss: question_bank::Loss) -> Self {
        let question_bank::Loss { line, external_id, text } = loss;
        Self { line: (line > 0).then_some(line), external_id, what: text }
    }
}

/// A page of the export of a question bank, as a document.
#[derive(SimpleObject)]
pub(in crate::graphql) struct QuestionExport {
    /// The questions of the page as a complete document in the chosen format.
    text: String,
    /// The number of questions on the page, including those that `losses` reports as left out of the document.
    question_count: usize,
    /// The parts of the questions on the page that the document does not have, or has in another form.
    losses: Vec<QuestionLoss>,
    /// The position of the last question, for `after`. Null if the page is empty.
    end_cursor: Option<Cursor>,
    /// Whether more questions follow after this page.
    has_next_page: bool,
}

const LIST_NAME: &str = "export";

impl QuestionExport {
    /// Checks the arguments of `exportQuestions`, and reads a page of the export. Fails with `BAD_USER_INPUT` if an
    /// argument is not valid.
    pub(in crate::graphql) async fn load(
        ctx: &Context<'_>,
        author: Author,
        subject_id: &ID,
        format: QuestionFormat,
        first: Option<i32>,
        after: Option<String>,
    ) -> ApiResult<Self> {
        let first = match first.map(u32::try_from) {
            None => MAX_QUESTIONS_PER_EXPORT,
            Some(Ok(first)) if (1..=MAX_QUESTIONS_PER_EXPORT).contains(&first) => first,
            _ => {
                let message = format!(
                    "`first` must be 1 to {MAX_QUESTIONS_PER_EXPORT}. Export larger banks page by page."
                );
                return Err(ApiError::bad_input(message));
            }
        };
        let after = after.map(|after| Cursor::parse::<i64>(&after, "after", LIST_NAME)).transpose()?;
        let no_subject =
            || ApiError::bad_input("There is no such subject. Take `subjectId` from `catalogueSubjects`.");
        let subject_id = SubjectId::parse(subject_id).ok_or_else(no_subject)?;
        let reader = ctx.services()?.database.reader();
        let export =
            question_bank::export(reader, author, subject_id, format.into(), after.map(QuestionId), first)
                .await;
        let export = refused_or(export)?.map_err(|ExportRefusal::SubjectNotFound| no_subject())?;
        let end_cursor = export.last.map(|QuestionId(id)| CursorHead::of(LIST_NAME).cursor(&id));
        Ok(Self {
            text: export.text,
            question_count: export.questions,
            losses: export.losses.into_iter().map(QuestionLoss::from).collect(),
            end_cursor,
            has_next_page: export.has_next,
        })
    }
}
