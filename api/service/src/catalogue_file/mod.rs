//! The catalogue as a file, so that an operator can keep it in version control.
//!
//! A file describes the whole catalogue and identifies courses and subjects by `code`. Applying the file makes the
//! courses and subjects equal to the file, in one transaction. Applying the file a second time changes nothing. A value
//! that the file leaves out gets its default, so deleting an offer from the file ends the offer. Courses and subjects
//! that the file does not name stay, unless the operator asks to archive them.

mod apply;
mod apply_mode;
mod document;
mod edits;
mod export;
mod lined;
mod plan;
mod report;
mod stored;

pub(crate) use document::{CatalogueDocument, CourseDocument, SubjectDocument};
pub(crate) use edits::subject_row;

pub use apply::apply;
pub(crate) use apply::apply_document;
pub use apply_mode::ApplyMode;
pub use export::{CatalogueExport, export};
pub use report::{CatalogueChange, CatalogueChangeKind, CatalogueName, CatalogueReport, ChangedValue};

use crate::error::Refusal;

/// A reason not to apply a catalogue file. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueFileRefusal {
    /// The file is not a catalogue in YAML.
    #[error("{message}")]
    Unreadable {
        /// The line of the fault, from 1. None if the parser reports no line.
        line: Option<u64>,
        /// The description of the fault.
        message: String,
    },
    /// Some values of the file are not allowed.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid(Vec<FileProblem>),
}

impl Refusal for CatalogueFileRefusal {}

/// A value of a file that is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}, {field}: {message}")]
pub struct FileProblem {
    /// The line of the value. If the file does not have the value, the line of the code of the course or the subject.
    pub line: u64,
    /// The course or the subject with the value.
    pub name: CatalogueName,
    /// The path of the key in the file, such as `offer.price`.
    pub field: &'static str,
    /// The fault, and how to correct it.
    pub message: String,
}
