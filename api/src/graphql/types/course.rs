//! Courses, from the catalogue in memory.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};
use graphql_engine::{page_arguments, plain_fields};
use jishu_entity::CourseId;

use super::subject_page::{ItemCount, SubjectConnection, subjects_of};
use super::{Money, money};
use crate::graphql::context::ContextExt;
use crate::graphql::error::ApiResult;
use crate::graphql::node::GlobalKey;
use crate::graphql::pagination::{Connection, ListNode, PageArgs};
use jishu_service::catalog::CatalogCourse;

#[derive(Clone)]
pub(in crate::graphql) struct Course {
    course: Arc<CatalogCourse>,
}

/// A group of subjects that prepare for the same examination.
#[page_arguments]
#[plain_fields]
#[Object]
impl Course {
    /// The global id of the course. It is opaque: do not parse it.
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.course.row.id.global()
    }

    /// The code of the course: a stable name for files, which no other course has. Null if the course has no code.
    async fn code(&self) -> Option<&str> {
        self.course.row.code.as_deref()
    }

    /// The number of the present state of the course. Each change of the course adds 1. Send this number with an edit.
    async fn version(&self) -> i32 {
        self.course.row.version
    }

    /// The name of the course.
    async fn name(&self) -> &str {
        &self.course.row.name
    }

    /// A description of the course for buyers. Null if the course has no description.
    async fn description(&self) -> Option<&str> {
        self.course.row.description.as_deref()
    }

    /// The price of the whole course as a bundle. Null if the course is not sold as a bundle. A buyer who owns some
    /// subjects of the course pays only the shares of the other subjects.
    async fn bundle_price(&self) -> Option<Money> {
        self.course.row.bundle_price.map(|minor| money(minor, &self.course.row.currency))
    }

    /// The number of days for which a purchase of the course's subjects gives access. Null if access never ends.
    async fn validity_days(&self) -> Option<i32> {
        self.course.row.validity_days
    }

    /// Whether the course is archived. Nobody can buy the subjects of an archived course, and buyers keep the subjects
    /// that they own.
    async fn archived(&self) -> bool {
        self.course.row.archived_at.is_some()
    }

    /// The subjects of the course that are sold, in the order in which they were added. Archiving the course does not
    /// change this list.
    async fn subjects(&self, ctx: &Context<'_>, #[page] page: PageArgs) -> ApiResult<SubjectConnection> {
        subjects_of(ctx, page, self.course.subjects_on_sale())
    }
}

impl Course {
    pub(in crate::graphql) fn new(course: Arc<CatalogCourse>) -> Self {
        Self { course }
    }

    /// Finds a course in the catalogue in memory. Reads the catalogue again if it lacks the course. Fails with an
    /// internal error if there is no such course.
    pub(in crate::graphql) async fn load(ctx: &Context<'_>, id: CourseId) -> ApiResult<Self> {
        Ok(Self::new(ctx.services()?.catalog.course(id).await?))
    }
}

impl ListNode for Course {
    const NAME: &'static str = "Course";
}

pub(in crate::graphql) type CourseConnection = Connection<Course, ItemCount>;
