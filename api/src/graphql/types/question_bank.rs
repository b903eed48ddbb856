//! The question bank, as its authors see it.

use async_graphql::{Context, Enum, ID, SimpleObject};
use jishu_entity::{QuestionId, SubjectId};

use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::node::GlobalKey;
use crate::graphql::pagination::Cursor;
use jishu_service::question_bank::{self, Advice, ExportError, Format, LONGEST_EXPORT};

/// A format of files of questions.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "Format")]
pub(in crate::graphql) enum QuestionFormat {
    /// GIFT, Moodle's text format. Carries everything but slashes at the ends of a topic's name.
    Gift,
    /// Aiken: single choices only, without ids, topics, difficulties and explanations.
    Aiken,
    /// Moodle XML. Carries everything but slashes at the ends of a topic's name.
    MoodleXml,
    /// QTI 3.0 items of choices and numbers, one or several of them in an element `question-bank`. Carries
    /// everything but HTML that is not also XML.
    Qti,
}

/// Something in a file that is no question of a bank.
#[derive(SimpleObject)]
pub(in crate::graphql) struct QuestionRefusal {
    /// Where it begins, from 1.
    line: u32,
    /// What the file calls it; null where it does not.
    external_id: Option<String>,
    /// Why it was refused and what to do, for people.
    reason: String,
}

/// Something of a question that the other side has no place for. The question itself was carried, unless this says
/// otherwise.
#[derive(SimpleObject)]
pub(in crate::graphql) struct QuestionLoss {
    /// Where the question begins in the file that was read, from 1; null for one that was written.
    line: Option<u32>,
    /// What its authors call the question.
    external_id: String,
    /// What was left behind, for people.
    what: String,
}

/// A message about a question that was imported.
#[derive(SimpleObject)]
pub(in crate::graphql) struct QuestionNotice {
    /// The line of the file in which the question begins, from 1.
    line: u32,
    /// The external id of the question.
    external_id: String,
    /// The message, for people. It ends with what to do.
    text: String,
}

impl From<question_bank::Notice> for QuestionNotice {
    fn from(notice: question_bank::Notice) -> Self {
        let question_bank::Notice { line, external_id, text, advice } = notice;
        Self { line, external_id, text: format!("{text} {}", advised(advice)) }
    }
}

impl From<question_bank::Refusal> for QuestionRefusal {
    fn from(refusal: question_bank::Refusal) -> Self {
        let question_bank::Refusal { line, external_id, mut reason, advice } = refusal;
        if let Some(advice) = advice {
            reason = format!("{reason} {}", advised(advice));
        }
        Self { line, external_id, reason }
    }
}

/// Returns the advice in terms of the API.
fn advised(advice: Advice) -> &'static str {
    match advice {
        Advice::CorrectKey => {
            "To use the file's key in new sittings, call `correctQuestionKey`, or import again with `correctKeys`."
        }
        Advice::CorrectKeyOrGiveId => {
            "If both are the same question, correct the key with `correctQuestionKey`, or import with `correctKeys`. If \
             not, give this one an id."
        }
        Advice::CorrectKeyBack => "If the key of the file is right, import it with `correctKeys`.",
        Advice::Restore => "To restore it, call `setQuestionArchived`.",
    }
}

impl From<question_bank::Loss> for QuestionLoss {
    fn from(loss: question_bank::Loss) -> Self {
        let question_bank::Loss { line, external_id, what } = loss;
        Self { line: (line > 0).then_some(line), external_id, what }
    }
}

/// A page of a question bank, as a text.
#[derive(SimpleObject)]
pub(in crate::graphql) struct QuestionExport {
    /// A whole document of the format.
    text: String,
    /// How many questions the page has; of these, some may be left out of the text, as `losses` says.
    question_count: usize,
    /// What the format has no place for.
    losses: Vec<QuestionLoss>,
    /// The place of the last question, for `after`; null where the page is empty.
    end_cursor: Option<String>,
    /// Whether there are more questions after it.
    has_next_page: bool,
}

const LIST: &str = "export";

impl QuestionExport {
    /// Checks the arguments and reads a page.
    pub(in crate::graphql) async fn load(
        ctx: &Context<'_>,
        subject_id: &ID,
        format: QuestionFormat,
        first: Option<i32>,
        after: Option<String>,
    ) -> ApiResult<Self> {
        let author = ctx.require_author().await?;
        let first = match first.map(u32::try_from) {
            None => LONGEST_EXPORT,
            Some(Ok(first)) if (1..=LONGEST_EXPORT).contains(&first) => first,
            _ => {
                let message =
                    format!("`first` must be 1 to {LONGEST_EXPORT}. Export larger banks page by page.");
                return Err(ApiError::bad_input(message));
            }
        };
        let after = after.map(|after| Cursor::from(after).key::<i64>("after", LIST)).transpose()?;
        let no_subject = || ApiError::bad_input("`subjectId` names no subject.");
        let subject_id = SubjectId::parse(subject_id).ok_or_else(no_subject)?;
        let reader = ctx.services()?.database.reader();
        let export =
            question_bank::export(reader, author, subject_id, format.into(), after.map(QuestionId), first)
                .await;
        let export = export.map_err(|error| match error {
            ExportError::SubjectNotFound => no_subject(),
            ExportError::Database(error) => error.into(),
        })?;
        let end_cursor = export.last.map(|QuestionId(id)| Cursor::of(LIST, &id)).transpose()?;
        Ok(Self {
            text: export.text,
            question_count: export.questions,
            losses: export.losses.into_iter().map(QuestionLoss::from).collect(),
            end_cursor: end_cursor.map(String::from),
            has_next_page: export.has_next,
        })
    }
}
