//! The question bank of a subject: how files of questions come in and go out.
//!
//! A question has an id that its authors gave it, or one made of what it says; importing it again changes nothing, or
//! makes a new version of it where it says something else. What a format cannot carry is told, question by question.

mod answer_key;
mod archive;
mod authored;
mod check;
mod correct;
mod export;
mod fixed;
mod import;
mod plan;
mod report;
mod store;
mod stored;

pub use archive::{ArchiveRefusal, QUESTION_ARCHIVED, QUESTION_RESTORED, set_archived};
pub use authored::{
    Authored, AuthoredCorrection, AuthoredVersion, Listing, by_ids, corrections, count, find, page, versions,
};
pub use check::{Defaults, InvalidQuestion};
pub use correct::{
    Corrected, Correction, CorrectionRefusal, MOST_REASON_CHARS, NewKey, QUESTION_KEY_CORRECTED, correct,
};
pub use export::{Export, ExportRefusal, LONGEST_EXPORT, export, export_all};
pub use import::{ImportRefusal, ImportRequest, Progress, decode, import};
pub use question_formats::{DraftAnswer, DraftOption, Format};
pub use report::{Advice, ImportReport, Loss, MOST_REFUSED, Notice, RefusedImport};
pub use store::QUESTIONS_IMPORTED;

use crate::database::join_task;

/// Runs what takes so long that nothing else would run on this thread: a megabyte of text takes some ten
/// milliseconds, and up to a second where somebody took pains.
async fn run_aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, sea_orm::DbErr> {
    join_task(tokio::task::spawn_blocking(work)).await
}
