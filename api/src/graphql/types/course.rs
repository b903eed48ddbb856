//! Courses, from the catalogue in memory.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};
use jishu_entity::CourseId;

use super::{Money, Subject, money};
use crate::graphql::error::ApiResult;
use crate::graphql::node::GlobalKey;
use crate::graphql::pagination::{Connection, ListNode, PageArgs, connect, slice};
use jishu_service::catalog::{CatalogCourse, Snapshot};

#[derive(Clone)]
pub(in crate::graphql) struct Course(pub(in crate::graphql) Arc<CatalogCourse>);

/// What subjects are grouped in.
#[Object]
impl Course {
    /// Global and opaque.
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.0.row.id.global()
    }

    /// Its title.
    async fn name(&self) -> &str {
        &self.0.row.name
    }

    /// What it prepares for.
    async fn description(&self) -> Option<&str> {
        self.0.row.description.as_deref()
    }

    /// What the whole course costs as a bundle; null where it is not sold as one. Who owns some of it pays the
    /// shares of the rest.
    async fn bundle_price(&self) -> Option<Money> {
        self.0.row.bundle_price.map(|minor| money(minor, &self.0.row.currency))
    }

    /// For how many days a purchase gives access; null for ever.
    async fn validity_days(&self) -> Option<i32> {
        self.0.row.validity_days
    }

    /// Whether it has left the catalogue: it can no longer be bought, and who owns some of it keeps it.
    async fn archived(&self) -> bool {
        self.0.row.archived_at.is_some()
    }

    /// Its subjects that are sold, in the order they were added.
    async fn subjects(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most so many, from the start or from `after`: 1 to 100, 50 if not given.")]
        first: Option<i32>,
        #[graphql(desc = "Only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "At most so many, from the end or from `before`: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only items before this cursor.")] before: Option<String>,
    ) -> ApiResult<SubjectConnection> {
        let request = PageArgs::new(first, after, last, before).request(ctx, "Subject")?;
        let rows: Vec<_> = self.0.subjects_on_sale().cloned().collect();
        let total = SubjectTotal(rows.len());
        connect("Subject", slice(&rows, |row| row.id.0, request), |row| row.id.0, Subject, total)
    }
}

impl ListNode for Course {
    const NAME: &'static str = "Course";
}

pub(in crate::graphql) type CourseConnection = Connection<Course, CourseTotal>;

pub(in crate::graphql) struct CourseTotal(usize);

#[Object]
impl CourseTotal {
    /// How many there are in all.
    async fn total_count(&self) -> usize {
        self.0
    }
}

impl ListNode for Subject {
    const NAME: &'static str = "Subject";
}

type SubjectConnection = Connection<Subject, SubjectTotal>;

pub(in crate::graphql) struct SubjectTotal(usize);

#[Object]
impl SubjectTotal {
    /// How many there are in all.
    async fn total_count(&self) -> usize {
        self.0
    }
}

/// The courses that are sold and whose name or description has `search` in it, in any case.
pub(in crate::graphql) fn course_page(
    ctx: &Context<'_>,
    snapshot: &Snapshot,
    args: PageArgs,
    search: Option<&str>,
) -> ApiResult<CourseConnection> {
    let request = args.request(ctx, "Course")?;
    let needle = search.map(|search| search.trim().to_lowercase()).filter(|search| !search.is_empty());
    let found = |text: &str| needle.as_ref().is_none_or(|needle| text.to_lowercase().contains(needle));
    let rows: Vec<_> = snapshot
        .courses_on_sale()
        .filter(|course| found(&course.row.name) || course.row.description.as_deref().is_some_and(found))
        .cloned()
        .collect();
    let total = CourseTotal(rows.len());
    let key = |row: &Arc<CatalogCourse>| {
        let CourseId(id) = row.row.id;
        id
    };
    connect("Course", slice(&rows, key, request), key, Course, total)
}
