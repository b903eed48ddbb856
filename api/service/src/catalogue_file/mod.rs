//! The catalogue as a file, so that an operator can keep it in version control.
//!
//! A file is the whole catalogue by `code`. Applying it makes the courses and subjects equal to it, in one transaction.
//! Applying it twice changes nothing. A value that the file leaves out has its default, so deleting the line of an offer
//! ends the offer. What the file does not name stays, unless the operator asks to archive it.

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

/// A reason not to apply a file. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueFileRefusal {
    /// The file is not a catalogue in YAML.
    #[error("{message}")]
    Unreadable {
        /// The line, from 1.
        line: Option<u64>,
        /// The fault in this line.
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
    /// The line of the value, or of the course or the subject if the value is missing.
    pub line: u64,
    /// The course or the subject.
    pub name: CatalogueName,
    /// The path of the key in the file, such as `offer.price`.
    pub field: &'static str,
    /// The fault, and how to correct it.
    pub message: String,
}
