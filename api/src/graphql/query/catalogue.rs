//! The queries with which authors read the whole catalogue, including courses and subjects that are not sold.

use async_graphql::{Context, ID, Object};
use graphql_engine::{guarded_fields, page_arguments};

use crate::graphql::error::ApiResult;
use crate::graphql::pagination::PageArgs;
use crate::graphql::permission::{Permission, requires_role};
use crate::graphql::types::{
    CourseConnection, SubjectConnection, catalogue_course_page, catalogue_subject_page,
};
use jishu_service::account::Author;

#[derive(Default)]
pub(in crate::graphql) struct CatalogueQuery;

#[page_arguments]
#[guarded_fields(requires_role)]
#[Object]
impl CatalogueQuery {
    /// All courses, oldest first, including courses that are not sold. Only for AUTHOR and ADMIN.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a connection, a search and a filter")]
    async fn catalogue_courses(
        &self,
        ctx: &Context<'_>,
        #[guard] _author: Author,
        #[page] page: PageArgs,
        #[graphql(
            desc = "Only courses whose code, name or description contains this text. Case does not matter."
        )]
        search: Option<String>,
        #[graphql(
            desc = "True for archived courses, false for all other courses. If not given, all courses."
        )]
        archived: Option<bool>,
    ) -> ApiResult<CourseConnection> {
        catalogue_course_page(ctx, page, search.as_deref(), archived)
    }

    /// All subjects of a course, oldest first, including subjects that are not sold. Only for AUTHOR and ADMIN.
    #[expect(clippy::too_many_arguments, reason = "a course, the arguments of a connection and a filter")]
    async fn catalogue_subjects(
        &self,
        ctx: &Context<'_>,
        #[guard] _author: Author,
        #[graphql(desc = "The id of the course.")] course_id: ID,
        #[page] page: PageArgs,
        #[graphql(
            desc = "True for archived subjects, false for all other subjects. If not given, all subjects."
        )]
        archived: Option<bool>,
    ) -> ApiResult<SubjectConnection> {
        catalogue_subject_page(ctx, &course_id, page, archived)
    }
}
