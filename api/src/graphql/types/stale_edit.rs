//! The error of an edit that would overwrite a newer state.

use async_graphql::{Context, SimpleObject};

use super::{Course, ErrorCode, Subject};
use crate::graphql::context::ContextExt;
use crate::graphql::error::ApiResult;
use jishu_service::authoring::CurrentRow;

/// The error of an edit of an old version: somebody has changed the course or the subject since the viewer read
/// `version`. The edit changed nothing.
#[derive(SimpleObject)]
pub(in crate::graphql) struct StaleEditError {
    /// The kind of error, for programs.
    pub(super) code: ErrorCode,
    /// An explanation for people: what happened, and what to do.
    pub(in crate::graphql) message: String,
    /// The path of the argument that caused the error.
    pub(super) path: Vec<String>,
    /// The current version of the course or the subject. Send it with the next edit.
    version: i32,
    /// The course as it is now. Null if the edit was of a subject.
    course: Option<Box<Course>>,
    /// The subject as it is now. Null if the edit was of a course.
    subject: Option<Box<Subject>>,
}

impl StaleEditError {
    /// Makes the error with the current state of the course or the subject. Reads the catalogue again if its snapshot
    /// has an older version, because another node may have stored the change.
    pub(in crate::graphql) async fn load(
        ctx: &Context<'_>,
        message: String,
        current: CurrentRow,
    ) -> ApiResult<Self> {
        let catalog = &ctx.services()?.catalog;
        let (course, subject) = match current {
            CurrentRow::Course(id, version) => (Some(catalog.course_since(id, version).await?), None),
            CurrentRow::Subject(id, version) => (None, Some(catalog.subject_since(id, version).await?)),
        };
        let version = match (&course, &subject) {
            (Some(course), _) => course.row.version,
            (None, Some(subject)) => subject.version,
            (None, None) => 0,
        };
        Ok(Self {
            code: ErrorCode::StaleEdit,
            message,
            path: ["input", "version"].map(str::to_owned).to_vec(),
            version,
            course: course.map(|course| Box::new(Course::new(course))),
            subject: subject.map(|subject| Box::new(Subject::new(subject))),
        })
    }
}
