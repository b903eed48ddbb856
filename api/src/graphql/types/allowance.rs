//! The GraphQL type `Allowance`, and connections of allowances.

use async_graphql::{Context, Object};
use graphql_engine::plain_fields;
use jishu_entity::allowance;

use super::{Course, Subject, User};
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, Nullable};
use crate::graphql::pagination::{Connection, ListNode, PageArgs, connect, wants_rows};
use crate::graphql::scalar::DateTime;
use jishu_service::account::Support;
use jishu_service::allowance::{self as allowances, AllowanceFilter};
use jishu_service::page::Page;

pub(in crate::graphql) struct GrantedAllowance {
    row: allowance::Model,
}

/// Extra time or attempts for all test cards of a user, of a subject or of a course. An allowance can also be for the
/// cards of one user in one subject or course. Only SUPPORT and ADMIN can query allowances. The data that a user can
/// download from `/me/export` contains each allowance whose `user` is this user.
#[plain_fields]
#[Object(name = "Allowance")]
impl GrantedAllowance {
    /// The user whose cards the allowance is for. Null if it is for the cards of all users.
    async fn user(&self) -> Option<User> {
        self.row.user_id.map(User::lazy)
    }

    /// The subject whose cards the allowance is for. Null unless the allowance is for one subject.
    async fn subject(&self, ctx: &Context<'_>) -> Nullable<Subject> {
        let id = self.row.subject_id?;
        Some(Subject::load(ctx, id).await)
    }

    /// The course whose cards the allowance is for. Null unless the allowance is for all subjects of a course.
    async fn course(&self, ctx: &Context<'_>) -> Nullable<Course> {
        let id = self.row.course_id?;
        Some(Course::load(ctx, id).await)
    }

    /// The extra time that the allowance gives to each sitting, in seconds. 0 if it gives none. If several allowances
    /// apply to a sitting, only the greatest extra time counts.
    async fn extra_seconds(&self) -> i32 {
        self.row.extra_seconds.unwrap_or_default()
    }

    /// The number of attempts to which the allowance raises cards that have fewer. Null if it does not change the
    /// attempts.
    async fn max_attempts(&self) -> Option<i32> {
        self.row.max_attempts
    }

    /// The reason for the allowance, as staff wrote it. Null if they gave no reason.
    async fn reason(&self) -> Option<&str> {
        self.row.reason.as_deref()
    }

    /// The member of staff who granted or last changed the allowance.
    async fn granted_by(&self) -> User {
        User::lazy(self.row.granted_by)
    }

    /// The time when the allowance was granted or last changed.
    async fn granted_at(&self) -> DateTime {
        DateTime(self.row.granted_at)
    }
}

impl From<allowance::Model> for GrantedAllowance {
    fn from(row: allowance::Model) -> Self {
        Self { row }
    }
}

impl ListNode for GrantedAllowance {
    const NAME: &'static str = "Allowance";
}

pub(in crate::graphql) type AllowanceConnection = Connection<GrantedAllowance, AllowanceTotal>;

pub(in crate::graphql) struct AllowanceTotal {
    support: Support,
    filter: AllowanceFilter,
}

#[Object]
impl AllowanceTotal {
    /// The number of items on all pages of this list together. The server counts them only if this field is selected.
    async fn total_count(&self, ctx: &Context<'_>) -> ApiResult<u64> {
        Ok(allowances::count(ctx.services()?, self.support, self.filter).await?)
    }
}

/// Reads a page of the allowances that match `filter`, newest first. Reads no rows if the client selects neither
/// `edges` nor `pageInfo`.
pub(in crate::graphql) async fn allowance_page(
    ctx: &Context<'_>,
    support: Support,
    filter: AllowanceFilter,
    args: PageArgs,
) -> ApiResult<AllowanceConnection> {
    let request = args.request(ctx, "Allowance")?;
    let page = if wants_rows(ctx) {
        allowances::page(ctx.services()?, support, filter, request).await?
    } else {
        Page { rows: Vec::new(), has_previous: false, has_next: false }
    };
    Ok(connect("Allowance", page, |row| row.id.0, GrantedAllowance::from, AllowanceTotal { support, filter }))
}
