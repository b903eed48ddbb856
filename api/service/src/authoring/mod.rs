//! Authoring: creates, changes, archives and restores courses and subjects.
//!
//! An edit names the version of the row that its author read. If the row has another version now, the edit is refused.
//! So no author overwrites the work of another without having seen it. The API and the catalogue file share the rules
//! ([`values`]) and the writes ([`store`]).

mod course;
mod edit;
mod settings;
pub(crate) mod store;
mod subject;
pub(crate) mod values;

use chrono::{DateTime, Utc};
use jishu_entity::{CourseId, SubjectId, UserId};

pub use course::{create_course, set_course_archived, update_course};
pub(crate) use edit::blank_subject;
pub use edit::{CourseEdit, NewCourse, NewSubject, OfferTerms, SubjectEdit};
pub(crate) use subject::fits_blueprint;
pub use subject::{create_subject, set_subject_archived, update_subject};
pub use values::{CatalogueField, InvalidValue, ValueProblem};

use crate::Services;
use crate::error::Refusal;

/// A reason to refuse a change of a course or a subject. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum EditRefusal {
    /// No course has this id.
    #[error("There is no such course.")]
    CourseNotFound,
    /// No subject has this id.
    #[error("There is no such subject.")]
    SubjectNotFound,
    /// Another course has this code, or another subject of the same course.
    #[error("This code is taken. Choose another code.")]
    CodeTaken,
    /// The row was changed after the author read it.
    #[error(
        "Somebody has changed the course or subject since you read it. Compare your changes with the current state, \
         and save them with the version of that state."
    )]
    Stale(CurrentRow),
    /// These values are not allowed.
    #[error("{}", listed(.0))]
    Invalid(Vec<InvalidValue>),
}

impl Refusal for EditRefusal {}

impl From<Vec<InvalidValue>> for EditRefusal {
    fn from(values: Vec<InvalidValue>) -> Self {
        Self::Invalid(values)
    }
}

fn listed(values: &[InvalidValue]) -> String {
    let sentences: Vec<String> = values.iter().map(|value| value.problem.to_string()).collect();
    sentences.join(" ")
}

/// The course or the subject of a refused edit, with the version that it has now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CurrentRow {
    /// The id of a course and its version.
    Course(CourseId, i32),
    /// The id of a subject and its version.
    Subject(SubjectId, i32),
}

/// The author and the time of a change. The author is None if a catalogue file makes the change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Authorship {
    pub(crate) by: Option<UserId>,
    pub(crate) at: DateTime<Utc>,
}

/// Reads the catalogue of this node again after a change. If that fails, logs a warning: the change is stored, and the
/// catalogue is read again a few seconds later.
async fn reload(services: &Services) {
    if let Err(error) = services.catalog.reload().await {
        tracing::warn!(%error, "the catalogue could not be read after it was changed; it is read again soon");
    }
}
