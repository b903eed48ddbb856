//! The question bank of a subject: how files of questions come in and go out.
//!
//! A question has an id that its authors gave it, or one made of what it says; importing it again changes nothing, or
//! makes a new version of it where it says something else. What a format cannot carry is told, question by question.

mod draft;
mod export;
mod format;
mod import;
mod report;
mod store;

pub use draft::{Defaults, DraftAnswer, DraftOption, DraftQuestion, InvalidQuestion};
pub use export::{Export, ExportError, LONGEST_EXPORT, export, export_all};
pub use format::Format;
pub use import::{ImportError, ImportRequest, MOST_REFUSED, Progress, decode, import};
pub use report::{ImportReport, Loss, Refusal};
pub use store::QUESTIONS_IMPORTED;
