//! The report about the changes that a catalogue file makes.

use std::fmt;

use serde_json::Value;

use crate::audit::StateChange;

/// The codes that identify a course or a subject.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CatalogueName {
    /// The code of the course.
    pub course: String,
    /// The code of the subject. None for the course itself.
    pub subject: Option<String>,
}

impl CatalogueName {
    pub(super) fn course(code: &str) -> Self {
        Self { course: code.to_owned(), subject: None }
    }

    pub(super) fn subject(course: &str, code: &str) -> Self {
        Self { course: course.to_owned(), subject: Some(code.to_owned()) }
    }
}

impl fmt::Display for CatalogueName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            None => write!(formatter, "course {}", self.course),
            Some(subject) => write!(formatter, "subject {}/{subject}", self.course),
        }
    }
}

/// The way in which a catalogue file changes a course or a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatalogueChangeKind {
    /// The course or the subject is new.
    Created,
    /// Values of the course or the subject change, but not whether it is archived.
    Updated,
    /// The course or the subject is archived. Other values may change, too.
    Archived,
    /// The course or the subject is no longer archived. Other values may change, too.
    Restored,
}

/// A value before and after a change, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedValue {
    /// The path of the value in a file, such as `offer.price`.
    pub field: String,
    /// The value before the change. None if there was no value.
    pub before: Option<String>,
    /// The value after the change. None if there is no value.
    pub after: Option<String>,
}

/// A course or a subject that a file changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueChange {
    /// The course or the subject.
    pub name: CatalogueName,
    /// The way in which the course or the subject changes.
    pub kind: CatalogueChangeKind,
    /// The values that change.
    pub values: Vec<ChangedValue>,
}

/// The changes that a catalogue file makes, and the courses and subjects that it does not name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatalogueReport {
    /// The changes in the order of the file. Archived subjects that the file does not name follow the subjects of their
    /// course. Archived courses that the file does not name come last.
    pub changes: Vec<CatalogueChange>,
    /// The courses and subjects that are not archived, and that the file does not name. Empty if the operator asked to
    /// archive them.
    pub missing: Vec<CatalogueName>,
    /// Descriptions of the courses without a code, and of the subjects without a code in courses that have one. A file
    /// cannot name them.
    pub without_code: Vec<String>,
}

impl CatalogueChange {
    pub(super) fn new(name: CatalogueName, kind: CatalogueChangeKind, change: &StateChange) -> Self {
        let is_told = |field: &str, after: Option<&Value>| {
            kind != CatalogueChangeKind::Created || field != "code" && after != Some(&Value::Bool(false))
        };
        let values = change.values().filter(|(field, _, after)| is_told(field, *after));
        let values = values.map(|(field, before, after)| ChangedValue {
            field: key_of(field).to_owned(),
            before: before.and_then(text),
            after: after.and_then(text),
        });
        Self { name, kind, values: values.collect() }
    }
}

/// Converts the name of a field in the audit trail to the path of its key in the file.
fn key_of(field: &str) -> &str {
    match field {
        "offerPrice" => "offer.price",
        "offerStartsAt" => "offer.startsAt",
        "offerEndsAt" => "offer.endsAt",
        "marksCorrect" => "markingScheme.correct",
        "marksWrong" => "markingScheme.wrong",
        "marksUnanswered" => "markingScheme.unanswered",
        "questionsPerTest" => "markingScheme.questionsPerTest",
        "timeLimitSeconds" => "markingScheme.timeLimitSeconds",
        "maxAttempts" => "markingScheme.maxAttempts",
        "gradingMethod" => "markingScheme.gradingMethod",
        "reviewPolicy" => "markingScheme.review",
        other => other,
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
