//! Exports questions from the bank in a format of other systems.

use jishu_entity::{QuestionId, QuestionVersionId, SubjectId, question};
use question_formats::{DraftQuestion, FileWriter, Format};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::read::{answers, current_versions, draft, subject_exists, topics};
use super::report::Loss;
use super::run_aside;
use crate::account::Author;
use crate::error::{Error, Fault, Refusal};
use crate::picture;

/// Maximum number of questions in one page of an export.
pub const MAX_QUESTIONS_PER_EXPORT: u32 = 500;
/// Maximum number of bytes of pictures in one page of an export, unless its first question alone has more.
const MAX_PICTURE_BYTES_PER_EXPORT: usize = 4 * 1024 * 1024;

/// Exported questions.
#[derive(Clone, Debug)]
pub struct Export {
    /// A complete document in the format.
    pub text: String,
    /// The number of questions that were read from the bank, including questions that the format cannot hold.
    pub questions: usize,
    /// The parts of questions that the document does not have, or has in another form.
    pub losses: Vec<Loss>,
    /// The last question that was read from the bank; None if no question was read.
    pub last: Option<QuestionId>,
    /// Whether the bank has more questions to export after `last`.
    pub has_next: bool,
}

/// A reason to refuse an export.
#[derive(Debug, thiserror::Error)]
pub enum ExportRefusal {
    /// There is no such subject.
    #[error("There is no such subject.")]
    SubjectNotFound,
}

impl Refusal for ExportRefusal {}

/// Exports a page of a subject's bank in the order of ids: the current versions of questions that are not archived. The
/// page begins after the question `after`, or at the first question if `after` is None. The page has at most `first`
/// questions and at most [`MAX_QUESTIONS_PER_EXPORT`] questions, and fewer if their pictures are large.
///
/// An export has keys, so this function takes an author.
///
/// # Errors
/// See [`ExportRefusal`].
pub async fn export(
    connection: &impl ConnectionTrait,
    _author: Author,
    subject_id: SubjectId,
    format: Format,
    after: Option<QuestionId>,
    first: u32,
) -> Result<Export, Error<ExportRefusal>> {
    if !subject_exists(connection, subject_id).await? {
        return Err(ExportRefusal::SubjectNotFound.into());
    }
    let ExportPage { drafts, last, has_next } =
        read_page(connection, subject_id, after, Ord::min(first, MAX_QUESTIONS_PER_EXPORT)).await?;
    let questions = drafts.len();
    let Writing { writer, losses } = run_aside(move || Writing::new(format).add(&drafts)).await?;
    let text = writer.finish();
    Ok(Export { text, losses, questions, last, has_next })
}

/// Exports the current versions of all questions of a subject that are not archived, as one document. Does not check
/// for an author, because only commands of the operator call this function.
///
/// # Errors
/// See [`ExportRefusal`].
pub async fn export_all(
    connection: &impl ConnectionTrait,
    subject_id: SubjectId,
    format: Format,
) -> Result<Export, Error<ExportRefusal>> {
    if !subject_exists(connection, subject_id).await? {
        return Err(ExportRefusal::SubjectNotFound.into());
    }
    let mut writing = Writing::new(format);
    let (mut questions, mut last, mut has_next) = (0, None, true);
    while has_next {
        let page = read_page(connection, subject_id, last, MAX_QUESTIONS_PER_EXPORT).await?;
        questions += page.drafts.len();
        last = page.last.or(last);
        has_next = page.has_next;
        writing = run_aside(move || writing.add(&page.drafts)).await?;
    }
    let Writing { writer, losses } = writing;
    Ok(Export { text: writer.finish(), losses, questions, last, has_next })
}

/// A file that is being written, and the losses of the questions that were written so far.
struct Writing {
    writer: FileWriter,
    losses: Vec<Loss>,
}

impl Writing {
    fn new(format: Format) -> Self {
        Self { writer: FileWriter::new(format), losses: Vec::new() }
    }

    /// Writes questions to the file, and adds their losses.
    fn add(mut self, drafts: &[DraftQuestion]) -> Self {
        for draft in drafts {
            let loss = |text| Loss { line: 0, external_id: draft.external_id.clone(), text };
            self.losses.extend(self.writer.write(draft).into_iter().map(loss));
        }
        self
    }
}

/// A page of questions from the bank.
struct ExportPage {
    drafts: Vec<DraftQuestion>,
    last: Option<QuestionId>,
    has_next: bool,
}

/// Reads the current versions of at most `first` questions that are not archived, after the question `after`. Reads
/// fewer if their pictures have more than [`MAX_PICTURE_BYTES_PER_EXPORT`] bytes, but at least one.
async fn read_page(
    connection: &impl ConnectionTrait,
    subject_id: SubjectId,
    after: Option<QuestionId>,
    first: u32,
) -> Result<ExportPage, Fault> {
    // Read one question more than `first` to find out whether more questions follow the page.
    let mut questions: Vec<(QuestionId, String, i32)> = question::Entity::find()
        .select_only()
        .column(question::Column::Id)
        .column(question::Column::ExternalId)
        .column(question::Column::CurrentVersion)
        .filter(question::Column::SubjectId.eq(subject_id))
        .filter(question::Column::ArchivedAt.is_null())
        .filter(question::Column::Id.gt(after.unwrap_or(QuestionId(0))))
        .order_by_asc(question::Column::Id)
        .limit(u64::from(first) + 1)
        .into_tuple()
        .all(connection)
        .await?;
    let mut has_next = questions.len() > first as usize;
    questions.truncate(first as usize);
    if questions.is_empty() {
        return Ok(ExportPage { drafts: Vec::new(), last: None, has_next });
    }
    let versions = current_versions(connection, questions.iter().map(|(id, ..)| *id)).await?;
    let mut ids: Vec<QuestionVersionId> =
        questions.iter().filter_map(|(id, ..)| Some(versions.get(id)?.id)).collect();
    let sizes = picture::sizes_of_versions(connection, &ids).await?;
    let mut size = 0;
    let fitting = ids.iter().take_while(|id| {
        size += sizes.get(id).copied().unwrap_or_default();
        size <= MAX_PICTURE_BYTES_PER_EXPORT
    });
    let fitting = fitting.count().max(1);
    has_next |= fitting < questions.len();
    ids.truncate(fitting);
    questions.truncate(fitting);
    let last = questions.last().map(|(id, ..)| *id);
    let mut pictures = picture::of_versions(connection, &ids).await?;
    let topics = topics(connection, subject_id, &versions).await?;
    let mut answers = answers(connection, versions.values()).await?;
    let mut drafts = Vec::with_capacity(questions.len());
    for (id, external_id, _) in questions {
        let Some(version) = versions.get(&id) else { continue };
        let missing = || Fault::missing(format_args!("the topic of question {id}"));
        let topic = topics.get(&version.topic_id).cloned().ok_or_else(missing)?;
        let missing = || Fault::missing(format_args!("the answer of question {id}"));
        let answer = answers.remove(&version.id).ok_or_else(missing)?;
        let pictures = pictures.remove(&version.id).unwrap_or_default();
        drafts.push(DraftQuestion { pictures, ..draft(external_id, topic, version, answer) });
    }
    Ok(ExportPage { drafts, last, has_next })
}
