//! The mutations `createCourse`, `updateCourse` and `setCourseArchived`.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object};
use graphql_engine::guarded_fields;
use jishu_entity::{CourseId, course};

use super::refusal::edit_errors;
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, refused_or};
use crate::graphql::node::GlobalKey;
use crate::graphql::permission::{Permission, requires_role};
use crate::graphql::scalar::Decimal;
use crate::graphql::types::{Course, UserError};
use jishu_service::account::Author;
use jishu_service::authoring::{self, CourseEdit, EditRefusal, NewCourse};

/// A new course.
#[derive(InputObject)]
pub(super) struct CreateCourseInput {
    /// The code of the course, a stable name for files. It has 1 to 64 characters: the letters A to Z and a to z,
    /// digits, hyphens, underscores and dots. It begins and ends with a letter or a digit. No two courses have the same
    /// code. A code never changes.
    code: String,
    /// The name of the course: 1 to 200 characters.
    name: String,
    /// A description of the course for buyers: at most 10000 characters.
    description: Option<String>,
    /// The currency of all prices in the course, as an ISO 4217 code. The currency of a course never changes.
    currency: String,
    /// The price of the whole course as a bundle. If not given, the course is not sold as a bundle.
    bundle_price: Option<Decimal>,
    /// The number of days for which a purchase gives access: 1 to 36500. If not given, access never ends.
    validity_days: Option<i32>,
    /// True to create the course archived. Call `setCourseArchived` with `archived: false` to put it on sale.
    #[graphql(default)]
    archived: bool,
}

/// New values of a course. Values that are not given stay the same.
#[derive(InputObject)]
pub(super) struct UpdateCourseInput {
    /// The id of the course.
    id: ID,
    /// The version of the course that you read. If the course has another version now, nothing is changed.
    version: i32,
    /// The code of the course, if the course has no code yet. A code never changes.
    code: Option<String>,
    /// The name of the course: 1 to 200 characters.
    name: Option<String>,
    /// The description of the course for buyers: at most 10000 characters. Null removes the description.
    description: MaybeUndefined<String>,
    /// The price of the whole course as a bundle. Null ends the sale as a bundle.
    bundle_price: MaybeUndefined<Decimal>,
    /// The number of days for which a purchase gives access: 1 to 36500. Null for access that never ends. Earlier
    /// purchases keep the end that they have.
    validity_days: MaybeUndefined<i32>,
}

/// The response to a mutation that creates or changes a course: the course, or the reasons to refuse.
pub(super) struct CoursePayload {
    outcome: Result<Course, Vec<UserError>>,
}

/// The response to a mutation that creates or changes a course.
#[Object]
impl CoursePayload {
    /// The course after the change. Null if the request was refused.
    async fn course(&self) -> Option<&Course> {
        self.outcome.as_ref().ok()
    }

    /// The reasons why nothing was changed. Empty on success.
    async fn user_errors(&self) -> &[UserError] {
        self.outcome.as_ref().err().map_or(&[], Vec::as_slice)
    }
}

#[derive(Default)]
pub(in crate::graphql) struct CourseMutation;

#[guarded_fields(requires_role)]
#[Object]
impl CourseMutation {
    /// Creates a course. The course is on sale at once, unless `archived` is true. Only for AUTHOR and ADMIN.
    async fn create_course(
        &self,
        ctx: &Context<'_>,
        #[guard] author: Author,
        #[graphql(desc = "The new course.")] input: CreateCourseInput,
    ) -> ApiResult<CoursePayload> {
        let course = authoring::create_course(ctx.services()?, author, input.into()).await;
        payload(ctx, refused_or(course)?, &["input"]).await
    }

    /// Changes a course. An edit of an older version is refused with the current state, so that nobody overwrites a
    /// change of another author without seeing it. Only for AUTHOR and ADMIN.
    async fn update_course(
        &self,
        ctx: &Context<'_>,
        #[guard] author: Author,
        #[graphql(desc = "The course, the version that you read, and the new values.")]
        input: UpdateCourseInput,
    ) -> ApiResult<CoursePayload> {
        let updated = match CourseId::parse(&input.id) {
            Some(id) => {
                let (of, edit) = ((id, input.version), input.into());
                refused_or(authoring::update_course(ctx.services()?, author, of, edit).await)?
            }
            None => Err(EditRefusal::CourseNotFound),
        };
        payload(ctx, updated, &["input", "id"]).await
    }

    /// Archives a course, or puts it back on sale. Nobody can buy the subjects of an archived course, and buyers keep
    /// the subjects that they own. Only for AUTHOR and ADMIN.
    async fn set_course_archived(
        &self,
        ctx: &Context<'_>,
        #[guard] author: Author,
        #[graphql(desc = "The id of the course.")] id: ID,
        #[graphql(desc = "True to archive the course, false to put it back on sale.")] archived: bool,
    ) -> ApiResult<CoursePayload> {
        let changed = match CourseId::parse(&id) {
            Some(id) => {
                refused_or(authoring::set_course_archived(ctx.services()?, author, id, archived).await)?
            }
            None => Err(EditRefusal::CourseNotFound),
        };
        payload(ctx, changed, &["id"]).await
    }
}

async fn payload(
    ctx: &Context<'_>,
    changed: Result<course::Model, EditRefusal>,
    id_at: &[&str],
) -> ApiResult<CoursePayload> {
    let outcome = match changed {
        Ok(row) => Ok(Course::load(ctx, row.id).await?),
        Err(refusal) => Err(edit_errors(ctx, refusal, id_at).await?),
    };
    Ok(CoursePayload { outcome })
}

impl From<CreateCourseInput> for NewCourse {
    fn from(input: CreateCourseInput) -> Self {
        let values = CourseEdit {
            code: Some(input.code),
            name: Some(input.name),
            description: Some(input.description),
            bundle_price: Some(input.bundle_price.map(|Decimal(price)| price)),
            validity_days: Some(input.validity_days),
            archived: Some(input.archived),
        };
        Self { currency: input.currency, values }
    }
}

impl From<UpdateCourseInput> for CourseEdit {
    fn from(input: UpdateCourseInput) -> Self {
        Self {
            code: input.code,
            name: input.name,
            description: optional(input.description),
            bundle_price: optional(input.bundle_price).map(|price| price.map(|Decimal(price)| price)),
            validity_days: optional(input.validity_days),
            archived: None,
        }
    }
}

/// Converts an optional value that a client can set to null. Returns None if the value was not given, and `Some(None)`
/// for null.
pub(super) fn optional<T>(value: MaybeUndefined<T>) -> Option<Option<T>> {
    match value {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(value) => Some(Some(value)),
    }
}
