//! Pages of courses and subjects, from the catalogue in memory.

use std::sync::Arc;

use async_graphql::{Context, ID};
use jishu_entity::{CourseId, subject};

use super::course::{Course, CourseConnection};
use super::subject_page::{ItemCount, SubjectConnection, subjects_of};
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::node::GlobalKey;
use crate::graphql::pagination::{PageArgs, connect, slice};
use jishu_service::catalog::{CatalogCourse, Snapshot};

/// Makes a page of the courses that are sold and whose name or description contains `search`, ignoring case.
pub(in crate::graphql) fn course_page(
    ctx: &Context<'_>,
    snapshot: &Snapshot,
    args: PageArgs,
    search: Option<&str>,
) -> ApiResult<CourseConnection> {
    let needle = Needle::new(search);
    page_of(ctx, args, snapshot.courses_on_sale().filter(|course| needle.is_in(course)))
}

/// Makes a page of the courses whose code, name or description contains `search`, ignoring case. If `archived` is
/// given, lists only archived courses for true, and only courses that are not archived for false.
pub(in crate::graphql) fn catalogue_course_page(
    ctx: &Context<'_>,
    args: PageArgs,
    search: Option<&str>,
    archived: Option<bool>,
) -> ApiResult<CourseConnection> {
    let needle = Needle::new(search);
    let snapshot = ctx.services()?.catalog.snapshot();
    let wanted = |course: &&Arc<CatalogCourse>| {
        archived.is_none_or(|archived| archived == course.row.archived_at.is_some())
            && (needle.is_in(course) || course.row.code.as_deref().is_some_and(|code| needle.matches(code)))
    };
    page_of(ctx, args, snapshot.courses().filter(wanted))
}

/// Makes a page of the subjects of a course. If `archived` is given, lists only archived subjects for true, and only
/// subjects that are not archived for false. Fails with `BAD_USER_INPUT` if there is no such course.
pub(in crate::graphql) fn catalogue_subject_page(
    ctx: &Context<'_>,
    course: &ID,
    args: PageArgs,
    archived: Option<bool>,
) -> ApiResult<SubjectConnection> {
    let snapshot = ctx.services()?.catalog.snapshot();
    let course = CourseId::parse(course).and_then(|id| snapshot.course(id));
    let course = course.ok_or_else(|| {
        ApiError::bad_input("There is no such course. Take its id from `catalogueCourses`.")
    })?;
    let wanted = |subject: &&Arc<subject::Model>| {
        archived.is_none_or(|archived| archived == subject.archived_at.is_some())
    };
    subjects_of(ctx, args, course.subjects.iter().filter(wanted))
}

fn page_of<'a>(
    ctx: &Context<'_>,
    args: PageArgs,
    courses: impl Iterator<Item = &'a Arc<CatalogCourse>>,
) -> ApiResult<CourseConnection> {
    let request = args.request(ctx, "Course")?;
    let rows: Vec<_> = courses.cloned().collect();
    let total = ItemCount::of(&rows);
    let key = |row: &Arc<CatalogCourse>| row.row.id.0;
    Ok(connect("Course", slice(&rows, key, request), key, Course::new, total))
}

/// A text to search for, in lower case. None matches every text.
struct Needle(Option<String>);

impl Needle {
    fn new(search: Option<&str>) -> Self {
        Self(search.map(|search| search.trim().to_lowercase()).filter(|search| !search.is_empty()))
    }

    /// Tells whether `text` contains the needle, ignoring case.
    fn matches(&self, text: &str) -> bool {
        self.0.as_ref().is_none_or(|needle| text.to_lowercase().contains(needle))
    }

    /// Tells whether the name or the description of a course contains the needle.
    fn is_in(&self, course: &CatalogCourse) -> bool {
        self.matches(&course.row.name)
            || course.row.description.as_deref().is_some_and(|text| self.matches(text))
    }
}
