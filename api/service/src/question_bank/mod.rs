//! The question bank of a subject. Files of questions are imported into it and exported from it.
//!
//! Each question has an external id. The authors gave the id, or the server derived it from the content of the
//! question. Importing a question again without changes stores nothing. Importing it with the same external id and
//! other content makes a new version of the question. If the key differs, the import may need a reason for correcting
//! keys. Reports list the parts of each question that a file format or the bank cannot hold.

mod archive;
mod authored;
mod check;
mod columns;
mod comparable_key;
mod correct;
mod export;
mod fixed_tests;
mod import;
mod import_file;
mod insert;
mod pictures;
mod plan;
mod prepare;
mod read;
mod record;
mod report;
mod store;

pub use archive::{ArchiveRefusal, QUESTION_ARCHIVED, QUESTION_RESTORED, set_archived};
pub use authored::{
    AuthoredCorrection, AuthoredVersion, BankQuestion, QuestionFilter, by_ids, corrections, count, find,
    page, versions,
};
pub use check::{Defaults, InvalidQuestion};
pub(crate) use check::{check, clean};
pub(crate) use columns::difficulty as stored_difficulty;
pub use correct::{Corrected, Correction, CorrectionRefusal, NewKey, correct};
pub use export::{Export, ExportRefusal, MAX_QUESTIONS_PER_EXPORT, export, export_all};
pub use import::{ImportProgress, ImportRequest, import};
pub use import_file::ImportFile;
pub use question_formats::{DraftAnswer, DraftOption, Format, is_package};
pub use record::QUESTION_KEY_CORRECTED;
pub use report::{
    Advice, ImportRefusal, ImportReport, Loss, MAX_REJECTIONS_REPORTED, Notice, RejectedQuestion,
};
pub use store::QUESTIONS_IMPORTED;

use crate::database::join_task;

/// Runs slow work on a thread for blocking work, so that the work does not block the thread that awaits it. Reading a
/// megabyte of questions takes about ten milliseconds, or up to a second if the text was written to be slow to read.
async fn run_aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, sea_orm::DbErr> {
    join_task(tokio::task::spawn_blocking(work)).await
}
