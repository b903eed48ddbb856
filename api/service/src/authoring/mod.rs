//! Authoring: creates, changes, archives and restores courses and subjects.
//!
//! An edit names the version of the row that its author read. If the row has another version, the edit is refused, so
//! that no author overwrites the work of another unseen. The API and the file of the catalogue share the rules
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
    /// There is no such course.
    #[error("There is no such course.")]
    CourseNotFound,
    /// There is no such subject.
    #[error("There is no such subject.")]
    SubjectNotFound,
    /// Another course has the code, or another subject of the same course.
    #[error("This code is taken. Choose another one.")]
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

/// The row of a stale edit, with the version that it has now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CurrentRow {
    /// A course.
    Course(CourseId, i32),
    /// A subject.
    Subject(SubjectId, i32),
}

/// The author of a change, and its time. The author is None if a file was applied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Authorship {
    pub(crate) by: Option<UserId>,
    pub(crate) at: DateTime<Utc>,
}

/// Reads the catalogue again after a change. The change is stored, so a failure here is no error: the catalogue is read
/// again a few seconds later.
async fn reload(services: &Services) {
    if let Err(error) = services.catalog.reload().await {
        tracing::warn!(%error, "the catalogue could not be read after it was changed; it is read again soon");
    }
}
